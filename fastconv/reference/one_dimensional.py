"""Convolution along one axis: convolution.py without rows.

    y[n,l,k] = bias[k] + Σi Σc  x[n, l·s + i·d − before, c] · kernel[i, c, k]

    x  (N, L, C_in)      kernel  (K, C_in/groups, C_out)      y  (N, L_out, C_out)

"causal" padding is (K − 1)·d places before and none after, so that no output sees what comes after it. The
gradients are the same loops with the assignment turned round.

Other operations along one axis are those of images with one row.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastconv._core.geometry import Axis, Pair, pair, slide
from fastconv.reference._output import written
from fastconv.reference.activations import activation as apply_activation

Array = NDArray[np.float64]
Shape = tuple[int, int, int]
LinePadding = str | int | Pair


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
    """The formula. ``algorithm`` is accepted for its twin's sake."""
    x, kernel = np.asarray(x, np.float64), np.asarray(kernel, np.float64)
    N, L, _ = x.shape
    K, C, C_out = kernel.shape
    axis = axis_of(L, K, strides, padding, dilation_rate)
    y = np.zeros((N, axis.output, C_out))
    if bias is not None:
        y += np.asarray(bias, np.float64)
    for n in range(N):
        for line, i, place in taps(axis, L, K, strides, dilation_rate):
            for k in range(C_out):
                first = k * groups // C_out * C
                for c in range(C):
                    y[n, line, k] += x[n, place, first + c] * kernel[i, c, k]
    return y if activation is None else apply_activation(y, activation)


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
    """dx[n,place,c] += dy[n,l,k] · kernel[i,c,k]"""
    dy, kernel, dx = np.asarray(dy, np.float64), np.asarray(kernel, np.float64), np.zeros(input_shape)
    N, L, _ = input_shape
    K, C, C_out = kernel.shape
    axis = axis_of(L, K, strides, padding, dilation_rate)
    for n in range(N):
        for line, i, place in taps(axis, L, K, strides, dilation_rate):
            for k in range(C_out):
                first = k * groups // C_out * C
                for c in range(C):
                    dx[n, place, first + c] += dy[n, line, k] * kernel[i, c, k]
    return dx


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
    """dkernel[i,c,k] += dy[n,l,k] · x[n,place,c], and dbias[k] += dy[n,l,k]"""
    x, dy = np.asarray(x, np.float64), np.asarray(dy, np.float64)
    N, L, C_in = x.shape
    C, C_out = C_in // groups, dy.shape[2]
    axis = axis_of(L, kernel_size, strides, padding, dilation_rate)
    dkernel, dbias = np.zeros((kernel_size, C, C_out)), np.zeros(C_out)
    for n in range(N):
        for line, i, place in taps(axis, L, kernel_size, strides, dilation_rate):
            for k in range(C_out):
                first = k * groups // C_out * C
                for c in range(C):
                    dkernel[i, c, k] += dy[n, line, k] * x[n, place, first + c]
        for line in range(axis.output):
            for k in range(C_out):
                dbias[k] += dy[n, line, k]
    return written(dkernel, out[0]), written(dbias, out[1])


def axis_of(n: int, taps: int, stride: int, padding: LinePadding, dilation: int) -> Axis:
    """How many outputs, and the padding."""
    if padding == "causal":
        padding = ((taps - 1) * dilation, 0)
    return slide(
        n, taps, stride, dilation, padding if isinstance(padding, str) else pair(padding, "padding", 0)
    )


def taps(axis: Axis, n: int, count: int, stride: int, dilation: int) -> Iterator[tuple[int, int, int]]:
    """(output, tap, place in the input) of all taps that are not in the padding."""
    for output in range(axis.output):
        for i in range(count):
            place = output * stride + i * dilation - axis.before
            if 0 <= place < n:
                yield output, i, place
