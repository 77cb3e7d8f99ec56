"""What is not convolution, beside NumPy: dense layers, pooling, activations, dropout, penalties."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from fastconv import ops

BATCH = 32
RIVALS = ("fastconv", "numpy")
Array = np.ndarray


def normal(*shape: int) -> Array:
    return np.random.default_rng(0).standard_normal(shape, np.float32)


def compare(
    race, benchmark, rival: str, group: str, calls: dict[str, Callable[[], Any]], operations: float
) -> None:
    """Check that both give the same, then time the one that it is the turn of."""
    benchmark.group = group
    found, expected = (np.asarray(calls[name]()) for name in RIVALS)
    assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()
    race(calls[rival], operations)


@pytest.mark.parametrize("rival", RIVALS)
@pytest.mark.parametrize(("C_in", "C_out"), [(400, 120), (120, 84), (84, 10), (2304, 128)])
class TestDense:
    def test_forward(self, race, benchmark, C_in: int, C_out: int, rival: str) -> None:
        x, kernel, bias = normal(BATCH, C_in), normal(C_in, C_out), normal(C_out)
        calls = {"fastconv": lambda: ops.dense(x, kernel, bias), "numpy": lambda: x @ kernel + bias}
        compare(race, benchmark, rival, f"dense forward {C_in} -> {C_out}", calls, 2 * BATCH * C_in * C_out)

    def test_backward_data(self, race, benchmark, C_in: int, C_out: int, rival: str) -> None:
        dy, kernel = normal(BATCH, C_out), normal(C_in, C_out)
        calls = {"fastconv": lambda: ops.dense_backward_data(dy, kernel), "numpy": lambda: dy @ kernel.T}
        compare(
            race, benchmark, rival, f"dense backward-data {C_in} -> {C_out}", calls, 2 * BATCH * C_in * C_out
        )

    def test_backward_kernel(self, race, benchmark, C_in: int, C_out: int, rival: str) -> None:
        x, dy = normal(BATCH, C_in), normal(BATCH, C_out)
        calls = {
            "fastconv": lambda: ops.dense_backward_kernel(x, dy)[0],
            "numpy": lambda: (x.T @ dy, dy.sum(0))[0],
        }
        compare(
            race,
            benchmark,
            rival,
            f"dense backward-kernel {C_in} -> {C_out}",
            calls,
            2 * BATCH * C_in * C_out,
        )


def quarters(x: Array) -> list[Array]:
    """The four taps of windows of 2x2, side by side."""
    return [x[:, i::2, j::2] for i in (0, 1) for j in (0, 1)]


@pytest.mark.parametrize("rival", RIVALS)
@pytest.mark.parametrize(("size", "C"), [(28, 6), (32, 10), (28, 64), (14, 128)])
class TestPooling:
    def test_max(self, race, benchmark, size: int, C: int, rival: str) -> None:
        x = normal(BATCH, size, size, C)
        a, b, c, d = quarters(x)
        calls = {
            "fastconv": lambda: ops.max_pool2d(x)[0],
            "numpy": lambda: np.maximum(np.maximum(a, b), np.maximum(c, d)),
        }
        compare(race, benchmark, rival, f"max pool {size}x{size}x{C}", calls, x.size)

    def test_max_backward(self, race, benchmark, size: int, C: int, rival: str) -> None:
        x, dy = normal(BATCH, size, size, C), normal(BATCH, size // 2, size // 2, C)
        _, switches = ops.max_pool2d(x)

        def with_numpy() -> Array:
            dx = np.empty_like(x)
            for tap, quarter in enumerate(quarters(dx)):
                np.multiply(dy, switches == tap, out=quarter)
            return dx

        calls = {"fastconv": lambda: ops.max_pool2d_backward(dy, switches, x.shape), "numpy": with_numpy}
        compare(race, benchmark, rival, f"max pool backward {size}x{size}x{C}", calls, x.size)

    def test_average(self, race, benchmark, size: int, C: int, rival: str) -> None:
        x = normal(BATCH, size, size, C)
        a, b, c, d = quarters(x)
        calls = {"fastconv": lambda: ops.avg_pool2d(x), "numpy": lambda: (a + b + c + d) / 4}
        compare(race, benchmark, rival, f"average pool {size}x{size}x{C}", calls, x.size)


ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "relu": lambda x: np.maximum(x, 0),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": np.tanh,
    "soft_shrink": lambda x: np.where(np.abs(x) <= 0.5, 0, x - np.copysign(np.float32(0.5), x)),
    "hard_shrink": lambda x: np.where(np.abs(x) <= 0.5, 0, x),
    "sparse_plus": lambda x: np.where(x >= 1, x, np.clip(x + 1, 0, 2) ** 2 / 4),
    "sparse_sigmoid": lambda x: np.clip(x + 1, 0, 2) / 2,
    "squareplus": lambda x: (x + np.sqrt(x * x + 4)) / 2,
    "tanh_shrink": lambda x: x - np.tanh(x),
}


@pytest.mark.parametrize("rival", RIVALS)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation(race, benchmark, name: str, rival: str) -> None:
    x = normal(BATCH, 28, 28, 64)
    calls = {"fastconv": lambda: ops.activation(x, name), "numpy": lambda: ACTIVATIONS[name](x)}
    compare(race, benchmark, rival, f"activation {name} of {x.size:,}", calls, x.size)


@pytest.mark.parametrize("rival", RIVALS)
def test_softmax_cross_entropy(race, benchmark, rival: str) -> None:
    logits, labels, rows = normal(128, 10), np.arange(128) % 10, np.arange(128)

    def with_numpy() -> Array:
        powers = np.exp(logits - logits.max(1, keepdims=True))
        p = powers / powers.sum(1, keepdims=True)
        float(-np.log(p[rows, labels]).mean())
        p[rows, labels] -= 1
        return p / np.float32(len(labels))

    calls = {"fastconv": lambda: ops.softmax_cross_entropy(logits, labels)[1], "numpy": with_numpy}
    compare(race, benchmark, rival, "softmax and cross-entropy of (128, 10)", calls, logits.size)


@pytest.mark.parametrize("rival", RIVALS)
@pytest.mark.parametrize("shape", [(BATCH, 128), (BATCH, 14, 14, 64)])
def test_dropout(race, benchmark, shape: tuple[int, ...], rival: str) -> None:
    """Numbers from different generators: what both must have in common is the mean."""
    x, random = np.ones(shape, np.float32), np.random.default_rng(0)
    calls = {
        "fastconv": lambda: ops.dropout(x, 0.5, seed=1),
        "numpy": lambda: x * ((random.random(shape, np.float32) >= 0.5) * np.float32(2)),
    }
    benchmark.group = f"dropout {shape}"
    assert abs(calls[rival]().mean() - 1) < 5 / np.sqrt(x.size)
    race(calls[rival], x.size)


@pytest.mark.parametrize("rival", RIVALS)
@pytest.mark.parametrize("count", [10_000, 1_413_834])
def test_penalty(race, benchmark, count: int, rival: str) -> None:
    w, grad = normal(count), np.zeros(count, np.float32)

    def with_numpy() -> Array:
        np.add(grad, 0.02 * w + 0.01 * np.sign(w), out=grad)
        return 0.01 * np.abs(w).sum() + 0.01 * np.square(w).sum()

    calls = {"fastconv": lambda: ops.l1_l2_penalty(w, 0.01, 0.01, grad), "numpy": with_numpy}
    compare(race, benchmark, rival, f"penalty on {count} weights", calls, 8 * count)
