"""The compiled batch normalisation on every instruction set, against the reference."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernels import assert_same_bits_on_any_threads, each_isa
from strategies import CHANNELS, UNIT_ROUNDOFF, check, examples, normal

import fastconv
from fastconv import ops, reference

EPSILON = 1e-3


def mean_bound(x: np.ndarray, rows: int) -> np.ndarray:
    """The mean is held as a float, plus the mean of the distances from it: one rounding, and some of the
    spread.
    """
    spread = np.abs(x - x.mean(axis=tuple(range(x.ndim - 1)))).max(axis=tuple(range(x.ndim - 1)))
    return UNIT_ROUNDOFF * (np.abs(x).max(axis=tuple(range(x.ndim - 1))) + 4 * np.sqrt(rows) * spread)


shapes = st.tuples(
    st.lists(st.integers(1, 7), min_size=1, max_size=3).map(tuple), st.sampled_from([*CHANNELS, 100, 130])
)


@examples(150)
@given(shapes, st.booleans(), st.booleans(), st.integers(0, 2**16))
def test_all_of_it_equals_the_reference(shape, with_gamma, with_beta, seed):
    leading, C = shape
    rows = int(np.prod(leading))
    random = np.random.default_rng(seed)
    x, dy = 2 * normal(random, *leading, C) + 1, normal(random, *leading, C)
    gamma = normal(random, C) if with_gamma else None
    beta = normal(random, C) if with_beta else None
    mean, variance = (array.astype(np.float32) for array in reference.moments(x))
    y = reference.batch_norm(x, mean, variance, gamma, beta, EPSILON)
    dgamma, dbeta = reference.batch_norm_backward_weights(dy, x, mean, variance, EPSILON)
    dgamma32, dbeta32 = dgamma.astype(np.float32), dbeta.astype(np.float32)
    statistics = (x, mean, variance, gamma)
    dx = reference.batch_norm_backward_data(dy, *statistics, dgamma32, dbeta32, EPSILON)
    dx_of_constants = reference.batch_norm_backward_data(dy, *statistics, epsilon=EPSILON)

    inverse = 1 / np.sqrt(variance.astype(np.float64) + EPSILON)
    normalised = np.abs(x - mean) * inverse
    g = np.abs(gamma) if with_gamma else np.ones(C)
    terms = np.abs(dy) + np.abs(dbeta) / rows + normalised * np.abs(dgamma) / rows
    for isa in each_isa():
        found_mean, found_variance = ops.moments(x)
        check(found_mean, mean.astype(np.float64), mean_bound(x, rows), isa)
        # the sum of squares: a rounding or two in each, and those of the sum
        check(
            found_variance, reference.moments(x)[1], UNIT_ROUNDOFF * (4 + 2 * np.sqrt(rows)) * variance, isa
        )
        bound = UNIT_ROUNDOFF * (4 * g * normalised + (np.abs(beta) if with_beta else 0) + np.abs(y))
        check(ops.batch_norm(*statistics, beta, EPSILON), y, bound, isa)
        found = ops.batch_norm_backward_weights(dy, x, mean, variance, EPSILON)
        columns = tuple(range(x.ndim - 1))
        spread = 4 * (1 + np.sqrt(rows)) * UNIT_ROUNDOFF
        check(found[0], dgamma, spread * np.sqrt((dy * normalised) ** 2).sum(columns), isa)
        check(found[1], dbeta, spread * np.abs(dy).sum(columns), isa)
        found_dx = ops.batch_norm_backward_data(dy, *statistics, dgamma32, dbeta32, EPSILON)
        check(found_dx, dx, 6 * UNIT_ROUNDOFF * g * inverse * terms, isa)
        found_dx = ops.batch_norm_backward_data(dy, *statistics, epsilon=EPSILON)
        check(found_dx, dx_of_constants, 3 * UNIT_ROUNDOFF * np.abs(dx_of_constants), isa)


@pytest.mark.parametrize("C", [1, 6, 16, 64, 257])
@pytest.mark.parametrize(("center", "spread"), [(0, 1), (1e4, 1), (-3e6, 2), (1e-15, 1e-15), (5, 1e-3)])
def test_many_numbers_with_a_large_mean_keep_their_variance(C, center, spread):
    """Σx² − (Σx)² would lose all digits: (1e4)² has none left for 1. Here each number is rounded only once,
    to a float, which x is already; what is measured is the variance of those floats.
    """
    rows = 300_000 // C
    x = (center + spread * np.random.default_rng(1).standard_normal((rows, C))).astype(np.float32)
    wide = x.astype(np.float64)
    for isa in each_isa():
        mean, variance = ops.moments(x)
        np.testing.assert_allclose(mean, wide.mean(0), rtol=UNIT_ROUNDOFF, atol=1e-7 * spread, err_msg=isa)
        np.testing.assert_allclose(variance, wide.var(0), rtol=3e-6, err_msg=isa)


def test_batches_that_drift_and_batches_with_an_outlier():
    """The pieces that are joined have means of their own, up to a thousand times their spread apart. Beside
    the square of an outlier those of its piece, a thousand to a channel, are rounded to a few more units.
    """
    rows, C = 40_000, 5
    drifting = np.linspace(-1e3, 1e3, rows)[:, None] + np.random.default_rng(2).standard_normal((rows, C))
    outlier = np.random.default_rng(3).standard_normal((rows, C))
    outlier[0] = 1e6
    for x in (drifting.astype(np.float32), outlier.astype(np.float32)):
        wide = x.astype(np.float64)
        for isa in each_isa():
            mean, variance = ops.moments(x)
            np.testing.assert_allclose(mean, wide.mean(0), rtol=1e-5, atol=1e-6 * wide.std(), err_msg=isa)
            np.testing.assert_allclose(variance, wide.var(0), rtol=2e-5, err_msg=isa)


@pytest.mark.parametrize("value", [0.0, 1.0, 0.1, -1e15, 7e-42])
def test_a_constant_channel_has_no_variance(value):
    x = np.full((1003, 3), value, np.float32)
    for isa in each_isa():
        mean, variance = ops.moments(x)
        np.testing.assert_array_equal(mean, np.float32([value] * 3), isa)
        np.testing.assert_allclose(variance, 0, atol=1e-13 * value * value, err_msg=isa)


def test_a_nan_and_an_infinity_stay_in_their_channel():
    x = normal(np.random.default_rng(4), 50, 19)
    x[7, 3], x[9, 5] = np.nan, np.inf
    for isa in each_isa():
        mean, variance = ops.moments(x)
        assert np.flatnonzero(np.isnan(variance)).tolist() == [3, 5], isa
        y = ops.batch_norm(x, mean, variance)
        assert np.isnan(y).any(0).nonzero()[0].tolist() == [3, 5], isa


@pytest.mark.parametrize("shape", [(40, 28, 28, 6), (3000, 64), (700, 257), (8, 3)])
def test_threads_do_not_change_a_bit(shape):
    random = np.random.default_rng(5)
    x, dy = normal(random, *shape), normal(random, *shape)
    C = shape[-1]
    gamma, beta = normal(random, C), normal(random, C)

    def compute():
        mean, variance = ops.moments(x)
        sums = ops.batch_norm_backward_weights(dy, x, mean, variance)
        return (
            mean, variance, *sums, ops.batch_norm(x, mean, variance, gamma, beta),
            ops.batch_norm_backward_data(dy, x, mean, variance, gamma, *sums),
        )  # fmt: skip

    for _ in each_isa():
        assert_same_bits_on_any_threads(compute)


@pytest.mark.parametrize("backend", ["native", "reference"])
def test_empty_batches(backend):
    x, ones = np.empty((0, 4, 3)), np.ones(3)
    with fastconv.set_backend(backend):
        with pytest.raises(ValueError, match=r"an empty batch has no mean .* shape \(0, 4, 3\)"):
            ops.moments(x)
        assert ops.batch_norm(x, ones, ones).shape == x.shape
        assert ops.batch_norm_backward_data(x, x, ones, ones).shape == x.shape
        dgamma, dbeta = ops.batch_norm_backward_weights(x, x, ones, ones)
        assert dgamma.tolist() == dbeta.tolist() == [0, 0, 0]


@pytest.mark.parametrize("backend", ["native", "reference"])
def test_errors_name_the_argument(backend):
    x, three, two = np.zeros((2, 3)), np.ones(3), np.ones(2)
    with fastconv.set_backend(backend):
        for call, message in [
            (lambda: ops.moments(1.0), "x must have an axis of channels"),
            (
                lambda: ops.batch_norm(x, two, three),
                r"mean must have shape \(3,\) \(one number for each channel",
            ),
            (lambda: ops.batch_norm(x, three, three, beta=two), r"beta must have shape \(3,\)"),
            (lambda: ops.batch_norm_backward_weights(x[:1], x, three, three), r"dy must have shape \(2, 3\)"),
            (lambda: ops.batch_norm_backward_data(x, x, three, three, dgamma=three), "belong together"),
        ]:
            with pytest.raises(ValueError, match=message):
                call()
