"""Depthwise convolution: every channel by itself, with filters of its own.

    y[n,h,w,c·M+m] = bias[c·M+m] + Σkh Σkw  x[n, row, column, c] · kernel[kh, kw, c, m]

    row    = h·s_h + kh·d_h − top
    column = w·s_w + kw·d_w − left

    x       (N, H, W, C)                   a pixel outside the image is zero padding and adds nothing
    kernel  (KH, KW, C, M)                 M filters for each channel; strides s, dilation d
    y       (N, H_out, W_out, C·M)

The gradients are the same loops with the assignment turned round, as in convolution.py.

Howard et al. 2017, *MobileNets: Efficient convolutional neural networks for mobile vision applications*.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastconv._core.geometry import Padding, Pair, Window, window
from fastconv.reference._output import written

Array = NDArray[np.float64]


def depthwise_conv2d(
    x: ArrayLike,
    kernel: ArrayLike,
    bias: ArrayLike | None = None,
    strides: int | Pair = 1,
    padding: Padding = "valid",
    dilation_rate: int | Pair = 1,
) -> Array:
    """The formula."""
    x, kernel = np.asarray(x, np.float64), np.asarray(kernel, np.float64)
    N, H, W, C = x.shape
    KH, KW, _, M = kernel.shape
    view = window((H, W), (KH, KW), strides, padding, dilation_rate)
    H_out, W_out = view.output_size

    offset = [0.0] * (C * M) if bias is None else np.asarray(bias, np.float64).tolist()
    pixels, weights = x.tolist(), kernel.tolist()
    y = np.empty((N, H_out, W_out, C * M))
    for n in range(N):
        for h in range(H_out):
            for w in range(W_out):
                for c in range(C):
                    for m in range(M):
                        z = offset[c * M + m]
                        for kh, kw, row, column in taps(view, (H, W), h, w):
                            z += pixels[n][row][column][c] * weights[kh][kw][c][m]
                        y[n, h, w, c * M + m] = z
    return y


def depthwise_conv2d_backward_data(
    dy: ArrayLike,
    kernel: ArrayLike,
    input_shape: tuple[int, int, int, int],
    strides: int | Pair = 1,
    padding: Padding = "valid",
    dilation_rate: int | Pair = 1,
) -> Array:
    """dx[…, row, column, c] += dy[n,h,w,c·M+m] · kernel[kh,kw,c,m], where the forward pass read it."""
    kernel = np.asarray(kernel, np.float64)
    N, H, W, C = input_shape
    KH, KW, _, M = kernel.shape
    view = window((H, W), (KH, KW), strides, padding, dilation_rate)
    H_out, W_out = view.output_size

    gradients, weights = np.asarray(dy, np.float64).tolist(), kernel.tolist()
    dx = np.zeros(input_shape).tolist()
    for n in range(N):
        for h in range(H_out):
            for w in range(W_out):
                for kh, kw, row, column in taps(view, (H, W), h, w):
                    for c in range(C):
                        for m in range(M):
                            dx[n][row][column][c] += gradients[n][h][w][c * M + m] * weights[kh][kw][c][m]
    return np.array(dx, np.float64).reshape(input_shape)


def depthwise_conv2d_backward_kernel(
    x: ArrayLike,
    dy: ArrayLike,
    kernel_size: int | Pair,
    strides: int | Pair = 1,
    padding: Padding = "valid",
    dilation_rate: int | Pair = 1,
    out: tuple[Array | None, Array | None] = (None, None),
) -> tuple[Array, Array]:
    """dkernel[kh,kw,c,m] += dy[n,h,w,c·M+m] · x[…, row, column, c], and dbias[c·M+m] += dy[n,h,w,c·M+m]."""
    x, dy = np.asarray(x, np.float64), np.asarray(dy, np.float64)
    N, H, W, C = x.shape
    M = dy.shape[3] // C if C else 0
    view = window((H, W), kernel_size, strides, padding, dilation_rate)
    H_out, W_out = view.output_size

    pixels, gradients = x.tolist(), dy.tolist()
    dkernel, dbias = np.zeros((*view.size, C, M)), np.zeros(C * M)
    for n in range(N):
        for h in range(H_out):
            for w in range(W_out):
                for k in range(C * M):
                    dbias[k] += gradients[n][h][w][k]
                for kh, kw, row, column in taps(view, (H, W), h, w):
                    for c in range(C):
                        for m in range(M):
                            dkernel[kh, kw, c, m] += gradients[n][h][w][c * M + m] * pixels[n][row][column][c]
    return written(dkernel, out[0]), written(dbias, out[1])


def taps(view: Window, image: Pair, h: int, w: int) -> Iterator[tuple[int, int, int, int]]:
    """(kh, kw, row, column) of the taps of output (h, w) that are on the image."""
    for kh in range(view.size[0]):
        row = h * view.strides[0] + kh * view.dilation[0] - view.rows.before
        for kw in range(view.size[1]):
            column = w * view.strides[1] + kw * view.dilation[1] - view.columns.before
            if 0 <= row < image[0] and 0 <= column < image[1]:
                yield kh, kw, row, column
