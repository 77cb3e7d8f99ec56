"""Train a network and save it.

MODEL is lenet5, fashion_cnn, cs231n, convnetjs_cifar10, or a .safetensors file to go on with. Without any
argument LeNet-5 learns the handwritten digits that come with fastconv. After every epoch the network is tried
on the test images, from which it does not learn, and the best one so far is saved. If a later epoch was not
better, the network after it is kept in a second file. Ctrl-C stops; so does anything else that ends the
process, and nothing is lost but the epoch that had begun.

"fastconv train FILE" goes on after the last epoch: with the rest of the epochs that were planned, or if all
are done with as many as before a first run; with the data, the learning rate, the optimizer and the random
numbers where they were. FILE is replaced only by a better network. With other --data than FILE was trained on
a new training begins with its weights, and a new file.
"""

from __future__ import annotations

import argparse
import importlib.util
import math
import os
import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from fastconv._core.checks import unknown_name
from fastconv._core.files import writable_place
from fastconv.cli import answers, data, options
from fastconv.cli.course import Course, course_in
from fastconv.cli.keeper import SUFFIX, Curves, Keeper, Score, best_path, history_path, last_path, score

if TYPE_CHECKING:
    import numpy as np

    from fastconv.models import Model

MODELS = {
    "lenet5": "LeNet5",
    "fashion_cnn": "FashionCNN",
    "cs231n": "CS231nNet",
    "convnetjs_cifar10": "ConvNetJSCifar10",
}
# The digits are so few that many epochs take no time, and need shifting so as not to be learnt by heart.
EPOCHS = {"digits": 30}
SHIFT = {"digits": 2}
BATCH_SIZE = 32
VALIDATION_BATCH = 256
SEED = 1
LEARNING_RATE = {"lenet5": 0.002}  # with the default optimizer


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "model",
        nargs="?",
        default="lenet5",
        metavar="MODEL",
        help=f"{', '.join(MODELS)} or a file; default: lenet5",
    )
    options.add_data(parser, "what to learn", "digits, or what FILE says it was trained on")
    parser.add_argument(
        "--epochs",
        type=options.whole_number(1),
        metavar="N",
        help="passes over the data, from here on (default: 30 for digits, else 10)",
    )
    parser.add_argument(
        "--batch-size",
        type=options.whole_number(1),
        metavar="N",
        help=f"images per step (default: {BATCH_SIZE})",
    )
    parser.add_argument("--optimizer", metavar="NAME", help="sgd, adam, nadam, ... (default: nadam)")
    parser.add_argument(
        "--learning-rate",
        type=options.positive_number,
        metavar="RATE",
        help="learning rate; the last third of the epochs runs at a tenth of it (default: 0.002 for lenet5, "
        "else the optimizer's)",
    )
    parser.add_argument(
        "--shift",
        type=options.whole_number(0),
        metavar="PIXELS",
        help="move each image at random by up to so many pixels (default: 2 for digits, else 0)",
    )
    options.add_threads(parser)
    parser.add_argument(
        "--seed",
        type=options.whole_number(0),
        metavar="N",
        help=f"seed of all random numbers (default: {SEED}, or where FILE stopped)",
    )
    parser.add_argument(
        "--save",
        type=Path,
        metavar="PATH",
        help=f"the file to write (default: MODEL-DATA{SUFFIX}, or the file given)",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace a network that is there, whatever it is"
    )
    parser.add_argument(
        "--verbose",
        type=int,
        choices=(0, 1, 2),
        default=1,
        help="0: quiet, 1: progress bar, 2: a line per epoch",
    )


class Job(NamedTuple):
    """A training that is about to begin.

    known         its data set
    done          epochs before this run
    past          their history
    target        the file to write
    in_place      whether the network of the target is gone on with
    random_state  where the random numbers go on; None where a seed says it
    """

    model: Model
    known: data.TrainedOn
    train: data.Split
    test: data.Split
    course: Course
    target: Path
    done: int
    past: Curves
    in_place: bool = False
    random_state: dict[str, Any] | None = None


def run(arguments: argparse.Namespace) -> int:
    from fastconv.utils import set_random_seed

    options.use_threads(arguments)
    set_random_seed(SEED if arguments.seed is None else arguments.seed)
    job = _go_on(arguments) if arguments.model.endswith(SUFFIX) else _begin(arguments)
    if arguments.verbose:
        job.model.summary()
    best = _score_of(job) if job.in_place else None
    notes = {"trained_on": job.known._asdict(), "course": job.course._asdict()}
    keeper = Keeper(job.target, job.past, notes, best, arguments.overwrite or job.in_place)
    _restore_random_numbers(job)

    stopped = False
    start = time.perf_counter()
    try:
        _fit(job, keeper, arguments.verbose)
    except KeyboardInterrupt:
        stopped = True
    seconds = time.perf_counter() - start

    if _diverged(job.model):
        kept = "the epochs before are saved" if keeper.epochs_kept else "nothing was saved"
        print(f"Training diverged: the loss is not a number; {kept}. Try a smaller --learning-rate.")
        return 1
    if arguments.verbose:
        _report(job, keeper, seconds, stopped)
    return 130 if stopped else 0


# ---- before training


def _begin(arguments: argparse.Namespace) -> Job:
    """A new network."""
    from fastconv import applications

    name = arguments.data or "digits"
    if arguments.model not in MODELS:
        error = unknown_name("model", arguments.model, MODELS)
        raise ValueError(f"{error} Or give a {SUFFIX} file to go on with")
    target = arguments.save or Path(f"{arguments.model}-{name}{SUFFIX}")
    _check_target(target, arguments.overwrite)
    train, test = data.load(name)
    model = getattr(applications, MODELS[arguments.model])(train.images.shape[1:], name=arguments.model)
    _compile(model, arguments)
    known = data.TrainedOn(name, data.class_names(name), data.white_of(model))
    course = _new_course(model, arguments, name)
    _check_shift(course.shift, train.images)
    return Job(model, known, train, test, course, target, 0, {})


def _go_on(arguments: argparse.Namespace) -> Job:
    """The network of a file, after its last epoch."""
    from fastconv.models import load_model, read_notes

    path = best_path(Path(arguments.model))
    source = _latest(path)
    model, notes = load_model(source), read_notes(source)
    known = data.trained_on(source)
    elsewhere = known is not None and arguments.data not in (None, known.data)
    if known is None or elsewhere:
        known = data.named(arguments.data, model, path)
    own_name = path.with_name(f"{path.name.removesuffix(SUFFIX)}-{known.data}{SUFFIX}") if elsewhere else path
    target = arguments.save or own_name
    in_place = os.path.realpath(target) == os.path.realpath(path)
    _check_target(target, arguments.overwrite or in_place)
    train, test = data.load(known.data)
    data.check_fits(model, known, train.images)

    course = course_in(notes)
    if elsewhere and model.optimizer is not None and course is not None and course.learning_rate is not None:
        model.optimizer.learning_rate = course.learning_rate  # not the lowered one
    _recompile(model, arguments)
    past = model.history.history if model.history and not elsewhere else {}
    done = max(map(len, past.values()), default=0)
    if course is None or elsewhere:
        course = _new_course(model, arguments, known.data, done)
    else:
        course = _changed_course(course, model, arguments, known.data, done)
    _check_shift(course.shift, train.images)
    random_state = notes.get("random_state") if arguments.seed is None and not elsewhere else None
    return Job(model, known, train, test, course, target, done, past, in_place, random_state)


def _latest(path: Path) -> Path:
    """The file with the network after the last epoch of the training whose best is in ``path``.

    It is of that training if its history begins with the one in ``path`` and has more.
    """
    from fastconv.models import load_model

    last = last_path(path)
    if not last.exists():
        return path
    best_history, last_history = (
        model.history.history if model.history else {}
        for model in (load_model(path, compile=False), load_model(last, compile=False))
    )
    epochs = len(best_history.get("loss", ()))
    begins = {name: values[:epochs] for name, values in last_history.items()}
    return last if begins == best_history and len(last_history.get("loss", ())) > epochs else path


def _new_course(model: Model, arguments: argparse.Namespace, name: str, done: int = 0) -> Course:
    return Course.of_epochs(
        done,
        arguments.epochs or EPOCHS.get(name, 10),
        _constant_rate(model),
        arguments.batch_size or BATCH_SIZE,
        SHIFT.get(name, 0) if arguments.shift is None else arguments.shift,
    )


def _changed_course(
    course: Course, model: Model, arguments: argparse.Namespace, name: str, done: int
) -> Course:
    """The course of a file, as far as the arguments do not say otherwise."""
    batch_size = arguments.batch_size or course.batch_size
    shift = course.shift if arguments.shift is None else arguments.shift
    left = course.epochs - done
    epochs = arguments.epochs or (left if left > 0 else EPOCHS.get(name, 10))
    if arguments.optimizer or arguments.learning_rate:
        return Course.of_epochs(done, epochs, _constant_rate(model), batch_size, shift)
    if epochs != left:
        course = course.extended(done, epochs)
    return course._replace(batch_size=batch_size, shift=shift)


def _constant_rate(model: Model) -> float | None:
    assert model.optimizer is not None
    rate = model.optimizer.get_config()["learning_rate"]
    return rate if isinstance(rate, float) else None


def _recompile(model: Model, arguments: argparse.Namespace) -> None:
    """What ``--optimizer`` and ``--learning-rate`` change in a network that is gone on with."""
    if arguments.optimizer or not model.compiled:
        _compile(model, arguments)
    elif arguments.learning_rate:
        try:
            model.optimizer.learning_rate = arguments.learning_rate  # type: ignore[union-attr]
        except TypeError as error:  # it follows a schedule
            raise ValueError(f"--learning-rate: {error}, which --optimizer does here") from None


def _compile(model: Model, arguments: argparse.Namespace) -> None:
    from fastconv import optimizers

    optimizer = optimizers.get(arguments.optimizer or "nadam")
    if arguments.learning_rate:
        optimizer.learning_rate = arguments.learning_rate
    elif not arguments.optimizer and arguments.model in LEARNING_RATE:
        optimizer.learning_rate = LEARNING_RATE[arguments.model]
    model.compile(optimizer=optimizer, loss=answers.loss_for(model), metrics=["accuracy"])


def _check_target(target: Path, overwrite: bool) -> None:
    """Find out before training, not after it, that the result could not be written, or would replace what
    is not meant to be replaced.
    """
    if target.suffix != SUFFIX:
        raise ValueError(f"--save {target}: the name of a model file must end in {SUFFIX}")
    for path in (target, history_path(target), last_path(target)):
        writable_place(path)
        if path.exists() and not overwrite:
            go_on = f"go on with it by: fastconv train {shlex.quote(str(target))}; or " * (path == target)
            raise FileExistsError(
                f"{path} exists already: {go_on}add --overwrite to replace it, or --save NAME"
            )


def _check_shift(shift: int, images: np.ndarray) -> None:
    smallest = min(images.shape[1:3])
    if shift >= smallest:
        raise ValueError(
            f"--shift {shift}: the images have {smallest} pixels a side, so at most {smallest - 1} keep them "
            "in sight; 2 is usual"
        )


def _score_of(job: Job) -> Score:
    """How good the network is that the target has now, measured as it will be after each epoch."""
    from fastconv.models import load_model

    model = load_model(job.target)
    if not model.compiled:
        model.compile(loss=answers.loss_for(model), metrics=["accuracy"])
    images = data.scaled(job.test.images, job.known.white)
    results = model.evaluate(images, job.test.labels, VALIDATION_BATCH, verbose=0, return_dict=True)
    assert isinstance(results, dict)
    return score(results)


def _restore_random_numbers(job: Job) -> None:
    from fastconv._core.randomness import set_generator_state

    if job.random_state is None:
        return
    try:
        set_generator_state(job.random_state)
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(
            f"{job.target} is damaged: what it says of the random numbers is no state of theirs; "
            "--seed does without it"
        ) from error


# ---- training


def _fit(job: Job, keeper: Keeper, verbose: int) -> None:
    from fastconv.callbacks import TerminateOnNaN
    from fastconv.cli.cool_down import CoolDown
    from fastconv.cli.shifts import ShiftedBatches

    batch_size, shift, rate = job.course.batch_size, job.course.shift, job.course.learning_rate
    images, labels = data.scaled(job.train.images, job.known.white), job.train.labels
    examples: dict[str, Any] = {"x": images, "y": labels, "batch_size": batch_size}
    if shift:
        examples = {"x": ShiftedBatches(images, labels, batch_size, shift)}
    cool_down = [] if rate is None else [CoolDown(rate, job.course.cool_down_from)]
    job.model.fit(
        **examples,
        initial_epoch=job.done,
        epochs=job.course.epochs,
        validation_data=(data.scaled(job.test.images, job.known.white), job.test.labels),
        validation_batch_size=VALIDATION_BATCH,
        callbacks=[TerminateOnNaN(), *cool_down, keeper],
        verbose=verbose,
    )


def _diverged(model: Model) -> bool:
    losses = model.history.history.get("loss", []) if model.history else []
    return bool(losses) and not math.isfinite(losses[-1])


# ---- after training


def _report(job: Job, keeper: Keeper, seconds: float, stopped: bool) -> None:
    target, done = job.target, job.done + keeper.epochs_kept
    print()
    if stopped:
        print(f"Stopped after {seconds:.1f} s of training, with {done} of {job.course.epochs} epochs done.")
    else:
        print(f"Trained for {seconds:.1f} s.")
    if not keeper.epochs_kept:
        unchanged = f"; {target} is as it was" if target.exists() else ""
        print(f"No epoch was completed, so nothing was saved{unchanged}.")
        return
    best = keeper.best_results
    if best is None:
        print(f"No epoch was better than the network in {target}, which is as it was.")
    elif "val_accuracy" in best:
        accuracy, epoch = best["val_accuracy"], best["epoch"] + 1
        images = f"{len(job.test.labels):,} test images"
        line = f"Held-out accuracy: {accuracy:.2%} of the {images} after epoch {epoch}"
        if last_path(target).exists():
            now = job.model.history.history["val_accuracy"][-1]  # type: ignore[union-attr]
            line += f", the best on these images; {now:.2%} after epoch {done}"
        print(f"{line}.")
    print(f"Saved in {target.absolute().parent}:")
    if best is not None:
        print(f"  {target.name}  the network; fastconv.models.load_model reads it")
    if last_path(target).exists():
        print(f"  {last_path(target).name}  the network after the last epoch, which was not the best")
    print(f"  {history_path(target).name}  loss and accuracy of every epoch")
    file = shlex.quote(str(target))
    print("Try next:")
    print(f"  fastconv evaluate {file}")
    pillow = "" if importlib.util.find_spec("PIL") else "  # first: python -m pip install 'fastconv[images]'"
    print(f"  fastconv predict {file} PICTURE.png{pillow}")
    print(f"  fastconv train {file}  # goes on where this stopped")
    if job.known.data == "digits":
        print("  fastconv train --data mnist --epochs 12  # 60,000 digits instead of 1,442")
    print("  fastconv --help")
