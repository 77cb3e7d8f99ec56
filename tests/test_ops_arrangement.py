"""Concatenation, splitting, cropping, permutation and products along an axis, on both backends."""

from __future__ import annotations

import numpy as np
import pytest
from kernels import assert_same_bits_on_any_threads, each_isa
from strategies import check, normal, rounding_bound

import fastconv
from fastconv import ops, reference


@pytest.fixture(params=["native", "reference"])
def backend(request):
    with fastconv.set_backend(request.param):
        yield np.float64 if request.param == "reference" else np.float32


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("sizes", [(1,), (2, 3), (4, 0, 1)])
def test_concatenate_and_split(backend, sizes, axis):
    whole = np.arange(60, dtype=np.float32).reshape(3, 4, 5)
    whole = np.moveaxis(whole, 2, axis)[(slice(None),) * (axis % 3) + (slice(sum(sizes)),)]
    ends = np.cumsum(sizes)
    expected = np.split(whole, ends[:-1], axis)
    parts = ops.split(whole, sizes, axis)
    assert [p.shape[axis] for p in parts] == list(sizes)
    for part, wanted in zip(parts, expected, strict=True):
        np.testing.assert_array_equal(part, wanted)
        assert part.flags.c_contiguous
        assert part.dtype == backend
    joined = ops.concatenate(parts, axis)
    np.testing.assert_array_equal(joined, whole)
    assert joined.dtype == backend


def test_crop(backend):
    x = np.arange(2 * 5 * 6 * 3, dtype=np.float32).reshape(2, 5, 6, 3)
    for cropping, (rows, columns) in {
        1: (slice(1, 4), slice(1, 5)),
        (0, 2): (slice(0, 5), slice(2, 4)),
        ((1, 0), (0, 5)): (slice(1, 5), slice(0, 1)),
    }.items():
        y = ops.crop2d(x, cropping)
        np.testing.assert_array_equal(y, x[:, rows, columns])
        dx = ops.crop2d_backward(y, x.shape, cropping)
        np.testing.assert_array_equal(dx[:, rows, columns], y)
        assert dx.sum() == y.sum()
        assert dx.dtype == y.dtype == backend


def test_permute(backend):
    x = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    y = ops.permute(x, (2, 0, 1))
    np.testing.assert_array_equal(y, x.transpose(2, 0, 1))
    assert y.flags.c_contiguous
    np.testing.assert_array_equal(ops.permute(y, np.argsort((2, 0, 1))), x)
    assert ops.permute(np.float32(3), ()).shape == ()


DOTS = [
    ((3, 4), (3, 4), 1),
    ((2, 5, 7), (2, 7, 3), (2, 1)),
    ((2, 7, 5), (2, 3, 7), (1, 2)),
    ((2, 3, 2, 9), (2, 4, 9, 2), (3, 2)),
    ((2, 9), (2, 4, 9), (1, 2)),
    ((2, 1, 1), (2, 1, 1), -1),
    ((0, 3, 4), (0, 4, 2), (2, 1)),
    ((2, 3, 0), (2, 0, 4), (2, 1)),
]


@pytest.mark.parametrize(("a_shape", "b_shape", "axes"), DOTS)
def test_dot_equals_the_reference(a_shape, b_shape, axes):
    random = np.random.default_rng(1)
    a, b = normal(random, *a_shape), normal(random, *b_shape)
    y = reference.dot(a, b, axes)
    dy = normal(random, *y.shape)
    gradients = reference.dot_backward(dy, a, b, axes)
    scales = reference.dot(abs(a), abs(b), axes), *reference.dot_backward(abs(dy), abs(a), abs(b), axes)
    for isa in each_isa():
        found = ops.dot(a, b, axes), *ops.dot_backward(dy, a, b, axes)
        for actual, expected, scale in zip(found, (y, *gradients), scales, strict=True):
            check(actual, expected, rounding_bound(scale, 20), isa)


def test_threads_do_not_change_a_bit_of_a_product():
    random = np.random.default_rng(2)
    a, b = normal(random, 2, 150, 170), normal(random, 2, 170, 160)
    dy = ops.dot(a, b, (2, 1))
    assert_same_bits_on_any_threads(lambda: (ops.dot(a, b, (2, 1)), *ops.dot_backward(dy, a, b, (2, 1))))


def test_errors():
    x = np.ones((2, 3, 4))
    with pytest.raises(ValueError, match="at least one array"):
        ops.concatenate([])
    with pytest.raises(
        ValueError, match=r"must agree in all other axes; got shapes \(2, 3, 4\), \(2, 2, 4\)"
    ):
        ops.concatenate([x, np.ones((2, 2, 4))], -1)
    with pytest.raises(ValueError, match="axis must be one of the 3 axes"):
        ops.concatenate([x, x], 3)
    with pytest.raises(ValueError, match=r"sizes \[1, 2\] must add up to 4"):
        ops.split(x, (1, 2))
    with pytest.raises(ValueError, match="sizes must hold whole numbers"):
        ops.split(x, (0.5, 3.5))
    with pytest.raises(ValueError, match="leaves nothing of images of 3x4 pixels"):
        ops.crop2d(np.ones((1, 3, 4, 1)), 2)
    with pytest.raises(ValueError, match="cropping must be numbers"):
        ops.crop2d(np.ones((1, 3, 4, 1)), "same")
    with pytest.raises(ValueError, match="each of the 3 axes of x once"):
        ops.permute(x, (0, 1, 1))
    with pytest.raises(ValueError, match="must not name the batch axis"):
        ops.dot(x, x, (0, 1))
    with pytest.raises(ValueError, match="the same size along axes 2 and 1; got 4 and 3"):
        ops.dot(x, x, (2, 1))
    with pytest.raises(ValueError, match="a batch axis of the same size"):
        ops.dot(x, np.ones((3, 4)))
    with pytest.raises(ValueError, match=r"dy must have shape \(2, 3, 3\)"):
        ops.dot_backward(x, x, x, 2)
