"""Layer, group, root mean square and unit normalisation against their references on every instruction set."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernels import assert_same_bits_on_any_threads, each_isa
from strategies import check, examples, normal

import fastconv
from fastconv import ops, reference

WIDTHS = [1, 2, 3, 7, 8, 15, 16, 17, 33, 65]


def layer(module, dy, x, gamma, beta, axis):
    y, mean, inverse = module.layer_norm(x, gamma, beta, axis=axis)
    return y, *module.layer_norm_backward(dy, x, mean, inverse, gamma, axis)


def rms(module, dy, x, gamma, beta, axis):
    y, inverse = module.rms_norm(x, gamma, 1e-3, axis)
    return y, *module.rms_norm_backward(dy, x, inverse, gamma, axis)


def unit(module, dy, x, gamma, beta, axis):
    y, inverse = module.unit_norm(x, axis)
    return y, module.unit_norm_backward(dy, x, inverse, axis)


def close(found, expected, rows: int, where: object) -> None:
    """To some 1e-6 of the largest number, and sums over rows to the root of their number more."""
    for i, (actual, wanted) in enumerate(zip(found, expected, strict=True)):
        size = np.abs(wanted).max(initial=0)
        check(actual, wanted, 2e-6 * (size + 1) * (np.sqrt(rows + 1) if i > 1 else 4), where)


@examples(150)
@given(
    st.sampled_from([layer, rms, unit]),
    st.tuples(st.sampled_from([0, 1, 2, 5, 19]), st.sampled_from([1, 3]), st.sampled_from(WIDTHS)),
    st.sampled_from([-1, 1, (1, 2), (0,)]),
    st.booleans(),
    st.integers(0, 2**16),
)
def test_rows_equal_the_reference(kind, shape, axis, weighted, seed):
    axes = axis if isinstance(axis, tuple) else (axis % 3,)
    if 0 in axes and shape[0] == 0:
        return
    random = np.random.default_rng(seed)
    x, dy = normal(random, *shape), normal(random, *shape)
    sizes = [shape[a] for a in axes]
    gamma, beta = (normal(random, *sizes), normal(random, *sizes)) if weighted else (None, None)
    if kind is unit:
        # a row of one number has a gradient of 0, in which only rounding errors are left
        x += np.sign(x)
    expected = kind(reference, dy, x, gamma, beta, axis)
    for isa in each_isa():
        found = kind(ops, dy, x, gamma, beta, axis)
        close(found, expected, x.size // max(1, int(np.prod(sizes))), (isa, kind.__name__))


@examples(100)
@given(
    st.sampled_from([(0, 3, 2), (1, 1, 1), (2, 4, 3), (3, 2, 5), (2, 1, 4)]),
    st.sampled_from([(1, 1), (1, 3), (2, 4), (3, 3), (4, 16), (1, 17), (17, 17), (2, 34), (8, 32)]),
    st.booleans(),
    st.integers(0, 2**16),
)
def test_groups_equal_the_reference(images, channels, weighted, seed):
    groups, C = channels
    random = np.random.default_rng(seed)
    x, dy = normal(random, *images, C), normal(random, *images, C)
    gamma, beta = (normal(random, C), normal(random, C)) if weighted else (None, None)

    def run(module):
        y, mean, inverse = module.group_norm(x, groups, gamma, beta)
        return y, *module.group_norm_backward(dy, x, mean, inverse, gamma)

    expected = run(reference)
    for isa in each_isa():
        close(run(ops), expected, x.size // max(C, 1), isa)


LARGE = {
    "rows": (512, 300),
    "wide rows": (3, 50_001),
    "pixels": (8, 14, 14, 64),
    "few channels": (8, 33, 31, 3),
}


@pytest.mark.parametrize("shape", LARGE.values(), ids=LARGE.keys())
def test_threads_do_not_change_a_bit(shape):
    random = np.random.default_rng(1)
    x, dy, gamma = normal(random, *shape), normal(random, *shape), normal(random, shape[-1])

    def run():
        y, mean, inverse = ops.group_norm(x, shape[-1] // 3 if shape[-1] % 3 == 0 else 1, gamma)
        grouped = y, *ops.group_norm_backward(dy, x, mean, inverse, gamma)
        return tuple(layer(ops, dy, x, gamma, gamma, -1)) + rms(ops, dy, x, gamma, None, -1) + grouped

    for _ in each_isa():
        assert_same_bits_on_any_threads(run)


def test_a_large_mean_costs_no_digits():
    random = np.random.default_rng(2)
    small = np.round(random.standard_normal((5, 3000)) * 16).astype(np.float32) / 16
    x = small + np.float32(4096)  # without rounding
    exact = small - small.mean(1, keepdims=True, dtype=np.float64)
    exact /= np.sqrt((exact**2).mean(1, keepdims=True) + 1e-3)
    for isa in each_isa():
        y, mean, _ = ops.layer_norm(x)
        assert abs(mean - x.mean(1, dtype=np.float64)).max() <= 2.0**-12
        assert abs(y - exact).max() <= 2.0**-11, isa  # the mean is rounded to 2**-12
        grouped, _, _ = ops.group_norm(x.reshape(5, 1000, 3), 1)
        assert abs(grouped.reshape(y.shape) - exact).max() <= 2.0**-11, isa


def test_rows_of_zeros():
    x = np.zeros((2, 3), np.float32)
    for _ in each_isa():
        y, inverse = ops.unit_norm(x)
        assert y.tolist() == x.tolist()
        assert inverse.tolist() == [np.float32(1e12)] * 2
        dx = ops.unit_norm_backward(np.ones((2, 3)), x, inverse)
        assert dx.tolist() == [[np.float32(1e12)] * 3] * 2
        assert ops.layer_norm(x, None, np.float32([1, 2, 3]))[0].tolist() == [[1, 2, 3]] * 2


def test_nan_and_infinity_stay_in_their_row():
    x = np.ones((3, 20), np.float32) * np.arange(20, dtype=np.float32)
    x[1, 4] = np.nan
    for _ in each_isa():
        for y in (ops.layer_norm(x)[0], ops.rms_norm(x)[0], ops.unit_norm(x)[0]):
            assert np.isnan(y).any(1).tolist() == [False, True, False]
        y, _, _ = ops.group_norm(x, 4)
        assert np.isnan(y).sum() == 5


def test_both_backends_keep_what_backward_needs():
    x = np.float32([[1, 2, 6]])
    for backend in ("native", "reference"):
        with fastconv.set_backend(backend):
            _, mean, inverse = ops.layer_norm(x, epsilon=0)
            assert (mean.item(), round(inverse.item(), 6)) == (3, round(1 / np.sqrt(14 / 3), 6))


def test_errors():
    x = np.ones((2, 3, 4), np.float32)
    with pytest.raises(ValueError, match=r"gamma must have shape \(4,\)"):
        ops.layer_norm(x, np.ones(3))
    with pytest.raises(ValueError, match="axis=3 must name axes of x"):
        ops.layer_norm(x, axis=3)
    with pytest.raises(ValueError, match="twice"):
        ops.rms_norm(x, axis=(1, -2))
    with pytest.raises(ValueError, match="nothing to normalise along axis=-1"):
        ops.unit_norm(np.ones((2, 0)))
    with pytest.raises(ValueError, match="groups=3 must divide the 4 channels"):
        ops.group_norm(x, 3)
    with pytest.raises(ValueError, match="images without pixels have no mean"):
        ops.group_norm(np.ones((2, 0, 4)), 2)
    with pytest.raises(ValueError, match=r"mean must have shape \(2, 3\)"):
        ops.layer_norm_backward(x, x, np.ones(2), np.ones((2, 3)))
