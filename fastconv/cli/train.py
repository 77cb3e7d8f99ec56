"""Train a network and save it.

MODEL is lenet5, fashion_cnn, cs231n, convnetjs_cifar10, or a .safetensors file to go on with. Without any
argument LeNet-5 learns the handwritten digits that come with fastconv. After every epoch the network is tried
on images it does not learn from; at the end it is saved, with its history, as two files. Ctrl-C stops and
saves.
"""

from __future__ import annotations

import argparse
import json
import math
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastconv._atomic_file import writable_place, write_atomically
from fastconv._errors import unknown_name
from fastconv.cli import answers, data, options

if TYPE_CHECKING:
    from fastconv.models import Sequential

MODELS = {
    "lenet5": "LeNet5",
    "fashion_cnn": "FashionCNN",
    "cs231n": "CS231nNet",
    "convnetjs_cifar10": "ConvNetJSCifar10",
}
SUFFIX = ".safetensors"

# The digits are so few that many epochs take no time, and need shifting so as not to be learnt by heart.
EPOCHS = {"digits": 30}
SHIFT = {"digits": 2}
LEARNING_RATE = {"lenet5": 0.002}  # with the default optimizer
COOL_DOWN = 1 / 3  # the last third of the epochs runs at a tenth of the learning rate


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "model",
        nargs="?",
        default="lenet5",
        metavar="MODEL",
        help=f"{', '.join(MODELS)} or a file; default: lenet5",
    )
    options.add_data(parser, "what to learn")
    parser.add_argument(
        "--epochs",
        type=options.whole_number(1),
        metavar="N",
        help="passes over the data (30 for digits, else 10)",
    )
    parser.add_argument(
        "--batch-size",
        type=options.whole_number(1),
        default=32,
        metavar="N",
        help="images per step (default: 32)",
    )
    parser.add_argument("--optimizer", metavar="NAME", help="sgd, adam, nadam, ... (default: nadam)")
    parser.add_argument(
        "--learning-rate",
        type=options.positive_number,
        metavar="RATE",
        help="size of the steps, a tenth of it in the last third of the epochs (default: 0.002 for lenet5)",
    )
    parser.add_argument(
        "--shift",
        type=options.whole_number(0),
        metavar="PIXELS",
        help="move each image by up to so many pixels each time it is learnt (2 for digits, else 0)",
    )
    options.add_threads(parser)
    parser.add_argument(
        "--seed",
        type=options.whole_number(0),
        default=1,
        metavar="N",
        help="another seed, another run (default: 1)",
    )
    parser.add_argument(
        "--save",
        type=Path,
        metavar="PATH",
        help=f"the file to write (default: MODEL-DATA{SUFFIX}, or the file given)",
    )
    parser.add_argument(
        "--verbose",
        type=int,
        choices=(0, 1, 2),
        default=1,
        help="0: quiet, 1: progress bar, 2: a line per epoch",
    )


def run(arguments: argparse.Namespace) -> int:
    from fastconv.callbacks import History
    from fastconv.utils import set_random_seed

    options.use_threads(arguments)
    set_random_seed(arguments.seed)
    from_file = arguments.model.endswith(SUFFIX)
    target = arguments.save or Path(
        arguments.model if from_file else f"{arguments.model}-{arguments.data}{SUFFIX}"
    )
    _check_target(target)
    train, test = data.load(arguments.data)
    model = _load(arguments) if from_file else _make(arguments, train.images.shape[1:])
    data.check_fits(model, arguments.data, train.images)
    if arguments.verbose:
        model.summary()
    past = model.history.history if model.history else {}
    model.history = History()  # of this run; the two are joined when it is saved

    stopped = False
    start = time.perf_counter()
    try:
        _fit(model, train, test, arguments, epochs_before=max(map(len, past.values()), default=0))
    except KeyboardInterrupt:
        stopped = True
    seconds = time.perf_counter() - start

    history = _joined(past, model.history.history)
    if history.get("loss") and not math.isfinite(history["loss"][-1]):
        print(
            "Training diverged: the loss is not a number. Nothing was saved; try a smaller --learning-rate."
        )
        return 1
    _save(model, history, target)
    if arguments.verbose:
        _report(model, history, test, target, arguments, seconds, stopped)
    return 130 if stopped else 0


# ---- before training


def _check_target(target: Path) -> None:
    """Find out before training, not after it, that the result could not be written."""
    if target.suffix != SUFFIX:
        raise ValueError(f"--save {target}: the name of a model file must end in {SUFFIX}")
    writable_place(target)
    writable_place(_history_path(target))


def _history_path(target: Path) -> Path:
    return target.with_suffix(".history.json")


def _make(arguments: argparse.Namespace, image_shape: tuple[int, ...]) -> Sequential:
    from fastconv import applications

    if arguments.model not in MODELS:
        error = unknown_name("model", arguments.model, MODELS)
        raise ValueError(f"{error} Or give a {SUFFIX} file to go on with")
    model = getattr(applications, MODELS[arguments.model])(image_shape, name=arguments.model)
    _compile(model, arguments)
    return model


def _load(arguments: argparse.Namespace) -> Sequential:
    from fastconv.models import load_model

    model = load_model(arguments.model)
    if arguments.optimizer or not model.compiled:
        _compile(model, arguments)
    elif arguments.learning_rate:
        try:
            model.optimizer.learning_rate = arguments.learning_rate  # type: ignore[union-attr]
        except TypeError as error:  # it follows a schedule
            raise ValueError(f"--learning-rate: {error}, which --optimizer does here") from None
    return model


def _compile(model: Sequential, arguments: argparse.Namespace) -> None:
    from fastconv import optimizers

    optimizer = optimizers.get(arguments.optimizer or "nadam")
    if arguments.learning_rate:
        optimizer.learning_rate = arguments.learning_rate
    elif not arguments.optimizer and arguments.model in LEARNING_RATE:
        optimizer.learning_rate = LEARNING_RATE[arguments.model]
    model.compile(optimizer=optimizer, loss=answers.loss_for(model), metrics=["accuracy"])


# ---- training


def _fit(
    model: Sequential, train: data.Split, test: data.Split, arguments: argparse.Namespace, epochs_before: int
) -> None:
    from fastconv.callbacks import TerminateOnNaN
    from fastconv.cli.cool_down import CoolDown
    from fastconv.cli.shifts import ShiftedBatches

    epochs = epochs_before + (arguments.epochs or EPOCHS.get(arguments.data, 10))
    shift = SHIFT.get(arguments.data, 0) if arguments.shift is None else arguments.shift
    images = data.scaled(train.images, model)
    examples: dict[str, Any] = {"x": images, "y": train.labels, "batch_size": arguments.batch_size}
    if shift:
        examples = {"x": ShiftedBatches(images, train.labels, arguments.batch_size, shift)}
    model.fit(
        **examples,
        initial_epoch=epochs_before,
        epochs=epochs,
        validation_data=(data.scaled(test.images, model), test.labels),
        validation_batch_size=256,
        callbacks=[TerminateOnNaN(), CoolDown(COOL_DOWN, epochs_before)],
        verbose=arguments.verbose,
    )


# ---- after training


def _joined(past: dict[str, list[float]], new: dict[str, list[float]]) -> dict[str, list[float]]:
    return {name: [*past.get(name, []), *new.get(name, [])] for name in {**past, **new}}


def _save(model: Sequential, history: dict[str, list[float]], target: Path) -> None:
    """Write both files; an impatient second Ctrl-C has to wait for that."""
    from fastconv.callbacks import History

    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        model.history = History()
        model.history.history = history
        model.save(target)
        write_atomically(_history_path(target), json.dumps(history, indent=1).encode())
    finally:
        signal.signal(signal.SIGINT, before)


def _report(
    model: Sequential,
    history: dict[str, list[float]],
    test: data.Split,
    target: Path,
    arguments: argparse.Namespace,
    seconds: float,
    stopped: bool,
) -> None:
    print()
    if stopped:
        print(f"Stopped after {seconds:.1f} s of training.")
    else:
        print(f"Trained for {seconds:.1f} s.")
    if "val_accuracy" in history:
        held_out = f"the {len(test.labels):,} images it has not learnt from"
        print(f"Held-out accuracy: {history['val_accuracy'][-1]:.2%} of {held_out}.")
    print(f"Saved in {target.absolute().parent}:")
    print(f"  {target.name}  the network; fastconv.models.load_model reads it")
    print(f"  {_history_path(target).name}  loss and accuracy of every epoch")
    print("Try next:")
    flags = "" if arguments.data == "digits" else f" --data {arguments.data}"
    print(f"  fastconv predict {target}{flags} PICTURE.png")
    print(f"  fastconv train {target}{flags}  # goes on where this stopped")
    if arguments.data == "digits":
        print("  fastconv train --data mnist --epochs 12  # 60,000 digits instead of 1,442")
    print("  fastconv --help")
