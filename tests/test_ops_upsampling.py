"""Upsampling against its reference on every instruction set."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernels import assert_same_bits_on_any_threads, each_isa
from strategies import check, examples, normal, rounding_bound

from fastconv import ops, reference
from fastconv.ops.images import INTERPOLATIONS

SHAPES = st.tuples(
    st.sampled_from([0, 1, 2]),
    st.integers(1, 6),
    st.integers(1, 6),
    st.sampled_from([1, 2, 3, 5, 8, 16, 17, 33]),
)


@examples(200)
@given(SHAPES, st.tuples(st.integers(1, 5), st.integers(1, 5)), st.sampled_from(INTERPOLATIONS))
def test_equals_the_reference(shape, size, interpolation):
    random = np.random.default_rng(1)
    x = normal(random, *shape)
    y = reference.upsample2d(x, size, interpolation)
    dy = normal(random, *y.shape)
    dx = reference.upsample2d_backward(dy, size, interpolation)
    y_scale = reference.upsample2d(abs(x), size, interpolation)
    dx_scale = reference.upsample2d_backward(abs(dy), size, interpolation)
    for isa in each_isa():
        bound = 0 if interpolation == "nearest" else rounding_bound(y_scale, 6)
        check(ops.upsample2d(x, size, interpolation), y, bound, isa)
        found = ops.upsample2d_backward(dy, size, interpolation)
        check(found, dx, rounding_bound(dx_scale, 4 * size[0] * size[1] + 4), isa)


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize("shape", [(3, 29, 31, 17), (1, 40, 20, 64), (40, 10, 10, 3)])
def test_backward_is_the_adjoint_and_threads_do_not_change_a_bit(shape, interpolation):
    random = np.random.default_rng(2)
    x = normal(random, *shape)
    for _ in each_isa():
        y = ops.upsample2d(x, (2, 3), interpolation)
        dy = normal(random, *y.shape)
        dx = ops.upsample2d_backward(dy, (2, 3), interpolation)
        products = y.astype(np.float64) * dy
        difference = products.sum() - (x.astype(np.float64) * dx).sum()
        assert abs(difference) <= 1e-6 * np.sqrt((products**2).sum())
        assert_same_bits_on_any_threads(
            lambda dy=dy: (
                ops.upsample2d(x, (2, 3), interpolation),
                ops.upsample2d_backward(dy, (2, 3), interpolation),
            )
        )


def test_half_way_between_pixels():
    x = np.float32([0, 4]).reshape(1, 1, 2, 1)
    assert ops.upsample2d(x, (1, 2), "bilinear").ravel().tolist() == [0, 1, 3, 4]
    assert ops.upsample2d(x, (2, 2)).ravel().tolist() == [0, 0, 4, 4, 0, 0, 4, 4]


def test_what_is_not_seen_does_not_matter():
    x = np.float32([1, np.nan, np.inf]).reshape(1, 1, 3, 1)
    for _ in each_isa():
        y = ops.upsample2d(x, (1, 3), "bilinear").ravel()
        assert y[:2].tolist() == [1, 1]  # the second is in the middle of the first pixel
        assert np.isnan(y[2:7]).all()
        assert y[7:].tolist() == [np.inf, np.inf]


def test_errors():
    with pytest.raises(ValueError, match="size must be a whole number"):
        ops.upsample2d(np.ones((1, 2, 2, 1)), 0)
    with pytest.raises(ValueError, match="unknown interpolation 'bicubic'"):
        ops.upsample2d(np.ones((1, 2, 2, 1)), 2, "bicubic")
    with pytest.raises(ValueError, match=r"multiples of \(2, 2\) rows and columns"):
        ops.upsample2d_backward(np.ones((1, 4, 5, 1)), 2)
