"""Sums, products, maxima of two arrays on every instruction set against the reference."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernels import assert_same_bits_on_any_threads, each_isa
from strategies import UNIT_ROUNDOFF, check, examples, rounding_bound

import fastconv
from fastconv import ops, reference

OPERATIONS = ops.ELEMENTWISE


def numbers(random: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Small fractions, none of them 0, so that some pairs are equal."""
    return (random.integers(1, 9, shape) * random.choice([-0.375, 0.375], shape)).astype(np.float32)


@st.composite
def shapes(draw) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Two that broadcast: any of the axes repeated in either, leading ones left out."""
    whole = [draw(st.sampled_from([1, 2, 3, 5, 17, 40])) for _ in range(draw(st.integers(0, 5)))]
    while np.prod(whole, dtype=int) > 3000:
        whole[int(np.argmax(whole))] = 2
    found = []
    for _ in range(2):
        own = [n if draw(st.booleans()) else 1 for n in whole]
        found.append(tuple(own[draw(st.integers(0, len(own))) if draw(st.booleans()) else 0 :]))
    return found[0], found[1]


@examples(300)
@given(shapes(), st.sampled_from(OPERATIONS), st.integers(0, 2**16))
def test_equals_the_reference(case, operation, seed):
    random = np.random.default_rng(seed)
    a, b = (numbers(random, shape) for shape in case)
    y = reference.elementwise(a, b, operation)
    dy = random.standard_normal(y.shape, np.float32)
    gradients = reference.elementwise_backward(dy, a, b, operation)
    sizes = (a, b) if operation in ("maximum", "minimum") else (abs(a), abs(b))
    scales = reference.elementwise_backward(abs(dy), *sizes, operation)
    for isa in each_isa():
        check(ops.elementwise(a, b, operation), y, UNIT_ROUNDOFF * abs(y), (isa, operation))
        found = ops.elementwise_backward(dy, a, b, operation)
        for actual, expected, scale, x in zip(found, gradients, scales, (a, b), strict=True):
            terms = max(1, y.size // max(x.size, 1))
            check(actual, expected, rounding_bound(abs(scale), terms + 2), (isa, operation))


LARGE = {
    "equal": ((8, 30, 31, 17), (8, 30, 31, 17)),
    "excitation": ((6, 28, 28, 64), (6, 1, 1, 64)),
    "excitation, few channels": ((6, 40, 40, 3), (6, 1, 1, 3)),
    "channels": ((9, 28, 28, 24), (24,)),
    "three channels": ((64, 64, 33, 3), (3,)),
    "one number for each pixel": ((9, 28, 28, 24), (9, 28, 28, 1)),
    "one for each image": ((9, 28, 28, 24), (9, 1, 1, 1)),
    "one number": ((200_001,), ()),
    "one image for all": ((9, 28, 28, 12), (28, 28, 12)),
    "a mask of pixels for all": ((9, 28, 28, 12), (1, 28, 28, 1)),
    "long rows": ((3, 100_003), (100_003,)),
    "both repeated": ((40, 1, 90), (1, 50, 90)),
    "an outer product": ((400, 1), (1, 300)),
    "alternating": ((4, 20, 1, 30, 1), (1, 20, 8, 1, 9)),
}


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("name", LARGE)
def test_large_shapes_equal_numpy(name, operation):
    random = np.random.default_rng(1)
    a, b = (numbers(random, shape) for shape in LARGE[name])
    wide_a, wide_b = a.astype(np.float64), b.astype(np.float64)
    y = {
        "add": wide_a + wide_b,
        "subtract": wide_a - wide_b,
        "multiply": wide_a * wide_b,
        "divide": wide_a / wide_b,
        "average": (wide_a + wide_b) / 2,
        "maximum": np.maximum(wide_a, wide_b),
        "minimum": np.minimum(wide_a, wide_b),
    }[operation]
    dy = random.standard_normal(y.shape, np.float32)
    share = np.where(wide_a == wide_b, 0.5, 1.0)
    slopes = {
        "add": (1, 1),
        "subtract": (1, -1),
        "multiply": (wide_b, wide_a),
        "divide": (1 / wide_b, -wide_a / wide_b**2),
        "average": (0.5, 0.5),
    }.get(operation, (share * (wide_a == y), share * (wide_b == y)))
    for isa in each_isa():
        check(ops.elementwise(a, b, operation), y, UNIT_ROUNDOFF * abs(y), isa)
        found = ops.elementwise_backward(dy, a, b, operation)
        for actual, slope, x in zip(found, slopes, (a, b), strict=True):
            terms = dy * slope
            own = (1,) * (y.ndim - x.ndim) + x.shape
            axes = tuple(i for i, (n, kept) in enumerate(zip(y.shape, own, strict=True)) if n != kept)
            expected, scale = (t.sum(axes, keepdims=True).reshape(x.shape) for t in (terms, abs(terms)))
            check(actual, expected, rounding_bound(scale, y.size // x.size + 2), (isa, name))


@pytest.mark.parametrize("name", LARGE)
def test_threads_do_not_change_a_bit(name):
    random = np.random.default_rng(2)
    a, b = (random.standard_normal(shape, np.float32) for shape in LARGE[name])
    dy = random.standard_normal(np.broadcast_shapes(a.shape, b.shape), np.float32)
    for _ in each_isa():
        assert_same_bits_on_any_threads(
            lambda: (ops.elementwise(a, b, "divide"), *ops.elementwise_backward(dy, a, b, "divide"))
        )


def test_ties_share_the_gradient():
    """As jax.numpy.maximum and minimum do."""
    a, b = np.float32([1, 2, 3]), np.float32([2, 2, 2])
    for _ in each_isa():
        da, db = ops.elementwise_backward(np.float32([8, 8, 8]), a, b, "maximum")
        assert (da.tolist(), db.tolist()) == ([0, 4, 8], [8, 4, 0])
        da, db = ops.elementwise_backward(np.float32([8, 8, 8]), a, b, "minimum")
        assert (da.tolist(), db.tolist()) == ([8, 4, 0], [0, 4, 8])


def test_nan_and_infinity():
    a, b = np.float32([np.nan, 1, np.inf, -np.inf, 1]), np.float32([1, np.nan, 1, 1, 0])
    nan = [True, True, False, False, False]
    for _ in each_isa():
        for operation in OPERATIONS:
            assert np.isnan(ops.elementwise(a, b, operation)).tolist() == nan, operation
        assert ops.elementwise(a, b, "maximum")[2:].tolist() == [np.inf, 1, 1]
        assert ops.elementwise(a, b, "minimum")[2:].tolist() == [1, -np.inf, 0]
        assert ops.elementwise(a, b, "divide")[2:].tolist() == [np.inf, -np.inf, np.inf]


def test_nothing():
    """An empty batch: nothing forward; gradients of what was repeated are sums of nothing."""
    a, b = np.ones((0, 2, 3), np.float32), np.ones((3,), np.float32)
    assert ops.elementwise(a, b, "add").shape == (0, 2, 3)
    da, db = ops.elementwise_backward(a, a, b, "multiply")
    assert da.shape == (0, 2, 3)
    assert db.tolist() == [0, 0, 0]


def test_only_what_is_needed():
    a = np.ones((2, 3), np.float32)
    assert ops.elementwise_backward(a, a, a, "add", needs=(False, True))[0] is None
    assert ops.elementwise_backward(a, a, a, "add", needs=(True, False))[1] is None
    with fastconv.set_backend("reference"):
        assert ops.elementwise_backward(a, a, a, "add", needs=(False, True))[0] is None


def test_errors():
    a = np.ones((2, 3), np.float32)
    with pytest.raises(ValueError, match=r"\(2, 3\).*\(2,\) do not broadcast"):
        ops.elementwise(a, np.ones(2), "add")
    with pytest.raises(ValueError, match="unknown operation 'power'"):
        ops.elementwise(a, a, "power")
    with pytest.raises(ValueError, match=r"dy must have shape \(2, 3\)"):
        ops.elementwise_backward(np.ones(3), a, a, "add")
    with pytest.raises(ValueError, match="needs must be a pair"):
        ops.elementwise_backward(a, a, a, "add", needs=(True,))
    with pytest.raises(TypeError, match="b must hold real numbers"):
        ops.elementwise(a, a * 1j, "add")
