"""Adaptive pooling against its reference."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernels import assert_same_bits_on_any_threads, each_isa
from strategies import check, examples, normal, rounding_bound

from fastconv import ops, reference
from fastconv._core.geometry import bins

SHAPES = st.tuples(
    st.sampled_from([0, 1, 2]), st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 3, 16, 17])
)


@examples(150)
@given(SHAPES, st.tuples(st.integers(1, 6), st.integers(1, 6)))
def test_equals_the_reference(shape, size):
    random = np.random.default_rng(1)
    x, dy = normal(random, *shape), normal(random, shape[0], *size, shape[3])
    average = reference.adaptive_avg_pool2d(x, size)
    shared = reference.adaptive_avg_pool2d_backward(dy, shape)
    largest, switches = reference.adaptive_max_pool2d(x, size)
    won = reference.adaptive_max_pool2d_backward(dy, switches, shape)
    average_scale = reference.adaptive_avg_pool2d(abs(x), size)
    shared_scale = reference.adaptive_avg_pool2d_backward(abs(dy), shape)
    won_scale = reference.adaptive_max_pool2d_backward(abs(dy), switches, shape)
    for isa in each_isa():
        check(ops.adaptive_avg_pool2d(x, size), average, rounding_bound(average_scale, 81), isa)
        check(ops.adaptive_avg_pool2d_backward(dy, shape), shared, rounding_bound(shared_scale, 40), isa)
        y, places = ops.adaptive_max_pool2d(x, size)
        check(y, largest, 0, isa)
        np.testing.assert_array_equal(places, switches)
        assert places.dtype == np.int32
        check(ops.adaptive_max_pool2d_backward(dy, places, shape), won, rounding_bound(won_scale, 40), isa)


def test_bins_cover_all_pixels_in_order():
    assert bins(5, 3) == [(0, 2), (1, 4), (3, 5)]
    assert bins(6, 3) == [(0, 2), (2, 4), (4, 6)]
    assert bins(2, 3) == [(0, 1), (0, 2), (1, 2)]
    for n in range(1, 30):
        for count in range(1, 12):
            found = bins(n, count)
            assert (found[0][0], found[-1][1]) == (0, n)
            assert all(a[0] <= b[0] <= a[1] <= b[1] for a, b in pairwise(found))


def test_the_first_of_equals_and_the_first_nan_win():
    x = np.float32([[1, 2, 2], [0, 2, np.nan], [np.nan, 0, 0]]).reshape(1, 3, 3, 1)
    y, switches = ops.adaptive_max_pool2d(x, (2, 1))
    assert np.isnan(y).ravel().tolist() == [True, True]
    assert switches.ravel().tolist() == [5, 5]
    _, switches = ops.adaptive_max_pool2d(np.nan_to_num(x), 1)
    assert switches.item() == 1


def test_threads_do_not_change_a_bit():
    random = np.random.default_rng(2)
    x, dy = normal(random, 8, 30, 31, 64), normal(random, 8, 7, 7, 64)
    _, switches = ops.adaptive_max_pool2d(x, 7)
    assert_same_bits_on_any_threads(
        lambda: (
            ops.adaptive_avg_pool2d(x, 7),
            ops.adaptive_avg_pool2d_backward(dy, x.shape),
            *ops.adaptive_max_pool2d(x, 7),
            ops.adaptive_max_pool2d_backward(dy, switches, x.shape),
        )
    )


def test_errors():
    x = np.ones((1, 4, 5, 2))
    with pytest.raises(ValueError, match="output_size must be a whole number"):
        ops.adaptive_avg_pool2d(x, (2, 0))
    with pytest.raises(ValueError, match="images of 0x5 pixels"):
        ops.adaptive_max_pool2d(np.ones((1, 0, 5, 2)), 2)
    with pytest.raises(ValueError, match=r"dy must have shape \(1, 2, 2, 2\)"):
        ops.adaptive_avg_pool2d_backward(np.ones((1, 2, 2, 3)), x.shape)
    with pytest.raises(TypeError, match="switches must be whole numbers"):
        ops.adaptive_max_pool2d_backward(np.ones((1, 2, 2, 2)), np.ones((1, 2, 2, 2)), x.shape)
    with pytest.raises(ValueError, match="switches must be of pixels in their own bins"):
        ops.adaptive_max_pool2d_backward(np.ones((1, 2, 2, 2)), np.full((1, 2, 2, 2), 10**6), x.shape)
