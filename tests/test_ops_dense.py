"""The compiled fully connected layer on every instruction set, against the reference."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernels import assert_same_bits_on_any_threads, each_isa
from strategies import CHANNELS, check, examples, normal, rounding_bound

import fastconv
from fastconv import ops, reference

leading_axes = st.one_of(
    st.integers(0, 30).map(lambda n: (n,)),  # tiles of 4, 6 or 12 rows; to 24 rows a matrix is read in place
    st.tuples(st.integers(1, 3), st.integers(1, 4)),
    st.just(()),
)
features = st.sampled_from(CHANNELS)
seeds = st.integers(0, 2**16)


@examples(300)
@given(leading_axes, features, features, st.booleans(), seeds)
def test_dense_equals_the_reference(batch, inputs, outputs, with_bias, seed):
    random = np.random.default_rng(seed)
    x, kernel = normal(random, *batch, inputs), normal(random, inputs, outputs)
    bias = normal(random, outputs) if with_bias else None
    expected = reference.dense(x, kernel, bias)
    bound = rounding_bound(abs(x) @ abs(kernel) + (abs(bias) if with_bias else 0), inputs)
    for isa in each_isa():
        check(ops.dense(x, kernel, bias), expected, bound, isa)


@examples(200)
@given(leading_axes, features, features, seeds)
def test_the_gradients_equal_the_reference(batch, inputs, outputs, seed):
    random = np.random.default_rng(seed)
    x, kernel, dy = (
        normal(random, *batch, inputs),
        normal(random, inputs, outputs),
        normal(random, *batch, outputs),
    )
    rows_x, rows_dy = abs(x).reshape(-1, inputs), abs(dy).reshape(-1, outputs)
    dx = reference.dense_backward_data(dy, kernel)
    dkernel, dbias = reference.dense_backward_kernel(x, dy)
    for isa in each_isa():
        bound = rounding_bound(abs(dy) @ abs(kernel).T, outputs)
        check(ops.dense_backward_data(dy, kernel), dx, bound, isa)
        found_dkernel, found_dbias = ops.dense_backward_kernel(x, dy)
        check(found_dkernel, dkernel, rounding_bound(rows_x.T @ rows_dy, len(rows_x)), isa)
        check(found_dbias, dbias, rounding_bound(rows_dy.sum(0), len(rows_x)), isa)


LARGE = [(1, 3000, 10), (130, 700, 100), (2100, 50, 33), (25, 784, 300), (24, 64, 96)]


@pytest.mark.parametrize(("batch", "inputs", "outputs"), LARGE)
def test_large_shapes_equal_numpy(batch, inputs, outputs):
    random = np.random.default_rng(1)
    x, kernel, dy = (
        normal(random, batch, inputs),
        normal(random, inputs, outputs),
        normal(random, batch, outputs),
    )
    bias = normal(random, outputs)
    X, KERNEL, DY = (a.astype(np.float64) for a in (x, kernel, dy))
    for isa in each_isa():
        y, dx, (dkernel, dbias) = (
            ops.dense(x, kernel, bias),
            ops.dense_backward_data(dy, kernel),
            ops.dense_backward_kernel(x, dy),
        )
        check(y, X @ KERNEL + bias, rounding_bound(abs(X) @ abs(KERNEL) + abs(bias), inputs), isa)
        check(dx, DY @ KERNEL.T, rounding_bound(abs(DY) @ abs(KERNEL.T), outputs), isa)
        check(dkernel, X.T @ DY, rounding_bound(abs(X.T) @ abs(DY), batch), isa)
        check(dbias, DY.sum(0), rounding_bound(abs(DY).sum(0), batch), isa)


@pytest.mark.parametrize(("batch", "inputs", "outputs"), LARGE)
def test_threads_do_not_change_a_bit(batch, inputs, outputs):
    random = np.random.default_rng(2)
    x, kernel, dy = (
        normal(random, batch, inputs),
        normal(random, inputs, outputs),
        normal(random, batch, outputs),
    )
    for _ in each_isa():
        assert_same_bits_on_any_threads(
            lambda: (
                ops.dense(x, kernel),
                ops.dense_backward_data(dy, kernel),
                *ops.dense_backward_kernel(x, dy),
            )
        )


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_stays_in_its_row_and_column(bad):
    random = np.random.default_rng(3)
    x, kernel, bias, dy = (normal(random, *shape) for shape in [(13, 18), (18, 21), (21,), (13, 21)])
    for array in (x, kernel, dy):
        array[7, 4] = bad
    bias[19] = bad
    for isa in each_isa():
        y, dx = ops.dense(x, kernel, bias), ops.dense_backward_data(dy, kernel)
        dkernel, dbias = ops.dense_backward_kernel(x, dy)
        for found, rows, columns in [(y, [7], [4, 19]), (dx, [7], [7]), (dkernel, [4], [4])]:
            expected = np.ones(found.shape, bool)
            expected[rows] = False
            expected[:, columns] = False
            np.testing.assert_array_equal(np.isfinite(found), expected, isa)
        assert np.flatnonzero(~np.isfinite(dbias)).tolist() == [4]


def test_an_empty_batch():
    y = ops.dense(np.empty((0, 3)), np.ones((3, 2)), np.ones(2))
    assert y.shape == (0, 2)
    assert ops.dense_backward_data(y, np.ones((3, 2))).shape == (0, 3)
    dkernel, dbias = ops.dense_backward_kernel(np.empty((0, 3)), y)
    assert (dkernel == np.zeros((3, 2))).all()
    assert dbias.tolist() == [0, 0]


def test_softmax_after_a_dense_layer():
    random = np.random.default_rng(4)
    x, kernel, bias = normal(random, 5, 7), normal(random, 7, 10), normal(random, 10)
    expected = reference.dense(x, kernel, bias, activation="softmax")
    for isa in each_isa():
        # exponents right to 8 * 4e-6 and summed: the probabilities, at most 1, are right to 1e-5
        check(ops.dense(x, kernel, bias, activation="softmax"), expected, 1e-5, isa)


@pytest.mark.parametrize("backend", ["native", "reference"])
def test_no_features_at_all(backend):
    """An empty sum is 0, and what is left is the bias."""
    nothing, some = np.empty((2, 3, 0)), np.arange(24.0).reshape(2, 3, 4)
    with fastconv.set_backend(backend):
        y = ops.dense(nothing, np.empty((0, 4)), [1, 2, 3, 4])
        assert np.array_equal(y, np.broadcast_to([1, 2, 3, 4], (2, 3, 4)))
        dkernel, dbias = ops.dense_backward_kernel(nothing, some)
        assert dkernel.shape == (0, 4)
        assert np.array_equal(dbias, some.sum((0, 1)))
        assert ops.dense_backward_data(some, np.empty((0, 4))).shape == (2, 3, 0)
        assert np.array_equal(ops.dense_backward_data(nothing, np.empty((4, 0))), np.zeros((2, 3, 4)))


@pytest.mark.parametrize("backend", ["native", "reference"])
def test_errors_name_the_argument(backend):
    x, kernel, dy = np.zeros((5, 3)), np.zeros((3, 4)), np.zeros((5, 4))
    with fastconv.set_backend(backend):
        for call, message in [
            (lambda: ops.dense(x[:, :2], kernel), r"x must end in an axis of 3, as kernel \(3, 4\) takes"),
            (lambda: ops.dense(1.0, kernel), "x must end in an axis of 3"),
            (lambda: ops.dense(x, kernel[0]), r"kernel must have 2 axes \(in, out\)"),
            (lambda: ops.dense(x, kernel, np.zeros(3)), r"bias must have shape \(4,\)"),
            (lambda: ops.dense(x, kernel, activation="rleu"), "did you mean 'relu'"),
            (lambda: ops.dense_backward_data(x, kernel), "dy must end in an axis of 4"),
            (lambda: ops.dense_backward_kernel(x[:4], dy), r"x and dy must agree.*\(4, 3\) and \(5, 4\)"),
        ]:
            with pytest.raises(ValueError, match=message):
                call()


@pytest.mark.parametrize("backend", ["native", "reference"])
def test_gradients_are_written_to_the_arrays_given(backend):
    x, dy = np.arange(6.0).reshape(3, 2), np.ones((3, 4))
    dkernel, dbias = np.full((2, 4), np.nan, np.float32), np.full(4, np.nan, np.float32)
    with fastconv.set_backend(backend):
        results = ops.dense_backward_kernel(x, dy, out=(dkernel, dbias))
    assert results[0] is dkernel
    assert results[1] is dbias
    assert np.array_equal(dkernel, x.T @ dy)
    assert np.array_equal(dbias, [3, 3, 3, 3])


def test_an_array_that_gradients_cannot_be_written_to_is_refused():
    x, dy = np.ones((3, 2)), np.ones((3, 4))
    for wrong in (np.zeros((2, 4)), np.zeros((4, 2), np.float32).T):
        with pytest.raises(ValueError, match="C-contiguous, writable float32"):
            ops.dense_backward_kernel(x, dy, out=(wrong, None))
    with pytest.raises(ValueError, match=r"out\[1\] must have shape \(4,\)"):
        ops.dense_backward_kernel(x, dy, out=(None, np.zeros(3, np.float32)))
