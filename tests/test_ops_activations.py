"""The compiled activations on every instruction set, against the reference."""

from __future__ import annotations

import numpy as np
import pytest
from golden_cases import golden
from hypothesis import given
from hypothesis import strategies as st
from kernels import assert_same_bits_on_any_threads, each_isa
from strategies import UNIT_ROUNDOFF, check, examples, normal

import fastconv
from fastconv import ops, reference

ELEMENTWISE = ["linear", "relu", "leaky_relu", "sigmoid", "tanh", "elu", "selu"]

# e^x comes out right to 1 unit in the last place (2u); quotients, products and sums around it add 1u each.
# Relative to y, which all these functions give full digits, also near 0 and far down on the left.
RELATIVE = 8 * UNIT_ROUNDOFF


def every_magnitude() -> np.ndarray:
    """Floats of both signs from the smallest to the largest, 16 to an octave, and the special ones."""
    mantissas = np.linspace(1, 2, 16, endpoint=False)
    powers = np.ldexp(1.0, np.arange(-149, 128))
    positive = np.outer(powers, mantissas).ravel().astype(np.float32)
    dense = np.linspace(-110, 110, 4001).astype(np.float32)
    return np.concatenate([positive, -positive, dense, np.float32([0, -0.0, np.inf, -np.inf, np.nan])])


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_all_magnitudes_equal_the_reference(name):
    x = every_magnitude()
    y = reference.activation(x, name)
    with np.errstate(over="ignore"):  # selu of the largest floats is larger than they are
        y = np.where(np.isfinite(y.astype(np.float32)), y, y.astype(np.float32))
    bound = RELATIVE * np.abs(np.where(np.isfinite(y), y, 0))
    for isa in each_isa():
        check(ops.activation(x, name), y, bound, isa)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_the_derivative_at_all_outputs_equals_the_reference(name):
    """y covers what the function can return; dx = dy · φ′(y) is compared relative to the terms of φ′."""
    lowest = {"linear": -9, "leaky_relu": -9, "tanh": -1, "elu": -1, "selu": -1.7580993}.get(name, 0)
    highest = 1 if name in ("sigmoid", "tanh") else 9
    y = np.linspace(lowest, highest, 2001, dtype=np.float32)
    y[0] = lowest
    dy = normal(np.random.default_rng(1), y.size)
    dx = reference.activation_backward(dy, y, name)
    bound = 4 * UNIT_ROUNDOFF * (2 * np.abs(dy) + np.abs(dx))  # the terms 1 - y² and y + α are at most 2
    for isa in each_isa():
        check(ops.activation_backward(dy, y, name), dx, bound, isa)


shapes = st.lists(st.integers(0, 19), min_size=1, max_size=3).map(tuple)


@examples(300)
@given(
    shapes, st.sampled_from(ELEMENTWISE), st.sampled_from([None, 0.0, 0.3, 1.0, 2.5]), st.integers(0, 2**16)
)
def test_activations_equal_the_reference(shape, name, alpha, seed):
    """Lengths around whole vectors; ``alpha`` where the function has one."""
    random = np.random.default_rng(seed)
    x, dy = 3 * normal(random, *shape), normal(random, *shape)
    alpha = alpha if name in ("leaky_relu", "elu") else None
    y = reference.activation(x, name, alpha)
    y32 = y.astype(np.float32)
    dx = reference.activation_backward(dy, y32, name, alpha)
    for isa in each_isa():
        check(ops.activation(x, name, alpha), y, RELATIVE * np.abs(y), (isa, name))
        bound = 4 * UNIT_ROUNDOFF * ((1 + np.abs(y32) * (y32 < 0) + (alpha or 2)) * np.abs(dy))
        check(ops.activation_backward(dy, y32, name, alpha), dx, bound, (isa, name))


rows = st.lists(st.integers(0, 5), min_size=0, max_size=2).map(tuple)


@examples(300)
@given(rows, st.integers(1, 70), st.sampled_from([1.0, 30.0]), st.integers(0, 2**16))
def test_softmax_equals_the_reference(leading, classes, spread, seed):
    random = np.random.default_rng(seed)
    x, dy = spread * normal(random, *leading, classes), normal(random, *leading, classes)
    p = reference.activation(x, "softmax")
    p32 = p.astype(np.float32)
    dx = reference.activation_backward(dy, p32, "softmax")
    log_p = reference.log_softmax(x)
    below = x.max(-1, keepdims=True).astype(np.float64) - x if x.size else np.zeros(x.shape)
    for isa in each_isa():
        # x - max is rounded, and e^x turns its absolute error into a relative one; then a sum and a quotient
        relative = UNIT_ROUNDOFF * (below + 8 + np.sqrt(classes))
        check(ops.activation(x, "softmax"), p, relative * p, isa)
        # rounded: x - max, the sum inside the logarithm, the logarithm, their difference
        absolute = UNIT_ROUNDOFF * (2 * below + 8 + np.sqrt(classes) + 2 * np.log(classes))
        check(ops.log_softmax(x), log_p, absolute, isa)
        inner = np.sum(np.abs(dy * p32), -1, keepdims=True)
        bound = UNIT_ROUNDOFF * p32 * (4 * np.abs(dy) + (4 * np.sqrt(classes) + 4) * inner)
        check(ops.activation_backward(dy, p32, "softmax"), dx, bound, isa)


@pytest.mark.parametrize("name", [*ELEMENTWISE, "softmax"])
def test_several_blocks_equal_the_reference(name):
    """Work is done in blocks of some thousand elements; no element between them may be lost."""
    random = np.random.default_rng(3)
    x, dy = normal(random, 1667, 15), normal(random, 1667, 15)
    y = reference.activation(x, name)
    y32 = y.astype(np.float32)
    dx, log_p = reference.activation_backward(dy, y32, name), reference.log_softmax(x)
    for isa in each_isa():
        # numbers up to 5: some units of their last place
        check(ops.activation(x, name), y, 2e-6, isa)
        check(ops.activation_backward(dy, y32, name), dx, 4e-6, isa)
        check(ops.log_softmax(x), log_p, 4e-6, isa)


def test_softmax_of_large_and_of_impossible_scores():
    x = np.array([[1e38, -1e38, 0], [-np.inf, 0, 0], [np.nan, 1, 2], [np.inf, 1, 2], [-np.inf] * 3])
    nan = np.nan
    for isa in each_isa():
        p, log_p = ops.activation(x, "softmax"), ops.log_softmax(x)
        np.testing.assert_array_equal(p, [[1, 0, 0], [0, 0.5, 0.5], [nan] * 3, [nan] * 3, [nan] * 3], isa)
        np.testing.assert_allclose(log_p[1], [-np.inf, -np.log(2), -np.log(2)], rtol=1e-6)
        assert np.isnan(log_p[2:]).all(), isa


def test_a_nan_stays_in_its_row_of_a_softmax():
    x = normal(np.random.default_rng(2), 5, 21)
    x[3, 17] = np.nan
    for isa in each_isa():
        for y in (ops.activation(x, "softmax"), ops.log_softmax(x)):
            assert np.isnan(y).all(-1).tolist() == [False, False, False, True, False], isa
            assert np.isfinite(y[[0, 1, 2, 4]]).all(), isa


@pytest.mark.parametrize("name", [*ELEMENTWISE, "softmax"])
def test_threads_do_not_change_a_bit(name):
    random = np.random.default_rng(4)
    x, dy = normal(random, 500, 333), normal(random, 500, 333)
    y = ops.activation(x, name)
    for _ in each_isa():
        assert_same_bits_on_any_threads(
            lambda: (ops.activation(x, name), ops.activation_backward(dy, y, name), ops.log_softmax(x))
        )


@golden("activation")
def test_activations_equal_keras(case):
    for isa in each_isa():
        y = ops.activation(case["x"], **case.arguments)
        check(y, case["y"], RELATIVE * np.abs(case["y"]), isa)
        # inputs up to 4 and gradients up to 2, with derivatives up to 2: 1e-6 is 4 of their units
        check(ops.activation_backward(case["dy"], y, **case.arguments), case["dx"], 1e-6, isa)


@pytest.mark.parametrize("backend", ["native", "reference"])
def test_errors_name_the_argument(backend):
    x = np.zeros((2, 3))
    with fastconv.set_backend(backend):
        for call, message in [
            (lambda: ops.activation(x, "rleu"), "unknown activation 'rleu'; did you mean 'relu'"),
            (
                lambda: ops.activation_backward(x, x, "sofmax"),
                "unknown activation 'sofmax'; did you mean 'softmax'",
            ),
            (lambda: ops.activation_backward(x[:1], x, "relu"), r"dy must have shape \(2, 3\)"),
        ]:
            with pytest.raises(ValueError, match=message):
                call()
