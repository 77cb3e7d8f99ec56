"""Depthwise convolution: every channel by itself, with filters of its own; and its two gradients."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from fastconv import _kernels, reference
from fastconv._core.geometry import Padding, Pair, pair, window
from fastconv.ops import _door
from fastconv.ops._door import Array


def depthwise_conv2d(
    x: ArrayLike,
    kernel: ArrayLike,
    bias: ArrayLike | None = None,
    strides: int | Pair = 1,
    padding: Padding = "valid",
    dilation_rate: int | Pair = 1,
) -> Array:
    """y[n,h,w,c·M+m] = bias[c·M+m] + Σ x[n, h·s + kh·d − pad, w·s + kw·d − pad, c] · kernel[kh,kw,c,m]

    Parameters
    ----------
    x : (N, H, W, C)
    kernel : (KH, KW, C, M): M filters for each channel, as in Keras' DepthwiseConv2D with depth_multiplier M
    bias : (C·M,), optional
    strides, padding, dilation_rate : as in ``conv2d``

    Returns y (N, H_out, W_out, C·M). Raises ValueError where shapes do not fit.
    (Howard et al. 2017, *MobileNets*.)
    """
    x = _door.array(x, "x", "N, H, W, C")
    kernel = _door.array(kernel, "kernel", "KH, KW, C, M")
    channels = _output_channels("x", x.shape[3], kernel)
    if bias is not None:
        bias = _door.array(bias, "bias")
        _door.check_shape(bias, "bias", (channels,), "one number for each filter of kernel: C·M")
    view = window(x.shape[1:3], kernel.shape[:2], strides, padding, dilation_rate)
    if _door.on_reference():
        return reference.depthwise_conv2d(x, kernel, bias, strides, padding, dilation_rate)
    y = _door.empty((x.shape[0], *view.output_size, channels))
    if y.size:
        _kernels.conv2d_depthwise(x, kernel, bias, view, y)
    return y


def depthwise_conv2d_backward_data(
    dy: ArrayLike,
    kernel: ArrayLike,
    input_shape: tuple[int, int, int, int],
    strides: int | Pair = 1,
    padding: Padding = "valid",
    dilation_rate: int | Pair = 1,
) -> Array:
    """dx, the gradient of the input: every dy sent back through the weights it came by.

    dy is (N, H_out, W_out, C·M), ``input_shape`` the (N, H, W, C) of x; the rest as in ``depthwise_conv2d``.
    """
    dy = _door.array(dy, "dy", "N, H, W, C")
    kernel = _door.array(kernel, "kernel", "KH, KW, C, M")
    shape = _door.image_shape(input_shape)
    channels = _output_channels("input_shape", shape[3], kernel)
    view = window(shape[1:3], kernel.shape[:2], strides, padding, dilation_rate)
    _door.check_dy(dy, (shape[0], *view.output_size, channels), "depthwise_conv2d")
    if _door.on_reference():
        return reference.depthwise_conv2d_backward_data(dy, kernel, shape, strides, padding, dilation_rate)
    dx = _door.empty(shape) if dy.size else np.zeros(shape, np.float32)
    if dy.size and dx.size:
        _kernels.conv2d_depthwise_backward_data(dy, kernel, view, dx)
    return dx


def depthwise_conv2d_backward_kernel(
    x: ArrayLike,
    dy: ArrayLike,
    kernel_size: int | Pair,
    strides: int | Pair = 1,
    padding: Padding = "valid",
    dilation_rate: int | Pair = 1,
    out: tuple[Array | None, Array | None] = (None, None),
) -> tuple[Array, Array]:
    """(dkernel, dbias), the gradients of the kernel and of the bias.

    x is (N, H, W, C), dy (N, H_out, W_out, C·M), ``kernel_size`` a number or (KH, KW); the rest as in
    ``depthwise_conv2d``. dkernel is (KH, KW, C, M), dbias (C·M,); ``out`` are float32 arrays to write them
    to, None for new ones.
    """
    x = _door.array(x, "x", "N, H, W, C")
    dy = _door.array(dy, "dy", "N, H, W, C")
    size = pair(kernel_size, "kernel_size")
    C, channels = x.shape[3], dy.shape[3]
    if channels % C if C else channels:
        raise ValueError(
            f"dy must have a multiple of the {C} channels of x, as many for each; got {channels}"
        )
    view = window(x.shape[1:3], size, strides, padding, dilation_rate)
    _door.check_dy(dy, (x.shape[0], *view.output_size, channels), "depthwise_conv2d")
    if _door.on_reference():
        return reference.depthwise_conv2d_backward_kernel(x, dy, size, strides, padding, dilation_rate, out)
    dkernel, dbias = _door.outputs(out, (*size, C, channels // C if C else 0), (channels,))
    if dy.size and x.size:
        _kernels.conv2d_depthwise_backward_kernel(x, dy, view, dkernel, dbias)
    else:
        dkernel[...] = 0
        dbias[...] = dy.sum((0, 1, 2))  # where images are empty but for their padding, y was the bias
    return dkernel, dbias


def _output_channels(name: str, channels: int, kernel: Array) -> int:
    """C·M, checked."""
    _, _, C, M = kernel.shape
    if channels != C:
        raise ValueError(
            f"{name} must have {C} channels, those of kernel {kernel.shape} (KH, KW, C, M); got {channels}"
        )
    return C * M
