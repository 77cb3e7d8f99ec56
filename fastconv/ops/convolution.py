"""Convolution and its two gradients."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from fastconv import _kernels, reference
from fastconv._core.checks import unknown_name
from fastconv._core.geometry import Padding, Pair, Window, meeting, pair, window
from fastconv.ops import _door
from fastconv.ops._door import Array
from fastconv.ops.activations import activate_result

# "auto" takes the fastest; the others are the lessons of csrc/, each to be asked for by name.
ALGORITHMS = ("auto", *_kernels.ALGORITHMS)


def conv2d(
    x: ArrayLike,
    kernel: ArrayLike,
    bias: ArrayLike | None = None,
    strides: int | Pair = 1,
    padding: Padding = "valid",
    dilation_rate: int | Pair = 1,
    groups: int = 1,
    activation: str | None = None,
    algorithm: str = "auto",
) -> Array:
    """y[n,h,w,k] = bias[k] + Σ x[n, h·s + kh·d − pad, w·s + kw·d − pad, c] · kernel[kh,kw,c,k]

    Parameters
    ----------
    x : (N, H, W, C_in)
    kernel : (KH, KW, C_in / groups, C_out)
    bias : (C_out,), optional
    strides, dilation_rate : whole number or pair (rows, columns)
    padding : "valid", "same" (⌈n/s⌉ outputs, the odd pixel at the bottom/right), a number of
        pixels, a pair (rows, columns) or ((top, bottom), (left, right)); padded pixels are zero
    groups : channels are dealt out to this many independent convolutions
    activation : name of an activation applied to the result, see ``activation``
    algorithm : "auto", "naive", "im2col", "direct", or "winograd" (3x3 kernels at stride 1 without
        dilation or groups: fastest for many channels; rounds about ten times as much, and spreads a NaN or
        an infinity over its whole 4x4 tile)

    Returns y (N, H_out, W_out, C_out). Raises ValueError where shapes do not fit.
    """
    x = _door.array(x, "x", "N, H, W, C")
    kernel = _door.array(kernel, "kernel", "KH, KW, C_in / groups, C_out")
    if bias is not None:
        bias = _door.array(bias, "bias")
        _door.check_shape(bias, "bias", kernel.shape[3:], "one number for each output channel of kernel")
    how = _prepared("x", x.shape, kernel.shape, strides, padding, dilation_rate, groups, algorithm)
    if _door.on_reference():
        y = reference.conv2d(x, kernel, bias, strides, padding, dilation_rate, groups)
    else:
        y = _door.empty(how.output_shape)
        if y.size:
            _kernels.conv2d(how.kernels, x, _of(kernel, how.taps), bias, y)
    return y if activation is None else activate_result(y, activation)


def conv2d_backward_data(
    dy: ArrayLike,
    kernel: ArrayLike,
    input_shape: tuple[int, int, int, int],
    strides: int | Pair = 1,
    padding: Padding = "valid",
    dilation_rate: int | Pair = 1,
    groups: int = 1,
    algorithm: str = "auto",
) -> Array:
    """dx, the gradient of the convolution's input: every dy sent back through the weights it came by.

    dy is (N, H_out, W_out, C_out), ``input_shape`` the (N, H, W, C_in) of x; the rest as in ``conv2d``.
    This is also the transposed convolution.
    """
    dy = _door.array(dy, "dy", "N, H, W, C")
    kernel = _door.array(kernel, "kernel", "KH, KW, C_in / groups, C_out")
    shape = _door.image_shape(input_shape)
    how = _prepared("input_shape", shape, kernel.shape, strides, padding, dilation_rate, groups, algorithm)
    _door.check_dy(dy, how.output_shape, "conv2d")
    if _door.on_reference():
        return reference.conv2d_backward_data(dy, kernel, shape, strides, padding, dilation_rate, groups)
    if not (dy.size and math.prod(shape)):
        return np.zeros(shape, np.float32)
    dx = _door.empty(shape)
    _kernels.conv2d_backward_data(how.kernels, dy, _of(kernel, how.taps), dx)
    return dx


def conv2d_backward_kernel(
    x: ArrayLike,
    dy: ArrayLike,
    kernel_size: int | Pair,
    strides: int | Pair = 1,
    padding: Padding = "valid",
    dilation_rate: int | Pair = 1,
    groups: int = 1,
    algorithm: str = "auto",
    out: tuple[Array | None, Array | None] = (None, None),
) -> tuple[Array, Array]:
    """(dkernel, dbias), the gradients of the convolution's kernel and bias.

    x is (N, H, W, C_in), dy (N, H_out, W_out, C_out), ``kernel_size`` a number or (KH, KW); the rest as in
    ``conv2d``. dkernel is (KH, KW, C_in / groups, C_out), dbias (C_out,); ``out`` are float32 arrays to write
    them to, None for new ones.
    """
    x = _door.array(x, "x", "N, H, W, C")
    dy = _door.array(dy, "dy", "N, H, W, C")
    kernel_shape = _kernel_shape(kernel_size, x.shape[3], dy.shape[3], groups)
    how = _prepared("x", x.shape, kernel_shape, strides, padding, dilation_rate, groups, algorithm)
    _door.check_dy(dy, how.output_shape, "conv2d")
    if _door.on_reference():
        sliding = strides, padding, dilation_rate
        return reference.conv2d_backward_kernel(x, dy, kernel_shape[:2], *sliding, groups, algorithm, out)
    dkernel, dbias = _door.outputs(out, kernel_shape, kernel_shape[3:])
    if dy.size and x.size:
        met = dkernel
        if how.taps is not None:
            dkernel[...] = 0
            met = _door.empty(dkernel[how.taps].shape)
        _kernels.conv2d_backward_kernel(how.kernels, x, dy, met, dbias)
        if met is not dkernel:
            dkernel[how.taps] = met
    else:
        dkernel[...] = 0
        dbias[...] = dy.sum((0, 1, 2))  # where images are empty but for their padding, y was the bias
    return dkernel, dbias


def algorithm_index(algorithm: str, view: Window, groups: int) -> int:
    """The place of an algorithm in _kernels.ALGORITHMS, -1 for "auto": csrc/conv2d_auto.c decides."""
    if algorithm == "auto":
        return -1
    if algorithm not in _kernels.ALGORITHMS:
        raise unknown_name("algorithm", algorithm, ALGORITHMS)
    if algorithm == "winograd" and not (
        view.size == (3, 3) and view.strides == view.dilation == (1, 1) and groups == 1
    ):
        raise ValueError(
            'algorithm="winograd" is for 3x3 kernels with strides, dilation_rate and groups of 1; '
            f"got kernel {view.size}, strides {view.strides}, dilation_rate {view.dilation}, "
            f'groups {groups}: use "direct"'
        )
    return _kernels.ALGORITHMS.index(algorithm)


class _Prepared(NamedTuple):
    """All that follows from shapes and arguments."""

    output_shape: tuple[int, ...]
    taps: tuple[slice, slice] | None  # those of the kernel that meet the image; None for all of them
    kernels: _kernels.Convolution


@_kernels.Cached
def _prepared(
    name: str,
    input_shape: tuple[int, int, int, int],
    kernel_shape: tuple[int, int, int, int],
    strides: int | Pair,
    padding: Padding,
    dilation_rate: int | Pair,
    groups: int,
    algorithm: str,
) -> _Prepared:
    """``name`` says where ``input_shape`` comes from. Raises ValueError where anything does not suit."""
    image, size, rest = input_shape[1:3], kernel_shape[:2], kernel_shape[2:]
    _check_channels(name, input_shape[3], kernel_shape, groups)
    view = window(image, size, strides, padding, dilation_rate)
    index = algorithm_index(algorithm, view, groups)
    output_shape: tuple[int, ...] = (input_shape[0], *view.output_size, kernel_shape[3])
    taps = None
    if view.dilation != (1, 1) and 0 not in output_shape:
        # With these taps work grows with the image, not with the padding around it.
        view, taps = meeting(view, image)
        taps = None if view.size == size else taps
    kernels = _kernels.Convolution(index, input_shape, (*view.size, *rest), output_shape, view, groups)
    return _Prepared(output_shape, taps, kernels)


@_kernels.Cached
def _kernel_shape(kernel_size: int | Pair, C_in: int, C_out: int, groups: int) -> tuple[int, int, int, int]:
    size = pair(kernel_size, "kernel_size")
    _check_groups(groups)
    if C_in % groups or C_out % groups:
        raise ValueError(f"groups={groups} must divide the channels of x ({C_in}) and of dy ({C_out}) evenly")
    return (*size, C_in // groups, C_out)


def _of(kernel: Array, taps: tuple[slice, slice] | None) -> Array:
    """Those taps of a kernel."""
    return kernel if taps is None else np.ascontiguousarray(kernel[taps])


def _check_channels(name: str, C_in: int, kernel_shape: tuple[int, ...], groups: int) -> None:
    C, C_out = kernel_shape[2:]
    if min(kernel_shape) < 1:
        raise ValueError(f"kernel must have no empty axis; got shape {kernel_shape}")
    _check_groups(groups)
    if C_out % groups:
        raise ValueError(f"groups={groups} must divide the kernel's {C_out} output channels evenly")
    if C_in != C * groups:
        raise ValueError(
            f"{name} has {C_in} channels, but kernel {kernel_shape} with groups={groups} takes {C * groups}: "
            f"images are (N, H, W, C), kernels (KH, KW, C_in / groups, C_out)"
        )


def _check_groups(groups: int) -> None:
    if isinstance(groups, bool) or not hasattr(groups, "__index__") or groups < 1:
        raise ValueError(f"groups must be a whole number, at least 1; got {groups!r}")
