"""Convolution, pooling and upsampling along one axis: on images of one row.

x is (N, L, C) and becomes (N, 1, L, C), a kernel (K, ...) becomes (1, K, ...). The formulas, errors and
results are those of the functions with 2d in their names; arguments are numbers where those have pairs.

padding is "valid", "same", a number on both sides, or (before, after); for convolutions also "causal",
((K − 1)·d, 0): then no output sees what comes after it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from fastconv._core.checks import unknown_name
from fastconv._core.geometry import Padding, Pair, pair
from fastconv.ops import _door
from fastconv.ops._door import Array
from fastconv.ops.convolution import conv2d, conv2d_backward_data, conv2d_backward_kernel
from fastconv.ops.depthwise import (
    depthwise_conv2d,
    depthwise_conv2d_backward_data,
    depthwise_conv2d_backward_kernel,
)
from fastconv.ops.pooling import (
    avg_pool2d,
    avg_pool2d_backward,
    global_avg_pool2d,
    global_avg_pool2d_backward,
    global_max_pool2d,
    global_max_pool2d_backward,
    max_pool2d,
    max_pool2d_backward,
)
from fastconv.ops.transposed import (
    conv2d_transpose,
    conv2d_transpose_backward_data,
    conv2d_transpose_backward_kernel,
)
from fastconv.ops.upsampling import upsample2d, upsample2d_backward

Shape = tuple[int, int, int]
LinePadding = str | int | Pair

# ---- convolution ---------------------------------------------------------------------------------


def conv1d(
    x: ArrayLike,
    kernel: ArrayLike,
    bias: ArrayLike | None = None,
    strides: int = 1,
    padding: LinePadding = "valid",
    dilation_rate: int = 1,
    groups: int = 1,
    activation: str | None = None,
    algorithm: str = "auto",
) -> Array:
    """y[n,l,k] = bias[k] + Σ x[n, l·s + i·d − pad, c] · kernel[i,c,k]; kernel is (K, C_in / groups, C_out)"""
    x, kernel = _line(x, "x"), _kernel(kernel, "K, C_in / groups, C_out")
    how = _how(kernel.shape[1], strides, padding, dilation_rate)
    return conv2d(x, kernel, bias, **how, groups=groups, activation=activation, algorithm=algorithm)[:, 0]


def conv1d_backward_data(
    dy: ArrayLike,
    kernel: ArrayLike,
    input_shape: Shape,
    strides: int = 1,
    padding: LinePadding = "valid",
    dilation_rate: int = 1,
    groups: int = 1,
    algorithm: str = "auto",
) -> Array:
    """dx, of ``input_shape`` (N, L, C_in)."""
    dy, kernel = _line(dy, "dy"), _kernel(kernel, "K, C_in / groups, C_out")
    how = _how(kernel.shape[1], strides, padding, dilation_rate)
    return conv2d_backward_data(dy, kernel, _row(input_shape), **how, groups=groups, algorithm=algorithm)[
        :, 0
    ]


def conv1d_backward_kernel(
    x: ArrayLike,
    dy: ArrayLike,
    kernel_size: int,
    strides: int = 1,
    padding: LinePadding = "valid",
    dilation_rate: int = 1,
    groups: int = 1,
    algorithm: str = "auto",
    out: tuple[Array | None, Array | None] = (None, None),
) -> tuple[Array, Array]:
    """(dkernel, dbias)"""
    how = _how(kernel_size, strides, padding, dilation_rate) | {"groups": groups, "algorithm": algorithm}
    dkernel, dbias = conv2d_backward_kernel(
        _line(x, "x"), _line(dy, "dy"), (1, kernel_size), **how, out=_out(out)
    )
    return dkernel[0], dbias


def depthwise_conv1d(
    x: ArrayLike,
    kernel: ArrayLike,
    bias: ArrayLike | None = None,
    strides: int = 1,
    padding: LinePadding = "valid",
    dilation_rate: int = 1,
) -> Array:
    """y[n,l,c·M+m] = bias[c·M+m] + Σ x[n, l·s + i·d − pad, c] · kernel[i,c,m]; kernel is (K, C, M)"""
    x, kernel = _line(x, "x"), _kernel(kernel, "K, C, M")
    return depthwise_conv2d(x, kernel, bias, **_how(kernel.shape[1], strides, padding, dilation_rate))[:, 0]


def depthwise_conv1d_backward_data(
    dy: ArrayLike,
    kernel: ArrayLike,
    input_shape: Shape,
    strides: int = 1,
    padding: LinePadding = "valid",
    dilation_rate: int = 1,
) -> Array:
    """dx, of ``input_shape`` (N, L, C)."""
    dy, kernel = _line(dy, "dy"), _kernel(kernel, "K, C, M")
    how = _how(kernel.shape[1], strides, padding, dilation_rate)
    return depthwise_conv2d_backward_data(dy, kernel, _row(input_shape), **how)[:, 0]


def depthwise_conv1d_backward_kernel(
    x: ArrayLike,
    dy: ArrayLike,
    kernel_size: int,
    strides: int = 1,
    padding: LinePadding = "valid",
    dilation_rate: int = 1,
    out: tuple[Array | None, Array | None] = (None, None),
) -> tuple[Array, Array]:
    """(dkernel, dbias)"""
    how = _how(kernel_size, strides, padding, dilation_rate)
    dkernel, dbias = depthwise_conv2d_backward_kernel(
        _line(x, "x"), _line(dy, "dy"), (1, kernel_size), **how, out=_out(out)
    )
    return dkernel[0], dbias


def conv1d_transpose(
    x: ArrayLike,
    kernel: ArrayLike,
    bias: ArrayLike | None = None,
    strides: int = 1,
    padding: str = "valid",
    output_padding: int | None = None,
    dilation_rate: int = 1,
    algorithm: str = "auto",
) -> Array:
    """y[n, l·s + i·d − before, k] += x[n,l,c] · kernel[i,k,c], bias[k] once; kernel is (K, C_out, C_in)"""
    how = _transposed(strides, padding, output_padding, dilation_rate)
    kernel = _kernel(kernel, "K, C_out, C_in")
    return conv2d_transpose(_line(x, "x"), kernel, bias, **how, algorithm=algorithm)[:, 0]


def conv1d_transpose_backward_data(
    dy: ArrayLike,
    kernel: ArrayLike,
    input_shape: Shape,
    strides: int = 1,
    padding: str = "valid",
    output_padding: int | None = None,
    dilation_rate: int = 1,
    algorithm: str = "auto",
) -> Array:
    """dx, of ``input_shape`` (N, L, C_in)."""
    how = _transposed(strides, padding, output_padding, dilation_rate) | {"algorithm": algorithm}
    kernel = _kernel(kernel, "K, C_out, C_in")
    return conv2d_transpose_backward_data(_line(dy, "dy"), kernel, _row(input_shape), **how)[:, 0]


def conv1d_transpose_backward_kernel(
    x: ArrayLike,
    dy: ArrayLike,
    kernel_size: int,
    strides: int = 1,
    padding: str = "valid",
    output_padding: int | None = None,
    dilation_rate: int = 1,
    algorithm: str = "auto",
    out: tuple[Array | None, Array | None] = (None, None),
) -> tuple[Array, Array]:
    """(dkernel, dbias)"""
    how = _transposed(strides, padding, output_padding, dilation_rate) | {"algorithm": algorithm}
    dkernel, dbias = conv2d_transpose_backward_kernel(
        _line(x, "x"), _line(dy, "dy"), (1, kernel_size), **how, out=_out(out)
    )
    return dkernel[0], dbias


# ---- pooling -------------------------------------------------------------------------------------


def max_pool1d(
    x: ArrayLike, pool_size: int = 2, strides: int | None = None, padding: LinePadding = "valid"
) -> tuple[Array, Array]:
    """(y, switches): the maximum of each window, and which of its places had it."""
    y, switches = max_pool2d(_line(x, "x"), **_pool(pool_size, strides, padding))
    return y[:, 0], switches[:, 0]


def max_pool1d_backward(
    dy: ArrayLike,
    switches: ArrayLike,
    input_shape: Shape,
    pool_size: int = 2,
    strides: int | None = None,
    padding: LinePadding = "valid",
) -> Array:
    """dx, of ``input_shape`` (N, L, C)."""
    how = _pool(pool_size, strides, padding)
    line, given = _line(dy, "dy"), np.asarray(switches)
    _door.check_shape(given, "switches", (line.shape[0], *line.shape[2:]), "that of dy")
    return max_pool2d_backward(line, given[:, None], _row(input_shape), **how)[:, 0]


def avg_pool1d(
    x: ArrayLike, pool_size: int = 2, strides: int | None = None, padding: LinePadding = "valid"
) -> Array:
    """The mean of each window, padding not counted."""
    return avg_pool2d(_line(x, "x"), **_pool(pool_size, strides, padding))[:, 0]


def avg_pool1d_backward(
    dy: ArrayLike,
    input_shape: Shape,
    pool_size: int = 2,
    strides: int | None = None,
    padding: LinePadding = "valid",
) -> Array:
    """dx, of ``input_shape`` (N, L, C)."""
    return avg_pool2d_backward(_line(dy, "dy"), _row(input_shape), **_pool(pool_size, strides, padding))[:, 0]


def global_avg_pool1d(x: ArrayLike) -> Array:
    """y[n,c] = the mean of x[n,l,c] over l"""
    return global_avg_pool2d(_line(x, "x"))


def global_avg_pool1d_backward(dy: ArrayLike, input_shape: Shape) -> Array:
    """dx[n,l,c] = dy[n,c] / L"""
    return global_avg_pool2d_backward(dy, _row(input_shape))[:, 0]


def global_max_pool1d(x: ArrayLike) -> tuple[Array, Array]:
    """(y, switches): the maximum of x[n,l,c] over l, and its l."""
    return global_max_pool2d(_line(x, "x"))


def global_max_pool1d_backward(dy: ArrayLike, switches: ArrayLike, input_shape: Shape) -> Array:
    """dx, each dy at its switch, zero elsewhere."""
    return global_max_pool2d_backward(dy, switches, _row(input_shape))[:, 0]


def upsample1d(x: ArrayLike, size: int = 2) -> Array:
    """y[n,l,c] = x[n, ⌊l/size⌋, c]"""
    return upsample2d(_line(x, "x"), (1, size))[:, 0]


def upsample1d_backward(dy: ArrayLike, size: int = 2) -> Array:
    """dx (N, L / size, C), the sums of ``size`` neighbours of dy."""
    return upsample2d_backward(_line(dy, "dy"), (1, size))[:, 0]


# ---- what they share ----------------------------------------------------------------------------


def _line(array: ArrayLike, name: str) -> Array:
    return _door.array(array, name, "N, L, C")[:, None]


def _kernel(kernel: ArrayLike, axes: str) -> Array:
    return _door.array(kernel, "kernel", axes)[None]


def _row(input_shape: Shape) -> tuple[int, int, int, int]:
    if len(input_shape) != 3:
        raise ValueError(f"input_shape must be (N, L, C); got {input_shape!r}")
    return input_shape[0], 1, *input_shape[1:]


def _how(kernel_size: int, strides: int, padding: LinePadding, dilation_rate: int) -> dict:
    size, stride, dilation = _number(kernel_size, "kernel_size"), _number(strides, "strides"), dilation_rate
    if isinstance(padding, str) and padding.lower() == "causal":
        padding = ((size - 1) * _number(dilation, "dilation_rate"), 0)
    elif isinstance(padding, str) and padding.lower() not in ("valid", "same"):
        raise unknown_name("padding", padding, ["valid", "same", "causal"])
    return {
        "strides": (1, stride),
        "padding": _sides(padding),
        "dilation_rate": (1, _number(dilation, "dilation_rate")),
    }


def _transposed(strides: int, padding: str, output_padding: int | None, dilation_rate: int) -> dict:
    return {
        "strides": (1, _number(strides, "strides")),
        "padding": padding,
        "output_padding": None
        if output_padding is None
        else (0, _number(output_padding, "output_padding", 0)),
        "dilation_rate": (1, _number(dilation_rate, "dilation_rate")),
    }


def _pool(pool_size: int, strides: int | None, padding: LinePadding) -> dict:
    stride = None if strides is None else (1, _number(strides, "strides"))
    return {
        "pool_size": (1, _number(pool_size, "pool_size")),
        "strides": stride,
        "padding": _sides(padding),
    }


def _sides(padding: LinePadding) -> Padding:
    """As two axes have it: rows are not padded."""
    return padding if isinstance(padding, str) else ((0, 0), pair(padding, "padding", 0))


def _number(value: int, name: str, minimum: int = 1) -> int:
    if not hasattr(value, "__index__") or value < minimum:
        raise ValueError(f"{name} must be a whole number of at least {minimum}; got {value!r}")
    return int(value)


def _out(out: tuple[Array | None, Array | None]) -> tuple[Array | None, Array | None]:
    if not isinstance(out, (tuple, list)) or len(out) != 2 or not isinstance(out[0], np.ndarray):
        return out  # to be refused, or nothing to write to
    return out[0][None], out[1]
