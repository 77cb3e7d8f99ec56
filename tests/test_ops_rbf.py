"""Squared distances on every instruction set, against the reference."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernels import assert_same_bits_on_any_threads, each_isa
from strategies import UNIT_ROUNDOFF, check, examples, normal, rounding_bound

import fastconv
from fastconv import ops, reference

sizes = st.sampled_from([1, 2, 3, 7, 8, 15, 16, 17, 33, 84])


@examples(200)
@given(st.integers(0, 6), sizes, sizes, st.integers(0, 2**16))
def test_distances_and_gradients_equal_the_reference(batch, features, units, seed):
    random = np.random.default_rng(seed)
    x, w, dy = normal(random, batch, features), normal(random, units, features), normal(random, batch, units)
    y, dx = reference.rbf(x, w), reference.rbf_backward_data(dy, x, w)
    dw = reference.rbf_backward_kernel(dy, x, w)
    size = (
        2 * np.abs(dy)[:, :, None] * np.abs(x[:, None].astype(np.float64) - w)
    )  # each term of the gradients
    for isa in each_isa():
        # a difference, squared: 3 roundings a term; then their sum
        check(ops.rbf(x, w), y, rounding_bound(y, features) + 3 * UNIT_ROUNDOFF * y, isa)
        rounded = 3 * UNIT_ROUNDOFF
        check(
            ops.rbf_backward_data(dy, x, w),
            dx,
            rounding_bound(size.sum(1), units) + rounded * size.sum(1),
            isa,
        )
        found = ops.rbf_backward_kernel(dy, x, w)
        check(found, dw, rounding_bound(size.sum(0), batch) + rounded * size.sum(0), isa)


def test_small_distances_keep_their_digits():
    """Where |x|² − 2xw + |w|², each about 84, would leave an error of some 1e-5."""
    random = np.random.default_rng(0)
    w = np.sign(normal(random, 10, 84))
    step = 2.0**-11 * np.sign(normal(random, 10, 84))  # so that w + step is exact
    for isa in each_isa():
        y = ops.rbf((w + step).astype(np.float32), w)
        np.testing.assert_allclose(np.diag(y), 84 * 2.0**-22, rtol=1e-6, err_msg=isa)


def test_many_rows_on_any_threads():
    random = np.random.default_rng(1)
    x, w, dy = normal(random, 5000, 84), normal(random, 10, 84), normal(random, 5000, 10)
    expected = np.square(x[:, None].astype(np.float64) - w).sum(-1)
    np.testing.assert_allclose(ops.rbf(x, w), expected, rtol=1e-6)
    for _ in each_isa():
        assert_same_bits_on_any_threads(
            lambda: (ops.rbf(x, w), ops.rbf_backward_data(dy, x, w), ops.rbf_backward_kernel(dy, x, w))
        )


def test_nan_stays_in_its_row():
    x, w = np.zeros((3, 20), np.float32), np.ones((2, 20), np.float32)
    x[1, 19], x[2, 0] = np.nan, -np.inf
    for isa in each_isa():
        np.testing.assert_array_equal(ops.rbf(x, w), [[20, 20], [np.nan, np.nan], [np.inf, np.inf]], isa)


def test_out_receives_the_gradient():
    random = np.random.default_rng(2)
    x, w, dy = normal(random, 4, 5), normal(random, 3, 5), normal(random, 4, 3)
    out = np.full((3, 5), np.nan, np.float32)
    assert ops.rbf_backward_kernel(dy, x, w, out=out) is out
    np.testing.assert_array_equal(out, ops.rbf_backward_kernel(dy, x, w))
    np.testing.assert_array_equal(ops.rbf_backward_kernel(dy[:0], x[:0], w, out=out), np.zeros((3, 5)))


@pytest.mark.parametrize("backend", ["native", "reference"])
def test_errors_name_what_does_not_fit(backend):
    with fastconv.set_backend(backend):
        with pytest.raises(ValueError, match=r"x \(2, 4\) has 4 features, the prototypes \(3, 5\) have 5"):
            ops.rbf(np.ones((2, 4)), np.ones((3, 5)))
        with pytest.raises(ValueError, match="x must have 2 axes"):
            ops.rbf(np.ones((2, 4, 1)), np.ones((3, 5)))
        with pytest.raises(ValueError, match=r"dy must have shape \(2, 3\)"):
            ops.rbf_backward_data(np.ones((3, 2)), np.ones((2, 4)), np.ones((3, 4)))
