"""Measure how fast networks run on this machine.

MODEL is lenet5, fashion_cnn, or a .safetensors file. Each layer is timed by itself, forward and backward,
then whole training steps and inference, on random images; nothing is saved. Rates count the multiplications
and additions of the formula: a kernel that does with fewer, such as Winograd's, may seem to pass the peak.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fastconv._core.checks import unknown_name
from fastconv.cli import options
from fastconv.cli.train import MODELS, SUFFIX

if TYPE_CHECKING:
    from fastconv.layers import Layer
    from fastconv.models import Model
    from fastconv.parameter import Array

_TICK = 1e-9  # seconds; a clock may not have moved on during a call
_LEARNING_RATE = 1e-6  # so small that the numbers stay what they are, however many steps are timed


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "model",
        nargs="?",
        default="lenet5",
        metavar="MODEL",
        help=f"{', '.join(MODELS)} or a file; default: lenet5",
    )
    parser.add_argument(
        "--batch-size",
        type=options.whole_number(1),
        default=32,
        metavar="N",
        help="images per step (default: 32)",
    )
    options.add_threads(parser)
    parser.add_argument(
        "--seconds",
        type=options.positive_number,
        default=8,
        metavar="S",
        help="time to spend, about (default: 8)",
    )


def run(arguments: argparse.Namespace) -> int:
    from fastconv import get_isa, get_num_threads, measure_peak

    options.use_threads(arguments)
    model = _model(arguments.model)
    shape = (arguments.batch_size, *_known(model.input_shape))
    x = np.random.default_rng(0).random(shape, np.float32)
    peak = measure_peak(seconds=arguments.seconds / 20)
    print(f"{arguments.model}, batches of {len(x)}, {get_isa()}, {get_num_threads()} thread(s)")
    print(f"{'':30}{'':18}{'forward':^25}{'backward':^25}")
    print(f"{'layer':30}{'output':18}" + f"{'ms':>8}{'GFLOP/s':>9}{'peak':>7} " * 2)
    pair = arguments.seconds * 0.4 / len(model.layers)
    for layer, forward, backward in _layer_times(model, x, pair / 2):
        work = operations(layer) * len(x)
        cells = _cells(forward, work, peak) + _cells(backward.seconds, backward.passes * work, peak)
        print(f"{_title(layer):30}{_size(layer.output_shape):18}{cells}")
    print()
    for what, call, passes in _whole(model, x):
        seconds = median_seconds(call, arguments.seconds * 0.2)
        work = len(x) * (passes * sum(map(operations, model.layers)) - (passes > 1) * _saved(model))
        rate = work / seconds
        print(
            f"{what:14}{len(x) / seconds:>12,.0f} images/s{1e3 * seconds:>12.3f} ms"
            f"{rate / 1e9:>12.1f} GFLOP/s{rate / peak:>10.0%} of peak"
        )
    later = measure_peak(seconds=arguments.seconds / 20)
    print(f"{'FMA peak':14}{peak / 1e9:>12,.0f} GFLOP/s measured before, {later / 1e9:,.0f} after")
    return 0


def operations(layer: Layer) -> int:
    """Multiplications and additions of the forward pass for one image; 0 where they are not what takes time.

    Each element of a kernel meets as many inputs as the layer has outputs of one channel.
    """
    from fastconv.models import Model

    if isinstance(layer, Model):
        return sum(map(operations, layer.layers))
    kernel = getattr(layer, "kernel", None)
    return 0 if kernel is None else 2 * kernel.size * math.prod(_known(layer.output_shape)[:-1])


def median_seconds(call: Callable[[], object], seconds: float) -> float:
    """Of as many calls as the time allows, at least three, after one that is not counted."""
    call()
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < 3 or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        times.append(max(time.perf_counter() - start, _TICK))
    return float(np.median(times))


def _model(name: str) -> Model:
    from fastconv import applications
    from fastconv.models import load_model
    from fastconv.utils import set_random_seed

    if name.endswith(SUFFIX):
        return load_model(name, compile=False)
    if name not in MODELS:
        raise ValueError(f"{unknown_name('model', name, MODELS)} Or give a {SUFFIX} file")
    set_random_seed(1)
    return getattr(applications, MODELS[name])()


class _Backward(NamedTuple):
    seconds: float
    passes: int  # times the forward pass's operations


def _layer_times(model: Model, x: Array, seconds: float) -> list[tuple[Layer, float, _Backward]]:
    """Each layer on the output of the one below it; the first has no gradient to send further down."""
    rng, rows = np.random.default_rng(1), []
    for layer in model.layers:
        forward = median_seconds(partial(layer.forward, x, training=True), seconds)
        x = layer.forward(x, training=True)
        dy, down = rng.standard_normal(x.shape, np.float32), layer is not model.layers[0]
        backward = median_seconds(partial(layer.backward, dy, input_gradient=down), seconds)
        rows.append((layer, forward, _Backward(backward, 1 + down)))
    return rows


def _whole(model: Model, x: Array) -> list[tuple[str, Callable[[], object], int]]:
    """The whole network's step and inference, with how often each goes through the layers."""
    from fastconv import losses
    from fastconv.losses import Loss, MeanSquaredError, SparseCategoricalCrossentropy
    from fastconv.optimizers import SGD

    outputs = _known(model.output_shape)
    y: Array
    loss: Loss
    if len(outputs) == 1 and outputs[0] > 1:
        if model.suitable_loss is None:
            loss = SparseCategoricalCrossentropy(from_logits=model.output_activation != "softmax")
        else:
            loss = losses.get(model.suitable_loss)
        y = np.arange(len(x)) % outputs[0]
    else:
        loss, y = MeanSquaredError(), np.zeros((len(x), *outputs), np.float32)
    model.compile(SGD(_LEARNING_RATE, momentum=0.9, nesterov=True), loss)
    return [
        ("training step", lambda: model.train_on_batch(x, y), 3),
        ("inference", lambda: model.predict_on_batch(x), 1),
    ]


def _saved(model: Model) -> int:
    """Operations for one image that a training step does without: the gradient of the network's input."""
    return next((work for work in map(operations, model.layers) if work), 0)


def _cells(seconds: float, work: int, peak: float) -> str:
    rate = work / seconds
    speed = f"{rate / 1e9:>9.1f}{rate / peak:>7.0%} " if work else f"{'-':>9}{'-':>7} "
    return f"{1e3 * seconds:>8.3f}{speed}"


def _title(layer: Layer) -> str:
    return f"{layer.name} ({type(layer).__name__})"[:29]


def _size(shape: tuple[int, ...] | None) -> str:
    return "x".join(map(str, _known(shape)))


def _known(shape: tuple[int | None, ...] | None) -> tuple[int, ...]:
    """``shape`` without the batch axis; the model must have been built."""
    if shape is None:
        raise ValueError("the shape of the model's input is not known: save it built, or with an Input")
    return tuple(n for n in shape if n is not None)
