"""Transposed convolution: every pixel lays its kernel on the output, and what overlaps is added up.

    y[n, row, column, k] = bias[k] + Σ x[n,h,w,c] · kernel[kh,kw,k,c]    over all h, kh, w, kw that meet there

    row    = h·s_h + kh·d_h − top          x       (N, H, W, C_in)
    column = w·s_w + kw·d_w − left         kernel  (KH, KW, C_out, C_in)

What falls off the edges is lost. As a matrix this is the transpose of a convolution's, whence its name: it is
the gradient of the input of the convolution that makes an image like x of one like y. So its own gradients
are that convolution, and the gradient of that convolution's kernel, with x and dy having changed places.

Dumoulin & Visin 2016, *A guide to convolution arithmetic for deep learning*.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastconv._core.geometry import Pair, pair, transposed
from fastconv.reference._output import written

Array = NDArray[np.float64]


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
    """The formula, from the side of x. ``algorithm`` is accepted for its twin's sake."""
    x, kernel = np.asarray(x, np.float64), np.asarray(kernel, np.float64)
    N, H, W, C_in = x.shape
    KH, KW, C_out, _ = kernel.shape
    meetings = Meetings((H, W), (KH, KW), strides, padding, output_padding, dilation_rate)
    y = np.zeros((N, *meetings.output, C_out))
    if bias is not None:
        y += np.asarray(bias, np.float64)
    pixels, weights = x.tolist(), kernel.tolist()
    for n in range(N):
        for h, w, kh, kw, row, column in meetings:
            for c in range(C_in):
                for k in range(C_out):
                    y[n, row, column, k] += pixels[n][h][w][c] * weights[kh][kw][k][c]
    return y


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
    """dx[n,h,w,c] += dy[n,row,column,k] · kernel[kh,kw,k,c]"""
    N, H, W, C_in = input_shape
    kernel = np.asarray(kernel, np.float64)
    KH, KW, C_out, _ = kernel.shape
    gradients, weights = np.asarray(dy, np.float64).tolist(), kernel.tolist()
    dx = np.zeros(input_shape)
    for n in range(N):
        for h, w, kh, kw, row, column in Meetings(
            (H, W), (KH, KW), strides, padding, output_padding, dilation_rate
        ):
            for c in range(C_in):
                for k in range(C_out):
                    dx[n, h, w, c] += gradients[n][row][column][k] * weights[kh][kw][k][c]
    return dx


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
    """dkernel[kh,kw,k,c] += dy[n,row,column,k] · x[n,h,w,c], and dbias[k] += dy[n,row,column,k]"""
    x, dy = np.asarray(x, np.float64), np.asarray(dy, np.float64)
    N, H, W, C_in = x.shape
    C_out, size = dy.shape[3], pair(kernel_size, "kernel_size")
    pixels, gradients = x.tolist(), dy.tolist()
    dkernel = np.zeros((*size, C_out, C_in))
    for n in range(N):
        for h, w, kh, kw, row, column in Meetings(
            (H, W), size, strides, padding, output_padding, dilation_rate
        ):
            for c in range(C_in):
                for k in range(C_out):
                    dkernel[kh, kw, k, c] += gradients[n][row][column][k] * pixels[n][h][w][c]
    dbias = np.zeros(C_out)
    for n, row, column, k in np.ndindex(dy.shape):
        dbias[k] += dy[n, row, column, k]
    return written(dkernel, out[0]), written(dbias, out[1])


class Meetings:
    """All (h, w, kh, kw, row, column): pixel (h, w) lays tap (kh, kw) on output (row, column)."""

    def __init__(
        self,
        image: Pair,
        size: Pair,
        strides: int | Pair,
        padding: str,
        output_padding: int | Pair | None,
        dilation_rate: int | Pair,
    ) -> None:
        axes = transposed(image, size, strides, padding, output_padding, dilation_rate)
        self.output = (axes[0].output, axes[1].output)
        self._before = (axes[0].before, axes[1].before)
        self._image, self._size = image, size
        self._strides, self._dilation = pair(strides, "strides"), pair(dilation_rate, "dilation_rate")

    def __iter__(self) -> Iterator[tuple[int, int, int, int, int, int]]:
        for h in range(self._image[0]):
            for w in range(self._image[1]):
                for kh in range(self._size[0]):
                    row = h * self._strides[0] + kh * self._dilation[0] - self._before[0]
                    for kw in range(self._size[1]):
                        column = w * self._strides[1] + kw * self._dilation[1] - self._before[1]
                        if 0 <= row < self.output[0] and 0 <= column < self.output[1]:
                            yield h, w, kh, kw, row, column
