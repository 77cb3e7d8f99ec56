"""Transposed convolution against its reference: every instruction set and algorithm."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernels import assert_same_bits_on_any_threads, each_kernel
from strategies import check, examples, normal, rounding_bound

from fastconv import ops, reference
from fastconv._core.geometry import transposed


@st.composite
def cases(draw) -> tuple[tuple, tuple, dict, int]:
    """(x's shape, kernel's shape, other arguments, seed)"""
    image = (draw(st.integers(1, 5)), draw(st.integers(1, 6)))
    size = (draw(st.integers(1, 4)), draw(st.integers(1, 4)))
    strides = (draw(st.integers(1, 5)), draw(st.integers(1, 3)))
    dilation = (draw(st.sampled_from([1, 1, 2])), draw(st.sampled_from([1, 1, 3])))
    extra = draw(st.sampled_from([None, tuple(draw(st.integers(0, s - 1)) for s in strides)]))
    how = {
        "strides": strides,
        "padding": draw(st.sampled_from(["valid", "same"])),
        "output_padding": extra,
        "dilation_rate": dilation,
    }
    channels = draw(st.sampled_from([1, 2, 3, 17])), draw(st.sampled_from([1, 2, 5, 16]))
    batch = draw(st.sampled_from([0, 1, 2]))
    return (batch, *image, channels[0]), (*size, channels[1], channels[0]), how, draw(st.integers(0, 2**16))


@examples(300)
@given(cases())
def test_equals_the_reference(case):
    shape, kernel_shape, how, seed = case
    random = np.random.default_rng(seed)
    x, kernel, bias = normal(random, *shape), normal(random, *kernel_shape), normal(random, kernel_shape[2])
    y = reference.conv2d_transpose(x, kernel, bias, **how)
    dy = normal(random, *y.shape)

    def gradients(module, x, kernel, dy, **more):
        dx = module.conv2d_transpose_backward_data(dy, kernel, shape, **how, **more)
        return dx, *module.conv2d_transpose_backward_kernel(x, dy, kernel_shape[:2], **how, **more)

    expected = y, *gradients(reference, x, kernel, dy)
    scales = (
        reference.conv2d_transpose(abs(x), abs(kernel), abs(bias), **how),
        *gradients(reference, abs(x), abs(kernel), abs(dy)),
    )
    taps, pixels = kernel_shape[0] * kernel_shape[1], max(1, y.size // max(1, kernel_shape[2]))
    terms = taps * shape[3] + 1, taps * kernel_shape[2], pixels, pixels
    for isa, algorithm in each_kernel():
        found = (
            ops.conv2d_transpose(x, kernel, bias, **how, algorithm=algorithm),
            *gradients(ops, x, kernel, dy, algorithm=algorithm),
        )
        for name, actual, wanted, scale, count in zip(
            ("y", "dx", "dkernel", "dbias"), found, expected, scales, terms, strict=True
        ):
            check(actual, wanted, rounding_bound(scale, count), (isa, algorithm, name))


def test_threads_do_not_change_a_bit():
    random = np.random.default_rng(1)
    x, kernel, bias = normal(random, 4, 14, 15, 24), normal(random, 3, 3, 17, 24), normal(random, 17)
    how = {"strides": 2, "padding": "same"}
    dy = normal(random, *ops.conv2d_transpose(x, kernel, **how).shape)
    assert_same_bits_on_any_threads(
        lambda: (
            ops.conv2d_transpose(x, kernel, bias, **how),
            ops.conv2d_transpose_backward_data(dy, kernel, x.shape, **how),
            *ops.conv2d_transpose_backward_kernel(x, dy, 3, **how),
        )
    )


def test_each_pixel_lays_its_kernel():
    x, kernel = np.float32([1, 10]).reshape(1, 1, 2, 1), np.float32([1, 2, 3]).reshape(1, 3, 1, 1)
    assert ops.conv2d_transpose(x, kernel).ravel().tolist() == [1, 12, 23, 30]
    assert ops.conv2d_transpose(x, kernel, strides=(1, 2)).ravel().tolist() == [1, 2, 13, 20, 30]
    assert ops.conv2d_transpose(x, kernel, strides=(1, 4)).ravel().tolist() == [1, 2, 3, 0, 10, 20, 30, 0]
    assert ops.conv2d_transpose(x, kernel, [100.0], padding="same").ravel().tolist() == [112, 123]


@pytest.mark.parametrize("stride", [1, 2, 3, 5])
@pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
def test_sizes(stride, size):
    """ "same" gives n · stride, "valid" what all kernels cover, and at least n · stride."""
    for n in (1, 2, 7):
        same, _ = transposed((n, n), size, stride, "same")
        valid, _ = transposed((n, n), size, stride, "valid")
        assert same.output == n * stride
        assert valid.output == (n - 1) * stride + max(size, stride)


def test_results_are_written_to_the_arrays_given():
    random = np.random.default_rng(3)
    x, dy = normal(random, 2, 3, 3, 4), normal(random, 2, 5, 5, 6)
    out = np.full((3, 3, 6, 4), np.nan, np.float32), np.full(6, np.nan, np.float32)
    found = ops.conv2d_transpose_backward_kernel(x, dy, 3, out=out)
    assert all(a is b for a, b in zip(found, out, strict=True))
    for written, expected in zip(out, ops.conv2d_transpose_backward_kernel(x, dy, 3), strict=True):
        np.testing.assert_array_equal(written, expected)


def test_errors():
    x, kernel = np.ones((1, 4, 4, 3)), np.ones((3, 3, 2, 3))
    with pytest.raises(ValueError, match="x must have 4 channels"):
        ops.conv2d_transpose(x, np.ones((3, 3, 2, 4)))
    with pytest.raises(ValueError, match=r"bias must have shape \(2,\)"):
        ops.conv2d_transpose(x, kernel, np.ones(3))
    with pytest.raises(ValueError, match="unknown padding 'causal'"):
        ops.conv2d_transpose(x, kernel, padding="causal")
    with pytest.raises(ValueError, match=r"output_padding \(2, 2\) must be less than strides \(2, 2\)"):
        ops.conv2d_transpose(x, kernel, strides=2, output_padding=2)
    with pytest.raises(ValueError, match=r"dy must have shape \(1, 6, 6, 2\)"):
        ops.conv2d_transpose_backward_data(x, kernel, x.shape)
