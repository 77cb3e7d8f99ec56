"""Dropout in compiled networks: the same words as ops.dropout, whatever way it runs."""

from __future__ import annotations

import numpy as np
import pytest
from kernels import THREADS, each_isa
from strategies import normal

import fastconv
from fastconv import _kernels, ops

WAYS = ("lanes", "pixels", "whole")
SIZES = [(1, 1, 17), (5, 7, 3), (2, 1, 40), (9, 16, 1), (6, 10, 33)]


def program(
    way: str, size: tuple[int, int, int], stream: _kernels.Stream, **options: object
) -> _kernels.Program:
    op = {"kind": "dropout", "inputs": [0], "output": 1, "random": stream, "training": True, **options}
    return _kernels.Program([op], [size, size], [0], [True], [1], ways=[way])


def run(compiled: _kernels.Program, x: np.ndarray, dy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    y, dx = np.empty_like(x), np.empty_like(x)
    compiled.run([x], [y], keep=True).backward([dy], [dx])
    return y, dx


@pytest.mark.parametrize("spatial", [False, True])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("way", WAYS)
def test_every_way_has_the_same_words(way, size, spatial):
    random = np.random.default_rng(1)
    stream = _kernels.Stream(7, 3)
    rule = {"scale": 1.25, "shift": 0.5, "fill": -2.0}
    compiled = program(way, size, stream, threshold=round(0.3 * 2**32), spatial=spatial, **rule)
    for isa in each_isa():
        for N in (1, 5, 19):
            x, dy = normal(random, N, *size), normal(random, N, *size)
            for call in (3, 4):
                stream.call = call
                y, dx = run(compiled, x, dy)
                if spatial:  # the words of (N, C)
                    kept = ops.dropout(np.ones((N, size[2])), 0.3, 7, call, fill=-1)[:, None, None] > 0
                    np.testing.assert_array_equal(np.broadcast_to(kept, x.shape), y != -2, f"{isa}, {N}")
                    np.testing.assert_allclose(y, np.where(kept, 1.25 * x + 0.5, -2), rtol=1e-6, atol=1e-7)
                    np.testing.assert_array_equal(dx, np.where(kept, np.float32(1.25) * dy, 0))
                else:
                    np.testing.assert_array_equal(y, ops.dropout(x, 0.3, 7, call, **rule), f"{isa}, {N}")
                    np.testing.assert_array_equal(dx, ops.dropout(dy, 0.3, 7, call, scale=1.25))


def test_the_border_of_what_is_dropped_stays_zero():
    """A convolution with padding behind it reads zeros around the image, as in the other ways."""
    random = np.random.default_rng(4)
    x, kernel = normal(random, 11, 6, 5, 4), normal(random, 3, 3, 4, 6)
    found = []
    for way in ("lanes", "whole"):
        drop = {"kind": "dropout", "inputs": [0], "output": 1, "random": _kernels.Stream(9), "training": True}
        drop |= {"threshold": 2**31, "fill": 1.0}
        conv = {"kind": "conv", "inputs": [1], "output": 2, "size": (3, 3), "padding": (1, 1)}
        conv |= {"weights": [kernel, None], "gradients": [np.empty_like(kernel), None]}
        compiled = _kernels.Program(
            [drop, conv], [(6, 5, 4), (6, 5, 4), (6, 5, 6)], [0], [True], [2], ways=[way, way]
        )
        y, dx = np.empty((11, 6, 5, 6), np.float32), np.empty_like(x)
        compiled.run([x], [y], keep=True).backward([np.ones_like(y)], [dx])
        found.append((y, dx, conv["gradients"][0]))
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("way", WAYS)
def test_at_rest_nothing_changes(way):
    x, dy = normal(np.random.default_rng(2), 2, 11, 5, 7, 3)
    compiled = program(way, (5, 7, 3), _kernels.Stream(1), threshold=2**31, scale=2.0, training=False)
    for isa in each_isa():
        for found, expected in zip(run(compiled, x, dy), (x, dy), strict=True):
            np.testing.assert_array_equal(found, expected, isa)


@pytest.mark.parametrize("way", WAYS)
def test_threads_do_not_change_a_bit(way):
    x, dy = normal(np.random.default_rng(3), 2, 64, 24, 24, 10)
    found = set()
    for threads in THREADS:
        with fastconv.set_num_threads(threads):
            compiled = program(way, (24, 24, 10), _kernels.Stream(5), threshold=2**30, scale=1.5)
            found.add(tuple(array.tobytes() for array in run(compiled, x, dy)))
    assert len(found) == 1
