"""Transposed convolution: the gradient of a convolution's input, as an operation of its own."""

from __future__ import annotations

from typing import NamedTuple

from numpy.typing import ArrayLike

from fastconv import reference
from fastconv._core.geometry import Pair, pair, transposed
from fastconv.ops import _door
from fastconv.ops._door import Array
from fastconv.ops.convolution import conv2d, conv2d_backward_data, conv2d_backward_kernel
from fastconv.ops.elementwise import elementwise, elementwise_backward


def conv2d_transpose(
    x: ArrayLike,
    kernel: ArrayLike,
    bias: ArrayLike | None = None,
    strides: int | Pair = 1,
    padding: str = "valid",
    output_padding: int | Pair | None = None,
    dilation_rate: int | Pair = 1,
    algorithm: str = "auto",
) -> Array:
    """Every x[n,h,w] lays its kernel on y, at h·s, w·s: what overlaps is added up.

    y[n, h·s + kh·d − top, w·s + kw·d − left, k] += x[n,h,w,c] · kernel[kh,kw,k,c], and bias[k] once

    Parameters
    ----------
    x : (N, H, W, C_in)
    kernel : (KH, KW, C_out, C_in), as in Keras' Conv2DTranspose
    bias : (C_out,), optional
    strides, dilation_rate : whole number or pair (rows, columns)
    padding : "valid", all that is laid: (H − 1)·s + max(reach, s) rows, reach = (KH − 1)·d + 1;
        or "same", H·s rows
    output_padding : then (H − 1)·s + reach + output_padding rows ("valid"), or
        (H − 1)·s + reach mod 2 + output_padding ("same"); less than strides
    algorithm : as in ``conv2d_backward_data``, which this is

    Returns y (N, H_out, W_out, C_out). Raises ValueError where shapes do not fit.
    (Dumoulin & Visin 2016, *A guide to convolution arithmetic for deep learning*.)
    """
    x = _door.array(x, "x", "N, H, W, C")
    kernel = _door.array(kernel, "kernel", "KH, KW, C_out, C_in")
    _check_channels("x", x.shape[3], kernel)
    if bias is not None:
        bias = _door.array(bias, "bias")
        _door.check_shape(bias, "bias", (kernel.shape[2],), "one number for each output channel of kernel")
    how = _geometry(x.shape, kernel.shape[:2], strides, padding, output_padding, dilation_rate)
    if _door.on_reference():
        return reference.conv2d_transpose(x, kernel, bias, strides, padding, output_padding, dilation_rate)
    shape = (x.shape[0], *how.output_size, kernel.shape[2])
    y = conv2d_backward_data(x, kernel, shape, **how.convolution, algorithm=algorithm)
    return y if bias is None else elementwise(y, bias, "add")


def conv2d_transpose_backward_data(
    dy: ArrayLike,
    kernel: ArrayLike,
    input_shape: tuple[int, int, int, int],
    strides: int | Pair = 1,
    padding: str = "valid",
    output_padding: int | Pair | None = None,
    dilation_rate: int | Pair = 1,
    algorithm: str = "auto",
) -> Array:
    """dx: the convolution of dy with the same kernel.

    dy is (N, H_out, W_out, C_out), ``input_shape`` the (N, H, W, C_in) of x; the rest as in
    ``conv2d_transpose``.
    """
    dy = _door.array(dy, "dy", "N, H, W, C")
    kernel = _door.array(kernel, "kernel", "KH, KW, C_out, C_in")
    shape = _door.image_shape(input_shape)
    _check_channels("input_shape", shape[3], kernel)
    how = _geometry(shape, kernel.shape[:2], strides, padding, output_padding, dilation_rate)
    _check_dy(dy, (shape[0], *how.output_size, kernel.shape[2]))
    if _door.on_reference():
        return reference.conv2d_transpose_backward_data(
            dy, kernel, shape, strides, padding, output_padding, dilation_rate
        )
    return conv2d(dy, kernel, **how.convolution, algorithm=algorithm)


def conv2d_transpose_backward_kernel(
    x: ArrayLike,
    dy: ArrayLike,
    kernel_size: int | Pair,
    strides: int | Pair = 1,
    padding: str = "valid",
    output_padding: int | Pair | None = None,
    dilation_rate: int | Pair = 1,
    algorithm: str = "auto",
    out: tuple[Array | None, Array | None] = (None, None),
) -> tuple[Array, Array]:
    """(dkernel, dbias): the kernel's gradient of the convolution of dy whose outputs have the gradient x.

    x is (N, H, W, C_in), dy (N, H_out, W_out, C_out), ``kernel_size`` a number or (KH, KW); the rest as in
    ``conv2d_transpose``. dkernel is (KH, KW, C_out, C_in), dbias (C_out,); ``out`` are float32 arrays to
    write them to, None for new ones.
    """
    x = _door.array(x, "x", "N, H, W, C")
    dy = _door.array(dy, "dy", "N, H, W, C")
    size = pair(kernel_size, "kernel_size")
    how = _geometry(x.shape, size, strides, padding, output_padding, dilation_rate)
    _check_dy(dy, (x.shape[0], *how.output_size, dy.shape[3]))
    if _door.on_reference():
        return reference.conv2d_transpose_backward_kernel(
            x, dy, size, strides, padding, output_padding, dilation_rate, algorithm, out
        )
    dkernel, dbias = _door.outputs(out, (*size, dy.shape[3], x.shape[3]), dy.shape[3:])
    conv2d_backward_kernel(dy, x, size, **how.convolution, algorithm=algorithm, out=(dkernel, None))
    dbias[...] = elementwise_backward(dy, dy, dbias, "add", needs=(False, True))[1]
    return dkernel, dbias


class _Geometry(NamedTuple):
    """The size of y, and the arguments of the convolution of which this is the gradient."""

    output_size: Pair
    convolution: dict


def _geometry(
    x_shape: tuple[int, ...],
    kernel_size: Pair,
    strides: int | Pair,
    padding: str,
    output_padding: int | Pair | None,
    dilation_rate: int | Pair,
) -> _Geometry:
    rows, columns = transposed(
        (x_shape[1], x_shape[2]), kernel_size, strides, padding, output_padding, dilation_rate
    )
    sides = tuple((axis.before, axis.after) for axis in (rows, columns))
    return _Geometry(
        (rows.output, columns.output), {"strides": strides, "padding": sides, "dilation_rate": dilation_rate}
    )


def _check_channels(name: str, channels: int, kernel: Array) -> None:
    if channels != kernel.shape[3]:
        raise ValueError(
            f"{name} must have {kernel.shape[3]} channels, the last axis of kernel {kernel.shape} "
            f"(KH, KW, C_out, C_in); got {channels}"
        )


def _check_dy(dy: Array, expected: tuple[int, ...]) -> None:
    _door.check_shape(dy, "dy", expected, "what conv2d_transpose returns for these arguments")
