"""Batch normalisation in training, forward and backward, beside NumPy and, where it is installed, PyTorch.

What it waits for is memory, so the table's rates are in GB/s, of the arrays that have to be moved where they
are larger than the caches: 3 forward (x twice, y), 5 backward (dy and x twice, dx).
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastconv
from fastconv import ops

BATCH, EPSILON = 32, 1e-3
RIVALS = ("fastconv", "numpy", *(("torch",) if importlib.util.find_spec("torch") else ()))
# After the convolutions of small networks, and before a dense layer.
SHAPES = [(28, 28, 6), (32, 32, 10), (28, 28, 64), (14, 14, 128), (7, 7, 256), (512,)]
Array = np.ndarray


def race_bandwidth(benchmark, function: Callable[[], Any], x: Array, arrays: int) -> None:
    """Time ``function``, which has to move so many arrays of the size of x, and note its GB/s."""
    benchmark(function)
    if benchmark.disabled:
        return
    rate = arrays * x.nbytes / benchmark.stats.stats.median
    benchmark.extra_info.update(
        gigabytes_per_second=round(rate / 1e9, 2), isa=fastconv.get_isa(), threads=fastconv.get_num_threads()
    )


def arguments(shape: tuple[int, ...]) -> tuple[Array, ...]:
    """x, dy, gamma, beta"""
    random = np.random.default_rng(0)
    sizes = ((BATCH, *shape), (BATCH, *shape), shape[-1:], shape[-1:])
    return tuple(random.standard_normal(size, np.float32) for size in sizes)


def ours(x: Array, dy: Array, gamma: Array, beta: Array) -> tuple[Callable, Callable]:
    """forward() and backward(), which goes with the latest forward()."""
    kept: list[Array] = []

    def forward() -> Array:
        kept[:] = ops.moments(x)
        return ops.batch_norm(x, *kept, gamma, beta, EPSILON)

    def backward() -> tuple[Array, ...]:
        dgamma, dbeta = ops.batch_norm_backward_weights(dy, x, *kept, EPSILON)
        return ops.batch_norm_backward_data(dy, x, *kept, gamma, dgamma, dbeta, EPSILON), dgamma, dbeta

    return forward, backward


def with_numpy(x: Array, dy: Array, gamma: Array, beta: Array) -> tuple[Callable, Callable]:
    axes, kept = tuple(range(x.ndim - 1)), []

    def forward() -> Array:
        centered = x - x.mean(axes)
        inverse = 1 / np.sqrt((centered * centered).mean(axes) + np.float32(EPSILON))
        kept[:] = centered * inverse, inverse
        return gamma * kept[0] + beta

    def backward() -> tuple[Array, ...]:
        normalised, inverse = kept
        dgamma, dbeta = (dy * normalised).sum(axes), dy.sum(axes)
        m = np.float32(x.size // x.shape[-1])
        return gamma * inverse * (dy - dbeta / m - normalised * (dgamma / m)), dgamma, dbeta

    return forward, backward


def with_torch(x: Array, dy: Array, gamma: Array, beta: Array) -> tuple[Callable, Callable]:
    """In the memory format that suits it: channels last."""
    import torch

    torch.set_num_threads(fastconv.get_num_threads())

    def tensor(array: Array) -> Any:
        return torch.tensor(array).movedim(-1, 1) if array.ndim > 1 else torch.tensor(array)

    tx, tdy, tg, tb = map(tensor, (x, dy, gamma, beta))
    kept: list[Any] = []

    def forward() -> Array:
        y, *kept[:] = torch.native_batch_norm(tx, tg, tb, None, None, True, 0.0, EPSILON)
        return y.movedim(1, -1).numpy()

    def backward() -> tuple[Array, ...]:
        wanted = (True, True, True)
        dx, dgamma, dbeta = torch.ops.aten.native_batch_norm_backward(
            tdy, tx, tg, None, None, *kept, True, EPSILON, wanted
        )
        return dx.movedim(1, -1).numpy(), dgamma.numpy(), dbeta.numpy()

    return forward, backward


MAKERS = {"fastconv": ours, "numpy": with_numpy, "torch": with_torch}


@pytest.mark.parametrize("rival", RIVALS)
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "x".join(map(str, shape)))
class TestBatchNorm:
    def test_forward(self, benchmark, shape: tuple[int, ...], rival: str) -> None:
        benchmark.group = f"batch norm forward {BATCH} x {shape}"
        given = arguments(shape)
        forward, _ = MAKERS[rival](*given)
        np.testing.assert_allclose(forward(), with_numpy(*given)[0](), atol=1e-4)
        race_bandwidth(benchmark, forward, given[0], 3)

    def test_backward(self, benchmark, shape: tuple[int, ...], rival: str) -> None:
        benchmark.group = f"batch norm backward {BATCH} x {shape}"
        given = arguments(shape)
        forward, backward = MAKERS[rival](*given)
        expected_forward, expected_backward = with_numpy(*given)
        forward(), expected_forward()
        for found, expected in zip(backward(), expected_backward(), strict=True):
            np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())
        race_bandwidth(benchmark, backward, given[0], 5)
