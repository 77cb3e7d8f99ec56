"""Tell what is in pictures.

Each IMAGE (PNG, JPEG, ...) is resized to the input of the network in MODEL. Networks that have learnt digits
or Fashion-MNIST expect light on dark: for black ink on white paper add --invert.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np

from fastconv.cli import answers, data, options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="a network saved by fastconv, ending in .safetensors")
    parser.add_argument("images", metavar="IMAGE", nargs="+", help="picture files")
    parser.add_argument(
        "--top", type=options.whole_number(1), default=3, metavar="N", help="classes to list (default: 3)"
    )
    parser.add_argument("--invert", action="store_true", help="turn dark on light into light on dark first")
    options.add_data(parser, "name the classes as in this data set")
    options.add_threads(parser)


def run(arguments: argparse.Namespace) -> int:
    from fastconv.cli.images import read_image
    from fastconv.models import load_model

    options.use_threads(arguments)
    model = load_model(arguments.model, compile=False)
    shape = model.input_shape
    if shape is None or len(shape) != 4:
        raise ValueError(f"{arguments.model} does not take images: its input is {shape}")
    names = data.class_names(arguments.data)
    for path in arguments.images:
        pixels = read_image(path, shape[1:], arguments.invert)  # type: ignore[arg-type]
        if shape[3] == 1 and not arguments.invert and np.median(pixels) > 127:
            print(f"{path}: light background; did you mean --invert?", file=sys.stderr)
        scores = model.predict(data.scaled(pixels[np.newaxis], model), verbose=0)[0]
        probabilities = answers.probabilities(model, scores)
        print(path)
        for label in np.argsort(-probabilities, kind="stable")[: arguments.top]:
            name = names[label] if len(names) == len(scores) else str(label)
            print(f"  {probabilities[label]:7.2%}  {name}")
    return 0
