"""Gradient clipping on every instruction set, against the reference, and at the ends of floating point."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from kernels import assert_same_bits_on_any_threads, each_isa
from strategies import UNIT_ROUNDOFF, check, examples

from fastconv import ops, reference, set_backend

BLOCK = 1 << 13  # csrc/fastconv.h


@pytest.fixture(params=["native", "reference"])
def backend(request):
    with set_backend(request.param):
        yield request.param


def test_the_lectures_example(backend):
    np.testing.assert_allclose(ops.clip_by_value([0.9, 100.0], 1.0), [0.9, 1.0], rtol=1e-7)
    # the norm is 100.00405, so [0.9, 100] / 100.00405
    np.testing.assert_allclose(ops.clip_by_norm([0.9, 100.0], 1.0), [0.00899964, 0.9999595], rtol=1e-6)


def test_what_is_small_enough_stays_as_it_is(backend):
    grad = np.array([0.3, -0.4, 0.1, 0.0], np.float32)
    for clipped in (
        ops.clip_by_value(grad, 0.5),
        ops.clip_by_norm(grad, 0.51),
        *ops.clip_by_global_norm([grad], 9),
    ):
        np.testing.assert_array_equal(clipped, grad)


def test_a_global_norm_is_that_of_all_together(backend):
    clipped = ops.clip_by_global_norm([[3.0], [[0.0, 4.0]]], 1.0)
    np.testing.assert_allclose(clipped[0], [0.6], rtol=1e-7)
    np.testing.assert_allclose(clipped[1], [[0.0, 0.8]], rtol=1e-7)


@examples(200)
@given(
    st.sampled_from(["value", "norm", "global_norm"]),
    st.lists(st.integers(0, 70), min_size=1, max_size=5),
    st.floats(-6, 6),
    st.integers(0, 2**16),
)
@example("norm", [BLOCK - 1, BLOCK, BLOCK + 1], 0.0, 1)
@example("global_norm", [3 * BLOCK + 17, 0, 1], 0.0, 2)
def test_clipping_equals_the_reference(kind, sizes, magnitude, seed):
    random = np.random.default_rng(seed)
    grads = [(10**magnitude * random.standard_normal(n)).astype(np.float32) for n in sizes]
    if kind == "global_norm":
        expected = reference.clip_by_global_norm(grads, 1.5)
    else:
        expected = [getattr(reference, f"clip_by_{kind}")(grad, 1.5) for grad in grads]
    for isa in each_isa():
        if kind == "global_norm":
            found = ops.clip_by_global_norm(grads, 1.5)
        else:
            found = [getattr(ops, f"clip_by_{kind}")(grad, 1.5) for grad in grads]
        for actual, wanted in zip(found, expected, strict=True):
            # A sum of exact squares in double precision; then the factor and the product are rounded.
            check(actual, wanted, 2.5 * UNIT_ROUNDOFF * np.abs(wanted), (isa, kind))


def test_threads_do_not_change_a_bit():
    random = np.random.default_rng(3)
    grads = [random.standard_normal(n, dtype=np.float32) for n in (200_003, 7, 40_000)]
    for _ in each_isa():
        assert_same_bits_on_any_threads(lambda: tuple(ops.clip_by_global_norm(grads, 1.0)))
        assert_same_bits_on_any_threads(lambda: ops.clip_by_norm(grads[0], 1.0))


def test_squares_neither_overflow_nor_vanish(backend):
    huge, tiny = np.array([3e37, -4e37], np.float32), np.array([3e-30, -4e-30], np.float32)
    np.testing.assert_allclose(ops.clip_by_norm(huge, 1.0), [0.6, -0.8], rtol=1e-6)
    np.testing.assert_allclose(ops.clip_by_norm(tiny, 1e-30), [0.6e-30, -0.8e-30], rtol=1e-6)


def test_infinity_and_nan(backend):
    bad = np.array([1.0, math.inf, -2.0], np.float32)
    np.testing.assert_array_equal(ops.clip_by_value(bad, 1.5), [1.0, 1.5, -1.5])
    np.testing.assert_array_equal(ops.clip_by_norm(bad, 1.5), [0.0, math.nan, 0.0])
    for clipped in ops.clip_by_global_norm([bad, np.ones(3)], 1.5):
        assert np.isnan(clipped).all()
    bad[1] = math.nan
    np.testing.assert_array_equal(ops.clip_by_value(bad, 1.5), [1.0, math.nan, -1.5])
    assert np.isnan(ops.clip_by_norm(bad, 1.5)).all()
    assert np.isnan(ops.clip_by_global_norm([np.ones(3), bad], 1.5)[0]).all()


def test_gradients_of_any_kind_are_copied(backend):
    for grad in (
        np.ones((4, 6))[:, ::2],
        np.ones((3, 4), np.float16).T,
        [[1, 1], [1, 1]],
        1.0,
        np.empty((0, 3)),
    ):
        given = np.array(grad)
        clipped = ops.clip_by_value(grad, 0.5)
        assert clipped.shape == given.shape
        assert (clipped == 0.5).all()
        np.testing.assert_array_equal(grad, given)
    read_only = np.ones(3, np.float32)
    read_only.flags.writeable = False
    np.testing.assert_allclose(ops.clip_by_norm(read_only, math.sqrt(0.75)), [0.5, 0.5, 0.5], rtol=1e-6)
    assert ops.clip_by_global_norm([], 1.0) == []


@pytest.mark.parametrize("limit", [0, -1.0, math.nan])
def test_limits_must_be_positive(backend, limit):
    for call, name in [
        (lambda: ops.clip_by_value([1.0], limit), "limit"),
        (lambda: ops.clip_by_norm([1.0], limit), "norm"),
        (lambda: ops.clip_by_global_norm([[1.0]], limit), "norm"),
    ]:
        with pytest.raises(ValueError, match=f"{name} must be positive"):
            call()


def test_gradients_must_be_numbers(backend):
    with pytest.raises(TypeError, match="grad must hold real numbers"):
        ops.clip_by_norm(["a"], 1.0)
