"""The compiled activations on every instruction set, against the reference."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from golden_cases import golden
from hypothesis import given
from hypothesis import strategies as st
from kernels import assert_same_bits_on_any_threads, each_isa
from strategies import UNIT_ROUNDOFF, check, examples, normal

import fastconv
from fastconv import ops, reference

ROWWISE = ["softmax", "log_softmax", "sparsemax"]
ELEMENTWISE = [name for name in ops.ACTIVATIONS if name not in ROWWISE]
GOLDEN = np.load(Path(__file__).parent / "golden" / "activations.npz")  # golden/make_activations.py
IN_KERAS = [name for name in ELEMENTWISE if name != "scaled_tanh"]

# e^x comes out right to 1 unit in the last place (2u); quotients, products and sums around it add 1u each.
# The normal distribution is a product of four such, mish a quotient of two and a product. Relative to y,
# which all these functions give full digits, also near 0 and far down on the left.
# x - tanh x is 0.07 where it is no longer a series, with an error of 2u of tanh x.
RELATIVE = {"gelu": 15, "mish": 10, "tanh_shrink": 24}


def rounding(name: str, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """How far a float32 φ(x) may be from y."""
    units = np.full(x.shape, RELATIVE.get(name, 8.0))
    if name == "gelu_tanh":  # e^2u: four roundings in u, which e^2u turns into relative errors
        z = np.abs(np.clip(x.astype(np.float64), -16, 16))
        units += 4 * 1.6 * (z + 0.045 * z**3)
    return UNIT_ROUNDOFF * units * np.abs(np.where(np.isfinite(y), y, 0))


def derive(dy: np.ndarray, x: np.ndarray, name: str, alpha: float | None = None) -> tuple:
    """y rounded to float32, and dx by the reference from that or from x."""
    with np.errstate(over="ignore"):
        y = reference.activation(x, name, alpha).astype(np.float32)
    return y, reference.activation_backward(dy, y, name, alpha, x)


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
    for isa in each_isa():
        check(ops.activation(x, name), y, rounding(name, x, y), isa)


LOWEST = {
    "linear": -9,
    "scaled_tanh": -1.7159,
    "leaky_relu": -9,
    "log_sigmoid": -9,
    "selu": -1.7580993,
    "hard_shrink": -9,
    "soft_shrink": -9,
} | dict.fromkeys(["tanh", "hard_tanh", "elu", "celu", "softsign"], -1)
HIGHEST = {"relu6": 6, "scaled_tanh": 1.7159, "log_sigmoid": 0} | dict.fromkeys(
    ["sparse_sigmoid", "sigmoid", "hard_sigmoid", "tanh", "hard_tanh", "softsign"], 1
)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_the_derivative_at_all_outputs_equals_the_reference(name):
    """y covers what the function can return, or x where the derivative is made of that; dx = dy · φ′ is
    compared relative to the terms of φ′, which are at most 2: 1 - y², y + α, and what is added up for gelu
    and its like.
    """
    lowest, highest = (-20, 20) if name in ops.NEEDS_INPUT else (LOWEST.get(name, 0), HIGHEST.get(name, 9))
    kept = np.linspace(lowest, highest, 2001, dtype=np.float32)
    kept[0] = lowest
    dy = normal(np.random.default_rng(1), kept.size)
    dx = reference.activation_backward(dy, kept, name, x=kept)
    bound = 4 * UNIT_ROUNDOFF * (2 * np.abs(dy) + np.abs(dx))
    for isa in each_isa():
        check(ops.activation_backward(dy, kept, name, x=kept), dx, bound, isa)


shapes = st.lists(st.integers(0, 19), min_size=1, max_size=3).map(tuple)


@examples(300)
@given(
    shapes, st.sampled_from(ELEMENTWISE), st.sampled_from([None, 0.0, 0.3, 1.0, 2.5]), st.integers(0, 2**16)
)
def test_activations_equal_the_reference(shape, name, alpha, seed):
    """Lengths around whole vectors; ``alpha`` where the function has one."""
    random = np.random.default_rng(seed)
    x, dy = 3 * normal(random, *shape), normal(random, *shape)
    alpha = (alpha or 0.5 if name == "celu" else alpha) if name in ops.activations.DEFAULT_ALPHA else None
    y = reference.activation(x, name, alpha)
    y32, dx = derive(dy, x, name, alpha)
    for isa in each_isa():
        # x/α of CELU is rounded, and e^(x/α) turns its absolute error into a relative one
        slack = UNIT_ROUNDOFF * np.abs(y) * np.abs(x / (alpha or 1) if name == "celu" else 0)
        check(ops.activation(x, name, alpha), y, rounding(name, x, y) + slack, (isa, name))
        bound = (
            4
            * UNIT_ROUNDOFF
            * ((1 + np.abs(y32) * (y32 < 0) / min(1, alpha or 1) + (alpha or 2)) * np.abs(dy))
        )
        found = ops.activation_backward(dy, y32, name, alpha, x)
        check(found, dx, bound + 4 * UNIT_ROUNDOFF * np.abs(dx), (isa, name))


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
        np.testing.assert_array_equal(ops.activation(x, "log_softmax"), ops.log_softmax(x), isa)
        log_p32 = log_p.astype(np.float32)
        dx_of_log = reference.activation_backward(dy, log_p32, "log_softmax")
        total = np.exp(log_p32) * np.sum(np.abs(dy), -1, keepdims=True)
        bound = UNIT_ROUNDOFF * (2 * np.abs(dy) + (4 * np.sqrt(classes) + 6) * total)
        check(ops.activation_backward(dy, log_p32, "log_softmax"), dx_of_log, bound, isa)


@pytest.mark.parametrize("name", ops.ACTIVATIONS)
def test_several_blocks_equal_the_reference(name):
    """Work is done in blocks of some thousand elements; no element between them may be lost."""
    random = np.random.default_rng(3)
    x, dy = normal(random, 1667, 15), normal(random, 1667, 15)
    y = reference.activation(x, name)
    y32, dx = derive(dy, x, name)
    for isa in each_isa():
        # numbers up to 5, e^5 = 150: some units of their last place
        check(ops.activation(x, name), y, 4e-6 + 2e-6 * np.abs(y), isa)
        check(ops.activation_backward(dy, y32, name, x=x), dx, 4e-6 + 1e-6 * np.abs(dx), isa)


@examples(200)
@given(rows, st.integers(1, 40), st.sampled_from([0.1, 1.0, 30.0]), st.integers(0, 2**16))
def test_sparsemax_equals_the_reference(leading, classes, spread, seed):
    random = np.random.default_rng(seed)
    x, dy = spread * normal(random, *leading, classes), normal(random, *leading, classes)
    y = reference.activation(x, "sparsemax")
    found = ops.activation(x, "sparsemax")
    # x - max is rounded, and so is the result, where numbers up to 2 are left
    check(found, y, UNIT_ROUNDOFF * (4 + 2 * spread), "sparsemax")
    y32 = y.astype(np.float32)
    dx = reference.activation_backward(dy, y32, "sparsemax")
    bound = 4 * UNIT_ROUNDOFF * (np.abs(dy) + np.abs(dy).max(initial=0))
    check(ops.activation_backward(dy, y32, "sparsemax"), dx, bound, "sparsemax")
    np.testing.assert_allclose(found.sum(-1, dtype=np.float64), 1, atol=1e-5)


@pytest.mark.parametrize("backend", ["native", "reference"])
def test_sparsemax_of_large_and_of_impossible_scores(backend):
    nan, inf = np.nan, np.inf
    x = [[1e38, -1e38, 0], [-inf, 0, 0], [nan, 1, 2], [inf, 1, 2], [-inf] * 3, [2, 2, 2]]
    with fastconv.set_backend(backend):
        y = ops.activation(x, "sparsemax")
        dx = ops.activation_backward(np.ones((6, 3)), y, "sparsemax")
    expected = [[1, 0, 0], [0, 0.5, 0.5], [nan] * 3, [nan] * 3, [nan] * 3, [1 / 3] * 3]
    np.testing.assert_allclose(y, expected, rtol=1e-6)
    np.testing.assert_array_equal(dx[[0, 1, 5]], 0)


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


@pytest.mark.parametrize("name", ops.ACTIVATIONS)
def test_threads_do_not_change_a_bit(name):
    random = np.random.default_rng(4)
    x, dy = normal(random, 500, 333), normal(random, 500, 333)
    y = ops.activation(x, name)
    for _ in each_isa():
        assert_same_bits_on_any_threads(
            lambda: (ops.activation(x, name), ops.activation_backward(dy, y, name, x=x))
        )


@golden("activation")
def test_activations_equal_keras(case):
    for isa in each_isa():
        y = ops.activation(case["x"], **case.arguments)
        check(y, case["y"], 8 * UNIT_ROUNDOFF * np.abs(case["y"]), isa)
        # inputs up to 4 and gradients up to 2, with derivatives up to 2: 1e-6 is 4 of their units
        check(ops.activation_backward(case["dy"], y, **case.arguments), case["dx"], 1e-6, isa)


@pytest.mark.parametrize("name", IN_KERAS)
def test_values_and_derivatives_at_many_points_equal_keras(name):
    """Keras in float64. There 1 + tanh, x + a root and x - tanh cancel, which ours do not: two units of
    float64, times x.
    """
    x, y, slope = GOLDEN["x"], GOLDEN[f"{name}/y"], GOLDEN[f"{name}/slope"]
    size = np.abs(x).astype(np.float64) if name in ("squareplus", "tanh_shrink") else np.minimum(np.abs(x), 8)
    cancelled = 2 * np.finfo(np.float64).eps * size * (name in ("gelu_tanh", "squareplus", "tanh_shrink"))
    with np.errstate(over="ignore"):
        y, slope = (np.where(np.abs(a) < 3.4e38, a, a.astype(np.float32)) for a in (y, slope))
    for isa in each_isa():
        found = ops.activation(x, name)
        check(found, y, rounding(name, x, y) + cancelled, isa)
        dx = ops.activation_backward(np.ones_like(x), found, name, x=x)
        # e^x and so its derivative have a relative error; all other slopes are at most 1.8
        check(
            dx, slope, UNIT_ROUNDOFF * 8 * np.maximum(1, np.abs(np.where(np.isfinite(slope), slope, 0))), isa
        )


def test_the_scaled_tanh_of_lecun():
    """Appendix A of LeCun et al. 1998: f(±1) = ±1, and f″ is largest near there."""
    x = np.linspace(-6, 6, 1001, dtype=np.float32)
    y = 1.7159 * np.tanh(x.astype(np.float64) * 2 / 3)
    slope = 1.7159 * 2 / 3 / np.cosh(x.astype(np.float64) * 2 / 3) ** 2
    for isa in each_isa():
        found = ops.activation(x, "scaled_tanh")
        check(found, y, 8 * UNIT_ROUNDOFF * np.abs(y), isa)
        # y is 1.7159 (1 - 1e-7) at worst, which the factor 1.7159 - y turns into an absolute error
        check(ops.activation_backward(np.ones_like(x), found, "scaled_tanh"), slope, 32 * UNIT_ROUNDOFF, isa)
    np.testing.assert_allclose(ops.activation([1, -1, 0], "scaled_tanh"), [1, -1, 0], atol=2e-5)
    bend = np.diff(slope, 1)
    assert abs(abs(x[np.argmax(bend)]) - 1) < 0.05


@pytest.mark.parametrize("name", IN_KERAS)
def test_at_the_ends_of_the_range_float32_is_as_keras(name):
    """Infinities and NaN where Keras has them; but numbers below 1e-36, which it takes for 0.

    It makes a 0 of a NaN that is to shrink, and infinity of the square root of large squares: here a NaN
    stays one, and squareplus is x there, or nothing.
    """
    x = GOLDEN["special"]
    same = np.ones(x.shape, bool)
    if name in ("hard_shrink", "soft_shrink"):
        same = ~np.isnan(x)
    elif name == "squareplus":
        same = ~(np.abs(x) > 80)
    for isa in each_isa():
        found = ops.activation(x, name)
        expected = np.where(same, GOLDEN[f"{name}/float32"], np.maximum(x, 0))
        atol = 0.013 if name == "squareplus" else 1e-36  # 1 / |x|
        np.testing.assert_allclose(found[same], expected[same], rtol=2e-6, atol=1e-36, err_msg=isa)
        np.testing.assert_allclose(found[~same], expected[~same], rtol=2e-6, atol=atol, err_msg=isa)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_functions_of_rows_equal_keras(name):
    x, dy = GOLDEN["rows"], GOLDEN["gradient"]
    for isa in each_isa():
        y = ops.activation(x, name)
        check(
            y, GOLDEN[f"{name}/y"], 1e-6 * np.maximum(1, np.abs(GOLDEN[f"{name}/y"])), isa
        )  # scores up to 9
        check(ops.activation_backward(dy, y, name), GOLDEN[f"{name}/dx"], 4e-6, isa)


@pytest.mark.parametrize("name", ops.ACTIVATIONS)
def test_in_its_own_memory_it_gives_the_same(name):
    x = 3 * normal(np.random.default_rng(6), 9, 35)
    for isa in each_isa():
        expected, y = ops.activation(x, name), x.copy()
        assert ops.activations.activate_result(y, name) is y
        np.testing.assert_array_equal(y, expected, isa)


def test_the_tables_of_both_backends_agree():
    from fastconv.reference import activations

    assert set(activations.FUNCTIONS) | set(activations.FUNCTIONS_OF_ROWS) == set(ops.ACTIVATIONS)
    assert set(activations.SLOPES_OF_INPUT) == set(ops.NEEDS_INPUT)
    assert ops.activations.DEFAULT_ALPHA == activations.DEFAULT_ALPHA


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
            (lambda: ops.activation_backward(x[:1], x, "silu", x=x), r"shape \(2, 3\) \(that of x\)"),
            (lambda: ops.activation_backward(x, x, "silu"), "the derivative of silu is made of x: give x"),
            (
                lambda: ops.activation_backward(x, None, "relu", x=x),
                "derivative of relu is made of y: give y",
            ),
            (
                lambda: ops.activation_backward(x, None, "sillu"),
                "unknown activation 'sillu'; did you mean 'silu'",
            ),
            (lambda: ops.activation(x, "celu", 0.0), "alpha, which must be positive; got 0"),
            (lambda: ops.activation(x, "squareplus", -1.0), "alpha, which must not be negative; got -1"),
            (lambda: ops.activation_backward(x, x, "elu", -1.0), "only where alpha is not negative; got -1"),
            (lambda: ops.activation(1.0, "log_softmax"), "log_softmax runs along the last axis"),
        ]:
            with pytest.raises(ValueError, match=message):
                call()
