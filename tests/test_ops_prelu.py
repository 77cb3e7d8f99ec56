"""The rectifier with learned slopes on every instruction set, against the reference."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernels import assert_same_bits_on_any_threads, each_isa
from strategies import UNIT_ROUNDOFF, check, examples, normal

import fastconv
from fastconv import ops, reference

shapes = st.lists(st.sampled_from([1, 2, 3, 5, 8, 17, 20]), min_size=1, max_size=3).filter(
    lambda shape: np.prod(shape) < 1500
)


@examples(200)
@given(st.integers(0, 6), shapes, st.integers(0, 7), st.integers(0, 2**16))
def test_any_shared_axes_equal_the_reference(batch, example, shared, seed):
    random = np.random.default_rng(seed)
    x, dy = normal(random, batch, *example), normal(random, batch, *example)
    x[..., 0] = 0  # where the kink is
    alpha = normal(random, *(1 if shared >> i & 1 else n for i, n in enumerate(example)))
    y, (dx, dalpha) = reference.prelu(x, alpha), reference.prelu_backward(dy, x, alpha)
    summed = tuple(i for i, n in enumerate((1, *alpha.shape)) if n == 1)
    terms = np.abs(dy * x).sum(axis=summed).reshape(alpha.shape)
    for isa in each_isa():
        check(ops.prelu(x, alpha), y, UNIT_ROUNDOFF * np.abs(y), isa)
        found_dx, found_dalpha = ops.prelu_backward(dy, x, alpha)
        check(found_dx, dx, UNIT_ROUNDOFF * np.abs(dx), isa)
        check(found_dalpha, dalpha, 4 * (1 + np.sqrt(dy.size)) * UNIT_ROUNDOFF * terms, isa)


def test_several_pieces_and_threads():
    random = np.random.default_rng(1)
    x, dy = normal(random, 30, 40, 40, 3), normal(random, 30, 40, 40, 3)
    alpha = normal(random, 1, 1, 3)
    expected = np.where(x < 0, dy * x, 0).astype(np.float64).sum((0, 1, 2), keepdims=True)[0]
    for isa in each_isa():
        dx, dalpha = ops.prelu_backward(dy, x, alpha)
        np.testing.assert_allclose(dalpha, expected, rtol=1e-4, err_msg=isa)
        np.testing.assert_array_equal(dx, np.where(x > 0, dy, alpha * dy), isa)
        assert_same_bits_on_any_threads(lambda: (ops.prelu(x, alpha), *ops.prelu_backward(dy, x, alpha)))


def test_nan_stays_nan():
    x, alpha = np.float32([[np.nan, -np.inf, np.inf, -0.0]]), np.full(4, 0.5, np.float32)
    for isa in each_isa():
        np.testing.assert_array_equal(ops.prelu(x, alpha), [[np.nan, -np.inf, np.inf, 0]], isa)


@pytest.mark.parametrize("backend", ["native", "reference"])
def test_errors_name_the_argument(backend):
    x = np.zeros((2, 3, 4))
    with fastconv.set_backend(backend):
        for alpha in (np.zeros(4), np.zeros((3, 3)), np.zeros((1, 3, 4))):
            with pytest.raises(
                ValueError, match=r"alpha must have the shape of one example of x, .* \(2, 3, 4\)"
            ):
                ops.prelu(x, alpha)
        with pytest.raises(ValueError, match=r"dy must have shape \(2, 3, 4\)"):
            ops.prelu_backward(x[:1], x, np.zeros((3, 4)))
