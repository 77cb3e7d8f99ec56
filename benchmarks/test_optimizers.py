"""One optimizer step of the Fashion-MNIST CNN's 1,413,834 parameters, beside NumPy and PyTorch.

A step is a few operations on two to five arrays, so what counts is how often memory is passed over: once
here, once in PyTorch's fused optimizers (where there is no fused one, its default), once for each operation
in NumPy.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod, sqrt
from typing import Any

import numpy as np
import pytest

from benchmarks.networks import NETWORKS
from fastconv import get_num_threads, optimizers
from fastconv.parameter import Parameter

Array = np.ndarray
RATE, STEPS, NORM = 1e-3, 3, 100.0
WEIGHTS = NETWORKS["fashion_cnn"].initial_weights()
SIZE = NETWORKS["fashion_cnn"].parameters


def gradients() -> list[Array]:
    """None near 0, where it would matter that PyTorch adds epsilon to the root and Keras under the root."""
    random = np.random.default_rng(1)
    uniform = [random.uniform(-1, 1, weight.shape).astype(np.float32) for weight in WEIGHTS]
    return [g + np.copysign(np.float32(0.5), g) for g in uniform]


# ---- the rules as whole-array operations: g, the rule's arrays (zeros at first), t from 1 -> how far to go


def sgd(g: Array, s: list[Array], t: int) -> Array:
    return RATE * g


def nesterov(g: Array, s: list[Array], t: int) -> Array:
    s[0] *= 0.9
    s[0] -= RATE * g
    return RATE * g - 0.9 * s[0]


def adagrad(g: Array, s: list[Array], t: int) -> Array:
    if t == 1:
        s[0] += 0.1
    s[0] += g * g
    return RATE * g / np.sqrt(s[0] + 1e-7)


def rmsprop(g: Array, s: list[Array], t: int) -> Array:
    s[0] += 0.1 * (g * g - s[0])
    return RATE * g / np.sqrt(s[0] + 1e-7)


def moments(g: Array, s: list[Array]) -> tuple[Array, Array]:
    s[0] += 0.1 * (g - s[0])
    s[1] += 0.001 * (g * g - s[1])
    return s[0], s[1]


def adam(g: Array, s: list[Array], t: int) -> Array:
    m, v = moments(g, s)
    return RATE * (1 - 0.999**t) ** 0.5 / (1 - 0.9**t) * m / (np.sqrt(v) + 1e-7)


def adamax(g: Array, s: list[Array], t: int) -> Array:
    s[0] += 0.1 * (g - s[0])
    np.maximum(0.999 * s[1], np.abs(g), out=s[1])
    return RATE / (1 - 0.9**t) * s[0] / (s[1] + 1e-7)


def nadam(g: Array, s: list[Array], t: int) -> Array:
    m, v = moments(g, s)
    u = [0.9 * (1 - 0.5 * 0.96**i) for i in range(1, t + 2)]
    look_ahead = u[-1] / (1 - prod(u)) * m + (1 - u[-2]) / (1 - prod(u[:-1])) * g
    return RATE * look_ahead / (np.sqrt(v / (1 - 0.999**t)) + 1e-7)


def adadelta(g: Array, s: list[Array], t: int) -> Array:
    s[0] += 0.05 * (g * g - s[0])
    step = np.sqrt(s[1] + 1e-7) / np.sqrt(s[0] + 1e-7) * g
    s[1] += 0.05 * (step * step - s[1])
    return RATE * step


# name: ours, the rule for NumPy, PyTorch's optimizer and its arguments, operations for each parameter.
RULES: dict[str, tuple[optimizers.Optimizer, Callable[..., Array], tuple[str, dict[str, Any]], int]] = {
    "sgd": (optimizers.SGD(RATE), sgd, ("SGD", {"fused": True}), 2),
    "nesterov": (
        optimizers.SGD(RATE, 0.9, nesterov=True),
        nesterov,
        ("SGD", {"momentum": 0.9, "nesterov": True, "fused": True}),
        5,
    ),
    "adagrad": (
        optimizers.Adagrad(RATE),
        adagrad,
        ("Adagrad", {"initial_accumulator_value": 0.1, "fused": True}),
        7,
    ),
    "rmsprop": (optimizers.RMSprop(RATE), rmsprop, ("RMSprop", {"alpha": 0.9}), 8),
    "adam": (optimizers.Adam(RATE), adam, ("Adam", {"fused": True}), 11),
    "adamw": (
        optimizers.AdamW(RATE, weight_decay=0.004),
        adam,
        ("AdamW", {"weight_decay": 0.004, "fused": True}),
        13,
    ),
    "adamax": (optimizers.Adamax(RATE), adamax, ("Adamax", {}), 10),
    "nadam": (optimizers.Nadam(RATE), nadam, ("NAdam", {"momentum_decay": 1.0}), 13),
    "adadelta": (optimizers.Adadelta(RATE), adadelta, ("Adadelta", {"rho": 0.95, "eps": 1e-7}), 13),
    "adam, clipped": (
        optimizers.Adam(RATE, global_clipnorm=NORM),
        adam,
        ("Adam", {"fused": True}),
        14,
    ),
}
CLIPPED = "adam, clipped"  # by global norm


# ---- the rivals: each gives its values and a step


def fastconv(name: str) -> tuple[list[Array], Callable[[], None]]:
    ours = RULES[name][0]
    optimizer = type(ours).from_config(ours.get_config())
    parameters = [Parameter(weight) for weight in WEIGHTS]
    for parameter, grad in zip(parameters, gradients(), strict=True):
        parameter.grad = grad
    return [parameter.value for parameter in parameters], lambda: optimizer.step(parameters)


def numpy(name: str) -> tuple[list[Array], Callable[[], None]]:
    rule = RULES[name][1]
    values, grads = [weight.copy() for weight in WEIGHTS], gradients()
    states = [[np.zeros_like(weight) for _ in range(2)] for weight in WEIGHTS]
    steps = 0

    def step() -> None:
        nonlocal steps
        steps += 1
        scale = min(1, NORM / sqrt(sum(np.vdot(g, g) for g in grads))) if name == CLIPPED else None
        for value, grad, state in zip(values, grads, states, strict=True):
            if name == "adamw":
                value -= RATE * 0.004 * value
            value -= rule(grad if scale is None else np.float32(scale) * grad, state, steps)

    return values, step


def pytorch(name: str) -> tuple[list[Array], Callable[[], None]]:
    torch = pytest.importorskip("torch")
    torch.set_num_threads(get_num_threads())
    kind, arguments = RULES[name][2]
    values = [torch.nn.Parameter(torch.from_numpy(weight.copy())) for weight in WEIGHTS]
    grads = [torch.from_numpy(grad) for grad in gradients()]
    optimizer = getattr(torch.optim, kind)(values, lr=RATE, **arguments)

    def step() -> None:
        for value, grad in zip(values, grads, strict=True):
            value.grad = grad
        if name == CLIPPED:
            torch.nn.utils.clip_grad_norm_(values, NORM)
        optimizer.step()

    return [value.detach().numpy() for value in values], step


RIVALS = {"fastconv": fastconv, "numpy": numpy, "pytorch": pytorch}


@pytest.mark.parametrize("rival", RIVALS)
@pytest.mark.parametrize("name", RULES)
def test_step(race, benchmark, name: str, rival: str) -> None:
    benchmark.group = f"{name}: one step of {SIZE:,} parameters"
    moves, steps = {}, {}
    for contestant in dict.fromkeys(("numpy", "fastconv", rival)):
        values, steps[contestant] = RIVALS[contestant](name)
        for _ in range(STEPS):
            steps[contestant]()
        moves[contestant] = [value - weight for value, weight in zip(values, WEIGHTS, strict=True)]
    for expected, *found in zip(*moves.values(), strict=True):
        for move in found:
            assert np.abs(move - expected).max() <= 1e-4 * np.abs(expected).max()
    race(steps[rival], RULES[name][3] * SIZE)
