"""Measure how often a saved network is right.

The network in FILE is tried on the test images of a data set, which training never uses.
"""

from __future__ import annotations

import argparse

from fastconv.cli import answers, data, options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a network saved by fastconv, ending in .safetensors")
    options.add_data(parser, "the images to try it on")
    parser.add_argument(
        "--batch-size",
        type=options.whole_number(1),
        default=256,
        metavar="N",
        help="images at a time (default: 256)",
    )
    options.add_threads(parser)


def run(arguments: argparse.Namespace) -> int:
    from fastconv.models import load_model

    options.use_threads(arguments)
    model = load_model(arguments.file, compile=False)
    _, test = data.load(arguments.data)
    data.check_fits(model, arguments.data, test.images)
    model.compile(loss=answers.loss_for(model), metrics=["accuracy"])
    results = model.evaluate(
        data.scaled(test.images, model), test.labels, arguments.batch_size, verbose=0, return_dict=True
    )
    assert isinstance(results, dict)
    count = f"{len(test.labels):,} test images of {arguments.data}"
    print(f"accuracy  {results['accuracy']:.2%} of the {count}")
    print(f"loss      {results['loss']:.4f}")
    return 0
