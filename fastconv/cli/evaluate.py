"""Measure how often a saved network is right.

The network in FILE is tried on test images, from which it has learnt nothing: those of the data set that it
was trained on, as FILE says if "fastconv train" wrote it.
"""

from __future__ import annotations

import argparse

from fastconv.cli import answers, data, options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a network saved by fastconv, ending in .safetensors")
    options.add_data(parser, "the data set to try it on", "what FILE says it was trained on")
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
    known = data.of_model(model, arguments.file, arguments.data) or data.named(None, model, arguments.file)
    _, test = data.load(known.data)
    data.check_fits(model, known, test.images)
    model.compile(loss=answers.loss_for(model), metrics=["accuracy"])
    results = model.evaluate(
        data.scaled(test.images, known.white), test.labels, arguments.batch_size, verbose=0, return_dict=True
    )
    assert isinstance(results, dict)
    print(f"accuracy  {results['accuracy']:.2%} of the {len(test.labels):,} test images of {known.data}")
    print(f"loss      {results['loss']:.4f}")
    return 0
