"""Tell what is in pictures.

Each IMAGE (PNG, JPEG, ...) is resized to the input of the network in MODEL; of an animation the first frame
counts. Networks that have learnt digits or Fashion-MNIST expect light on dark: for black ink on white paper
add --invert.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

import numpy as np

from fastconv.cli import answers, data, options

if TYPE_CHECKING:
    from fastconv.models import Model


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="a network saved by fastconv, ending in .safetensors")
    parser.add_argument("images", metavar="IMAGE", nargs="+", help="picture files")
    parser.add_argument(
        "--top", type=options.whole_number(1), default=3, metavar="N", help="classes to list (default: 3)"
    )
    parser.add_argument("--invert", action="store_true", help="turn dark on light into light on dark first")
    options.add_data(parser, "name the classes as in this data set", "as MODEL says")
    options.add_threads(parser)


def run(arguments: argparse.Namespace) -> int:
    """Exit status 2 if there is a picture that cannot be read; the others are answered all the same."""
    from fastconv.cli.images import read_image
    from fastconv.models import load_model

    options.use_threads(arguments)
    model = load_model(arguments.model, compile=False)
    shape = model.input_shape
    if shape is None or len(shape) != 4:
        raise ValueError(f"{arguments.model} does not take images: its input is {shape}")
    known = data.of_model(model, arguments.model, arguments.data)
    names = _class_names(model, known, arguments)
    white = known.white if known else data.white_of(model)
    status, answered = 0, False
    for path in arguments.images:
        try:
            pixels = read_image(path, shape[1:], arguments.invert)
        except (ValueError, OSError) as error:
            print(f"fastconv: error: {error}", file=sys.stderr)
            status = 2
            continue
        if shape[3] == 1 and not arguments.invert and np.median(pixels) > 127:
            print(f"{path}: light background; did you mean --invert?", file=sys.stderr)
        scores = model.predict(data.scaled(pixels[np.newaxis], white), verbose=0)[0]
        probabilities = answers.probabilities(model, scores)
        print(path)
        for label in np.argsort(-probabilities, kind="stable")[: arguments.top]:
            print(f"  {probabilities[label]:7.2%}  {names[label]}")
        answered = True
    if answered and known is None:
        print(
            f"{arguments.model} does not say what its classes are called: these are their numbers; "
            "--data names them as in a data set",
            file=sys.stderr,
        )
    return status


def _class_names(
    model: Model, known: data.TrainedOn | None, arguments: argparse.Namespace
) -> tuple[str, ...]:
    """A name for each output; where nobody has given them names, their numbers."""
    outputs = model.output_shape
    if outputs is None or len(outputs) != 2 or (outputs[1] == 1 and model.output_activation != "sigmoid"):
        raise ValueError(f"{arguments.model} does not tell classes apart: its output is {outputs}")
    numbers = tuple(map(str, range(max(outputs[1] or 0, 2))))
    if known is None:
        return numbers
    if len(known.classes) != len(numbers):
        raise ValueError(
            f"{arguments.model} tells {len(numbers)} classes apart, but {known.data} has {len(known.classes)}"
        )
    return known.classes
