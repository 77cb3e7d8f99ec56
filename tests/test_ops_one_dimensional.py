"""Operations along one axis: against the plain loops, or against those of images with one row."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernels import each_kernel
from strategies import check, examples, normal, rounding_bound

from fastconv import ops, reference


@st.composite
def convolutions(draw) -> tuple[tuple, tuple, dict, int]:
    """(x's shape, kernel's shape, other arguments, seed)"""
    size, dilation = draw(st.integers(1, 5)), draw(st.sampled_from([1, 1, 2]))
    padding = draw(st.sampled_from(["valid", "same", "causal", 2, (3, 0)]))
    groups = draw(st.sampled_from([1, 1, 2]))
    length = draw(st.integers((size - 1) * dilation + 1, 30))
    channels = groups * draw(st.sampled_from([1, 3, 8])), groups * draw(st.sampled_from([1, 2, 17]))
    how = {
        "strides": draw(st.integers(1, 3)),
        "padding": padding,
        "dilation_rate": dilation,
        "groups": groups,
    }
    batch = draw(st.sampled_from([0, 1, 2]))
    kernel = (size, channels[0] // groups, channels[1])
    return (batch, length, channels[0]), kernel, how, draw(st.integers(0, 2**16))


@examples(150)
@given(convolutions())
def test_convolution_equals_the_reference(case):
    shape, kernel_shape, how, seed = case
    random = np.random.default_rng(seed)
    x, kernel, bias = normal(random, *shape), normal(random, *kernel_shape), normal(random, kernel_shape[2])
    y = reference.conv1d(x, kernel, bias, **how)
    dy = normal(random, *y.shape)

    def run(module, x, kernel, bias, dy, **more):
        dx = module.conv1d_backward_data(dy, kernel, shape, **how, **more)
        gradients = module.conv1d_backward_kernel(x, dy, kernel_shape[0], **how, **more)
        return module.conv1d(x, kernel, bias, **how, **more), dx, *gradients

    expected = run(reference, x, kernel, bias, dy)
    scales = run(reference, abs(x), abs(kernel), abs(bias), abs(dy))
    terms = 200
    for isa, algorithm in each_kernel():
        found = run(ops, x, kernel, bias, dy, algorithm=algorithm)
        for actual, wanted, scale in zip(found, expected, scales, strict=True):
            check(actual, wanted, rounding_bound(scale, terms), (isa, algorithm))


def test_causal_padding_sees_nothing_that_comes_after():
    random = np.random.default_rng(1)
    x, kernel = normal(random, 1, 12, 3), normal(random, 3, 3, 2)
    y = ops.conv1d(x, kernel, padding="causal", dilation_rate=2)
    later = x.copy()
    later[:, 7:] += 1
    changed = ops.conv1d(later, kernel, padding="causal", dilation_rate=2)
    assert (changed != y).any(2).ravel().tolist() == [False] * 7 + [True] * 5


def same(found, rows) -> None:
    """Equal to the same of images with one row."""
    found, rows = (result if isinstance(result, tuple) else (result,) for result in (found, rows))
    for line, row in zip(found, rows, strict=True):
        np.testing.assert_array_equal(line, row.reshape(line.shape))


def test_depthwise_and_transposed_convolution_are_those_of_one_row():
    random = np.random.default_rng(2)
    x, kernel, bias = normal(random, 2, 11, 3), normal(random, 4, 3, 2), normal(random, 6)
    how, row = {"strides": 2, "padding": "same"}, {"strides": (1, 2), "padding": "same"}
    y = ops.depthwise_conv1d(x, kernel, bias, **how)
    same(y, ops.depthwise_conv2d(x[:, None], kernel[None], bias, **row))
    same(
        ops.depthwise_conv1d_backward_data(y, kernel, x.shape, **how),
        ops.depthwise_conv2d_backward_data(y[:, None], kernel[None], (2, 1, 11, 3), **row),
    )
    same(
        ops.depthwise_conv1d_backward_kernel(x, y, 4, **how),
        ops.depthwise_conv2d_backward_kernel(x[:, None], y[:, None], (1, 4), **row),
    )
    kernel, more = normal(random, 4, 5, 3), {"output_padding": 1}
    row_more = {"output_padding": (0, 1)}
    y = ops.conv1d_transpose(x, kernel, **how, **more)
    assert y.shape == (2, 10 * 2 + 0 + 1, 5)
    same(y, ops.conv2d_transpose(x[:, None], kernel[None], **row, **row_more))
    same(
        ops.conv1d_transpose_backward_data(y, kernel, x.shape, **how, **more),
        ops.conv2d_transpose_backward_data(y[:, None], kernel[None], (2, 1, 11, 3), **row, **row_more),
    )
    out = np.empty((4, 5, 3), np.float32), None
    found = ops.conv1d_transpose_backward_kernel(x, y, 4, **how, **more, out=out)
    np.testing.assert_array_equal(found[0], out[0])
    same(found, ops.conv2d_transpose_backward_kernel(x[:, None], y[:, None], (1, 4), **row, **row_more))


def test_pooling_and_upsampling_are_those_of_one_row():
    random = np.random.default_rng(3)
    x, row_shape = normal(random, 2, 11, 3), (2, 1, 11, 3)
    row = x[:, None]
    how, in_row = {"pool_size": 3, "strides": 2, "padding": "same"}, {"pool_size": (1, 3), "strides": (1, 2)}
    in_row |= {"padding": "same"}
    y, switches = ops.max_pool1d(x, **how)
    same((y, switches), ops.max_pool2d(row, **in_row))
    same(
        ops.max_pool1d_backward(y, switches, x.shape, **how),
        ops.max_pool2d_backward(y[:, None], switches[:, None], row_shape, **in_row),
    )
    same(ops.avg_pool1d(x, **how), ops.avg_pool2d(row, **in_row))
    same(
        ops.avg_pool1d_backward(y, x.shape, **how),
        ops.avg_pool2d_backward(y[:, None], row_shape, **in_row),
    )
    same(ops.global_avg_pool1d(x), ops.global_avg_pool2d(row))
    largest, places = ops.global_max_pool1d(x)
    same((largest, places), ops.global_max_pool2d(row))
    same(
        ops.global_max_pool1d_backward(largest, places, x.shape),
        ops.global_max_pool2d_backward(largest, places, row_shape),
    )
    same(ops.global_avg_pool1d_backward(largest, x.shape), ops.global_avg_pool2d_backward(largest, row_shape))
    larger = ops.upsample1d(x, 3)
    np.testing.assert_array_equal(larger, np.repeat(x, 3, 1))
    check(ops.upsample1d_backward(larger, 3), 3.0 * x, 1e-6 * abs(x))


def test_errors():
    x, kernel = np.ones((1, 5, 2)), np.ones((3, 2, 4))
    with pytest.raises(ValueError, match=r"x must have 3 axes \(N, L, C\)"):
        ops.conv1d(np.ones((5, 2)), kernel)
    with pytest.raises(ValueError, match="kernel must have 3 axes"):
        ops.conv1d(x, np.ones((1, 3, 2, 4)))
    with pytest.raises(ValueError, match="strides must be a whole number of at least 1"):
        ops.conv1d(x, kernel, strides=0)
    with pytest.raises(ValueError, match=r"unknown padding 'full'.*'causal'"):
        ops.conv1d(x, kernel, padding="full")
    with pytest.raises(ValueError, match="padding"):
        ops.max_pool1d(x, padding="causal")
    with pytest.raises(ValueError, match=r"switches must have shape \(1, 2, 2\)"):
        ops.max_pool1d_backward(np.ones((1, 2, 2)), 3, (1, 5, 2))
    with pytest.raises(ValueError, match=r"input_shape must be \(N, L, C\)"):
        ops.conv1d_backward_data(np.ones((1, 3, 4)), kernel, (1, 1, 5, 2))
