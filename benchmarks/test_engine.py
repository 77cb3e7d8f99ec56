"""Operations of the engine by way and layout: lanes, pixels, whole; forward and back.

Each stands alone in a program, so that "lanes" pays for loading its inputs and storing its outputs, of which
a network in lanes has few. Before it is timed, its outputs and gradients are compared with those of "whole",
which the tests hold against the reference. Whole programs are in test_train_step.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from math import prod
from typing import Any

import numpy as np
import pytest

from fastconv import _kernels
from fastconv.parameter import roomy_zeros

pytestmark = pytest.mark.benchmark(max_time=0.1, min_time=1e-5)

Array = np.ndarray
Size = tuple[int, int, int]


@dataclass
class Case:
    """One operation: sizes of its inputs and output, shapes of its weights, fields of fc_op.

    operations   multiplications and additions forward, for one image, as csrc/engine/cost.c counts them
    """

    kind: str
    inputs: list[Size]
    output: Size
    operations: float
    weights: list[tuple[int, ...]] = field(default_factory=list)
    fields: dict[str, Any] = field(default_factory=dict)


IMAGE, C = (14, 14, 16), 16
EACH = 4.0 * prod(IMAGE)
WINDOW = {"size": (2, 2), "strides": (2, 2)}
SAME = {"size": (3, 3), "padding": (1, 1)}

CASES = {
    "conv": Case("conv", [IMAGE], IMAGE, 18.0 * C * prod(IMAGE), [(3, 3, C, C), (C,)], SAME),
    "conv 5x5": Case(
        "conv", [IMAGE], (10, 10, C), 50.0 * C * 100 * C, [(5, 5, C, C), (C,)], {"size": (5, 5)}
    ),
    "conv 1x1": Case("conv", [IMAGE], IMAGE, 2.0 * C * prod(IMAGE), [(1, 1, C, C), (C,)]),
    "conv stride 2": Case(
        "conv", [IMAGE], (7, 7, C), 18.0 * C * 49 * C, [(3, 3, C, C), (C,)], {**SAME, "strides": (2, 2)}
    ),
    "conv 64 channels": Case(
        "conv", [(14, 14, 64)], (14, 14, 64), 18.0 * 64 * 196 * 64, [(3, 3, 64, 64), (64,)], SAME
    ),
    "depthwise": Case("depthwise", [IMAGE], IMAGE, 18.0 * prod(IMAGE), [(3, 3, C, 1), (C,)], SAME),
    "conv_transposed": Case(
        "conv_transposed", [(7, 7, C)], IMAGE, 8.0 * 49 * C * C, [(2, 2, C, C), (C,)], WINDOW
    ),
    "dense": Case("dense", [(1, 1, 400)], (1, 1, 120), 2.0 * 400 * 120, [(400, 120), (120,)]),
    "max_pool": Case("max_pool", [IMAGE], (7, 7, C), 4.0 * 49 * C, fields=WINDOW),
    "avg_pool": Case("avg_pool", [IMAGE], (7, 7, C), 4.0 * 49 * C, fields=WINDOW),
    "global_max_pool": Case("global_max_pool", [IMAGE], (1, 1, C), float(prod(IMAGE))),
    "global_avg_pool": Case("global_avg_pool", [IMAGE], (1, 1, C), float(prod(IMAGE))),
    "batch_norm": Case(
        "batch_norm", [IMAGE], IMAGE, EACH, [(C,)] * 4, {"training": True, "epsilon": 1e-3, "momentum": 0.99}
    ),
    "activation relu": Case("activation", [IMAGE], IMAGE, EACH, fields={"activation": "relu"}),
    "activation gelu": Case("activation", [IMAGE], IMAGE, EACH, fields={"activation": "gelu"}),
    "prelu": Case("prelu", [IMAGE], IMAGE, EACH, [IMAGE]),
    "softmax": Case("softmax", [IMAGE], IMAGE, EACH),
    "dropout": Case(
        "dropout",
        [IMAGE],
        IMAGE,
        EACH,
        fields={"scale": 2.0, "threshold": 1 << 31, "training": True, "random": _kernels.Stream(1)},
    ),
    "elementwise add": Case("elementwise", [IMAGE, IMAGE], IMAGE, EACH, fields={"elementwise": "add"}),
    "elementwise multiply": Case(
        "elementwise", [IMAGE, (1, 1, C)], IMAGE, EACH, fields={"elementwise": "multiply"}
    ),
    "scale": Case("scale", [IMAGE], IMAGE, EACH, fields={"scale": 0.5, "shift": 1.0}),
    "concatenate": Case("concatenate", [IMAGE, (14, 14, 6)], (14, 14, C + 6), 4.0 * 196 * (C + 6)),
    "pad": Case("pad", [IMAGE], (16, 16, C), 4.0 * 256 * C, fields={"padding": (1, 1)}),
    "upsample": Case("upsample", [IMAGE], (28, 28, C), 16.0 * prod(IMAGE), fields={"size": (2, 2)}),
    "reshape": Case("reshape", [IMAGE], (1, 1, prod(IMAGE)), EACH),
}


class Running:
    """A case in a program of its own, for so many images."""

    def __init__(self, case: Case, way: str, images: int) -> None:
        rng = np.random.default_rng(0)

        def normal(*shape: int) -> Array:
            return rng.standard_normal(shape, np.float32)

        self.weights = [roomy_zeros(shape) for shape in case.weights]
        for weight in self.weights:
            weight[...] = np.abs(normal(*weight.shape)) / np.sqrt(prod(weight.shape[:-1]))
        learned = 2 if case.kind == "batch_norm" else len(self.weights)
        self.gradients = [np.zeros_like(weight) for weight in self.weights[:learned]]
        self.xs = [normal(images, *size) for size in case.inputs]
        self.dy, self.y = normal(images, *case.output), np.empty((images, *case.output), np.float32)
        self.dxs = [np.empty_like(x) for x in self.xs]
        count = len(case.inputs)
        op = {"kind": case.kind, "inputs": list(range(count)), "output": count, **case.fields}
        op["weights"] = self.weights
        op["gradients"] = [*self.gradients, *[None] * (len(self.weights) - learned)]
        sizes = [*case.inputs, case.output]
        self.program = _kernels.Program([op], sizes, list(range(count)), [True] * count, [count], [way])
        self.way = self.program.describe(images, True)[0][0]["way"]

    def forward(self) -> None:
        self.program.run(self.xs, [self.y])

    def there_and_back(self) -> None:
        self.program.run(self.xs, [self.y], keep=True).backward([self.dy], self.dxs)

    def results(self) -> list[Array]:
        self.there_and_back()
        return [array.copy() for array in (self.y, *self.dxs, *self.gradients)]


@cache
def expected(name: str, images: int) -> list[Array]:
    return Running(CASES[name], "whole", images).results()


@pytest.mark.parametrize("both", [False, True], ids=["forward", "forward and back"])
@pytest.mark.parametrize("images", [1, 32])
@pytest.mark.parametrize("way", _kernels.WAYS)
@pytest.mark.parametrize("name", CASES)
def test_operation(race, benchmark, name: str, way: str, images: int, both: bool) -> None:
    benchmark.group = f"{name}, {images} image(s), {'forward and back' if both else 'forward'}"
    case = CASES[name]
    running = Running(case, way, images)
    if running.way != way:
        pytest.skip(f"{way} does not take it")
    for found, right in zip(running.results(), expected(name, images), strict=True):
        np.testing.assert_allclose(found, right, atol=1e-4 * max(1.0, float(np.abs(right).max())))
    gradients = len(case.inputs) + (prod(case.weights[0]) > case.output[2] if case.weights else 0)
    race(
        running.there_and_back if both else running.forward,
        images * case.operations * (1 + gradients if both else 1),
    )
