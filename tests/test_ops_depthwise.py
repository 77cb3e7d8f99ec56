"""Depthwise convolution on every instruction set against the reference and Keras."""

from __future__ import annotations

import numpy as np
import numpy_oracle
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernels import assert_same_bits_on_any_threads, each_isa
from strategies import CHANNELS, Sliding, check, examples, normal, rounding_bound, slidings

from fastconv import ops, reference
from fastconv._core.geometry import window


@st.composite
def cases(draw) -> tuple[Sliding, int, int, int]:
    """(sliding, C, M, seed), small enough for the reference."""
    sliding = draw(slidings())
    room = max(1, 6_000 // (max(sliding.positions, 1) * sliding.size[0] * sliding.size[1]))
    C = draw(st.sampled_from([c for c in CHANNELS if c <= room] or [1]))
    return sliding, C, draw(st.sampled_from([1, 1, 1, 2, 3])), draw(st.integers(0, 2**16))


def options(sliding: Sliding) -> dict:
    return {"strides": sliding.strides, "padding": sliding.padding, "dilation_rate": sliding.dilation_rate}


def grouped(kernel: np.ndarray) -> np.ndarray:
    """The kernel as ``conv2d`` with ``groups=C`` takes it."""
    return kernel.reshape(*kernel.shape[:2], 1, -1)


@examples(500)
@given(cases(), st.booleans())
def test_forward_equals_the_reference(case, with_bias):
    sliding, C, M, seed = case
    random = np.random.default_rng(seed)
    x, kernel = normal(random, sliding.batch, *sliding.image, C), normal(random, *sliding.size, C, M)
    bias = normal(random, C * M) if with_bias else None
    expected = reference.depthwise_conv2d(x, kernel, bias, **options(sliding))
    absolute = abs(bias) if with_bias else None
    scale = numpy_oracle.conv2d(abs(x), grouped(abs(kernel)), absolute, sliding.view, C)
    bound = rounding_bound(scale, terms=kernel[..., 0, 0].size)
    for isa in each_isa():
        check(ops.depthwise_conv2d(x, kernel, bias, **options(sliding)), expected, bound, isa)


@examples(400)
@given(cases())
def test_backward_data_equals_the_reference(case):
    sliding, C, M, seed = case
    random = np.random.default_rng(seed)
    shape = (sliding.batch, *sliding.image, C)
    dy = normal(random, sliding.batch, *sliding.view.output_size, C * M)
    kernel = normal(random, *sliding.size, C, M)
    expected = reference.depthwise_conv2d_backward_data(dy, kernel, shape, **options(sliding))
    scale = numpy_oracle.conv2d_backward_data(abs(dy), grouped(abs(kernel)), shape, sliding.view, C)
    bound = rounding_bound(scale, terms=kernel[:, :, 0].size)
    for isa in each_isa():
        dx = ops.depthwise_conv2d_backward_data(dy, kernel, shape, **options(sliding))
        check(dx, expected, bound, isa)


@examples(400)
@given(cases())
def test_backward_kernel_equals_the_reference(case):
    sliding, C, M, seed = case
    random = np.random.default_rng(seed)
    x = normal(random, sliding.batch, *sliding.image, C)
    dy = normal(random, sliding.batch, *sliding.view.output_size, C * M)
    expected = reference.depthwise_conv2d_backward_kernel(x, dy, sliding.size, **options(sliding))
    dkernel, dbias = numpy_oracle.conv2d_backward_kernel(abs(x), abs(dy), sliding.view, C)
    scales = dkernel.reshape(expected[0].shape), dbias
    for isa in each_isa():
        gradients = ops.depthwise_conv2d_backward_kernel(x, dy, sliding.size, **options(sliding))
        for gradient, wanted, scale in zip(gradients, expected, scales, strict=True):
            check(gradient, wanted, rounding_bound(scale, sliding.positions), isa)


# ---- larger shapes: several strips, periods, tiles and parts

LARGE = {
    # what it is for: (batch, (H, W), C, (KH, KW), M, other arguments)
    "whole vectors": (2, (28, 28), 64, (3, 3), 1, {"padding": "same"}),
    "several strips": (2, (60, 58), 96, (3, 3), 1, {"padding": "same"}),
    "in place": (3, (20, 21), 32, (3, 3), 1, {}),
    "in place, rows skipped": (3, (20, 21), 5, (3, 3), 1, {"strides": (2, 1)}),
    "one channel": (4, (28, 28), 1, (5, 5), 1, {"padding": "same"}),
    "three channels": (4, (28, 31), 3, (3, 3), 1, {"padding": "same"}),
    "17 channels": (3, (19, 18), 17, (3, 3), 1, {"padding": "same"}),
    "channels that end inside a vector": (2, (9, 11), 65, (3, 3), 1, {"padding": "same"}),
    "many channels, few pixels": (3, (4, 4), 260, (3, 3), 1, {"padding": "same"}),
    "two filters for each channel": (2, (15, 14), 9, (3, 3), 2, {"padding": "same"}),
    "strides": (3, (30, 31), 24, (3, 3), 1, {"strides": 2, "padding": "same"}),
    "strides and filters": (3, (17, 16), 6, (5, 3), 3, {"strides": (3, 2), "padding": "same"}),
    "dilation": (2, (25, 24), 10, (3, 3), 1, {"dilation_rate": (2, 5), "padding": "same"}),
    "strides and dilation": (2, (25, 24), 7, (3, 4), 1, {"dilation_rate": 3, "strides": 2, "padding": 4}),
    "strides larger than the kernel": (2, (40, 41), 5, (2, 3), 1, {"strides": (4, 5)}),
    "padding larger than the image": (2, (3, 4), 20, (2, 2), 1, {"padding": ((7, 1), (0, 9))}),
    "one dimension": (5, (1, 200), 12, (1, 9), 1, {"padding": "same"}),
    "more images than parts": (37, (6, 6), 8, (3, 3), 1, {"padding": "same"}),
}  # fmt: skip


@pytest.mark.parametrize("shape", LARGE.values(), ids=LARGE.keys())
def test_large_shapes_equal_numpy(shape):
    batch, image, C, size, M, arguments = shape
    view = window(image, size, **arguments)
    random = np.random.default_rng(7)
    x, kernel, bias = normal(random, batch, *image, C), normal(random, *size, C, M), normal(random, C * M)
    dy = normal(random, batch, *view.output_size, C * M)

    def oracle(x, kernel, bias, dy):
        dkernel, dbias = numpy_oracle.conv2d_backward_kernel(x, dy, view, C)
        return (
            numpy_oracle.conv2d(x, grouped(kernel), bias, view, C),
            numpy_oracle.conv2d_backward_data(dy, grouped(kernel), x.shape, view, C),
            dkernel.reshape(kernel.shape),
            dbias,
        )

    expected, scales = oracle(x, kernel, bias, dy), oracle(abs(x), abs(kernel), abs(bias), abs(dy))
    pixels = batch * view.output_size[0] * view.output_size[1]
    terms = kernel[:, :, 0, 0].size, kernel[:, :, 0].size, pixels, pixels
    for isa in each_isa():
        found = (
            ops.depthwise_conv2d(x, kernel, bias, **arguments),
            ops.depthwise_conv2d_backward_data(dy, kernel, x.shape, **arguments),
            *ops.depthwise_conv2d_backward_kernel(x, dy, size, **arguments),
        )
        for name, actual, wanted, scale, count in zip(
            ("y", "dx", "dkernel", "dbias"), found, expected, scales, terms, strict=True
        ):
            check(actual, wanted, rounding_bound(scale, count), (isa, name))


@pytest.mark.parametrize("shape", LARGE.values(), ids=LARGE.keys())
def test_threads_do_not_change_a_bit(shape):
    batch, image, C, size, M, arguments = shape
    batch *= 4  # enough work for several threads
    random = np.random.default_rng(8)
    x, kernel, bias = normal(random, batch, *image, C), normal(random, *size, C, M), normal(random, C * M)
    dy = normal(random, *ops.depthwise_conv2d(x, kernel, **arguments).shape)
    for _ in each_isa():
        assert_same_bits_on_any_threads(
            lambda: (
                ops.depthwise_conv2d(x, kernel, bias, **arguments),
                ops.depthwise_conv2d_backward_data(dy, kernel, x.shape, **arguments),
                *ops.depthwise_conv2d_backward_kernel(x, dy, size, **arguments),
            )
        )


# ---- edges


def test_a_single_number():
    one = np.full((1, 1, 1, 1), 3.0)
    for _ in each_isa():
        assert ops.depthwise_conv2d(one, 2 * one, [5.0]).tolist() == [[[[23]]]]
        assert ops.depthwise_conv2d_backward_data(7 * one, 2 * one, (1, 1, 1, 1)).item() == 7 * 3 * 2 * 3
        dkernel, dbias = ops.depthwise_conv2d_backward_kernel(one, 7 * one, 1)
        assert (dkernel.item(), dbias.item()) == (3 * 7 * 3, 21)


def test_channels_with_several_filters_stay_together():
    """Output channel c·M + m is of input channel c."""
    x = np.float32([1, 10]).reshape(1, 1, 1, 2)
    kernel = np.float32([[1, 2, 3], [4, 5, 6]]).reshape(1, 1, 2, 3)
    for _ in each_isa():
        assert ops.depthwise_conv2d(x, kernel).ravel().tolist() == [1, 2, 3, 40, 50, 60]
        dy = np.ones((1, 1, 1, 6), np.float32)
        assert ops.depthwise_conv2d_backward_data(dy, kernel, x.shape).ravel().tolist() == [6, 15]


def test_a_window_that_sees_only_padding_gives_the_bias():
    x, kernel, bias = np.ones((1, 2, 2, 3)), np.ones((1, 1, 3, 1)), np.array([1.0, 2.0, 3.0])
    for _ in each_isa():
        y = ops.depthwise_conv2d(x, kernel, bias, padding=4, strides=3)
        np.testing.assert_array_equal(y, np.broadcast_to(np.float32(bias), (1, 4, 4, 3)))
        dkernel, dbias = ops.depthwise_conv2d_backward_kernel(x, y, 1, padding=4, strides=3)
        assert dkernel.tolist() == [[[[0], [0], [0]]]]
        assert dbias.tolist() == [16, 32, 48]
        assert not ops.depthwise_conv2d_backward_data(y, kernel, x.shape, padding=4, strides=3).any()


def test_pixels_that_no_window_sees_have_no_gradient():
    for _ in each_isa():
        dx = ops.depthwise_conv2d_backward_data(
            np.ones((1, 2, 2, 5)), np.ones((1, 1, 5, 1)), (1, 6, 6, 5), strides=4
        )
        seen = np.zeros((6, 6))
        seen[::4, ::4] = 1
        np.testing.assert_array_equal(dx, np.broadcast_to(seen[None, ..., None], dx.shape))


def test_strides_and_dilation_far_larger_than_the_image():
    x, kernel = np.ones((2, 3, 3, 4), np.float32), np.ones((2, 2, 4, 1), np.float32)
    far = {"strides": 10**9, "dilation_rate": 10**9, "padding": ((10**9, 0), (0, 10**9))}
    for _ in each_isa():
        y = ops.depthwise_conv2d(x, kernel, **far)
        assert y.tolist() == np.ones((2, 1, 1, 4)).tolist()
        dx = ops.depthwise_conv2d_backward_data(y, kernel, x.shape, **far)
        assert (dx.sum(), dx[:, 0, 0].sum()) == (8, 8)
        dkernel, _ = ops.depthwise_conv2d_backward_kernel(x, y, 2, **far)
        assert dkernel[1, 0].ravel().tolist() == [2] * 4
        assert dkernel.sum() == 8


@pytest.mark.parametrize("batch", [0, 1])
def test_an_empty_batch_and_no_channels(batch):
    channels = 3 if batch == 0 else 0
    x, kernel = np.ones((batch, 4, 5, channels)), np.ones((3, 3, channels, 2))
    y = ops.depthwise_conv2d(x, kernel)
    assert y.shape == (batch, 2, 3, 2 * channels)
    assert ops.depthwise_conv2d_backward_data(y, kernel, x.shape).shape == x.shape
    dkernel, dbias = ops.depthwise_conv2d_backward_kernel(x, y, 3)
    assert not dkernel.any()
    assert not dbias.any()
    assert dbias.shape == (2 * channels,)


def test_images_that_are_all_padding():
    x, kernel = np.ones((2, 0, 3, 4)), np.ones((2, 2, 4, 1))
    y = ops.depthwise_conv2d(x, kernel, [1.0, 2, 3, 4], padding=1)
    np.testing.assert_array_equal(y, np.broadcast_to(np.float32([1, 2, 3, 4]), (2, 1, 4, 4)))
    assert ops.depthwise_conv2d_backward_data(y, kernel, x.shape, padding=1).shape == x.shape
    dkernel, dbias = ops.depthwise_conv2d_backward_kernel(x, y, 2, padding=1)
    assert not dkernel.any()
    assert dbias.tolist() == [8, 16, 24, 32]


def test_nan_and_infinity_reach_only_who_sees_them():
    for value in (np.nan, np.inf):
        x = np.ones((1, 7, 9, 17), np.float32)
        x[0, 3, 4, 5] = value
        for _ in each_isa():
            y = ops.depthwise_conv2d(x, np.ones((3, 3, 17, 1)), padding="same")
            touched = np.zeros(y.shape, bool)
            touched[0, 2:5, 3:6, 5] = True
            np.testing.assert_array_equal(~np.isfinite(y), touched)
            dkernel, _ = ops.depthwise_conv2d_backward_kernel(x, np.ones_like(y), 3, padding="same")
            assert (~np.isfinite(dkernel)).sum() == 9
            assert not np.isfinite(dkernel[:, :, 5]).any()


def test_results_are_written_to_the_arrays_given():
    random = np.random.default_rng(3)
    x, dy = normal(random, 2, 5, 5, 6), normal(random, 2, 3, 3, 12)
    out = np.full((3, 3, 6, 2), np.nan, np.float32), np.full(12, np.nan, np.float32)
    found = ops.depthwise_conv2d_backward_kernel(x, dy, 3, out=out)
    assert all(a is b for a, b in zip(found, out, strict=True))
    for written, expected in zip(out, ops.depthwise_conv2d_backward_kernel(x, dy, 3), strict=True):
        np.testing.assert_array_equal(written, expected)


def test_errors():
    x, kernel = np.ones((1, 5, 5, 3)), np.ones((3, 3, 3, 2))
    with pytest.raises(ValueError, match=r"x must have 4 channels, those of kernel \(3, 3, 4, 1\)"):
        ops.depthwise_conv2d(x, np.ones((3, 3, 4, 1)))
    with pytest.raises(ValueError, match=r"bias must have shape \(6,\)"):
        ops.depthwise_conv2d(x, kernel, np.ones(3))
    with pytest.raises(ValueError, match="kernel must have 4 axes"):
        ops.depthwise_conv2d(x, np.ones((3, 3, 3)))
    with pytest.raises(ValueError, match="kernel_size"):
        ops.depthwise_conv2d(x, np.ones((6, 6, 3, 1)))
    with pytest.raises(ValueError, match=r"dy must have shape \(1, 3, 3, 6\)"):
        ops.depthwise_conv2d_backward_data(x, kernel, x.shape)
    with pytest.raises(ValueError, match="a multiple of the 3 channels of x"):
        ops.depthwise_conv2d_backward_kernel(x, np.ones((1, 3, 3, 4)), 3)
