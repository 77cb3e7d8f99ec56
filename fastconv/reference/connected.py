"""Convolution by filters that see only some of the maps.

    y[n,h,w,k] = bias[k] + Σ x[…, row, column, c] · kernel[kh,kw,e]   over the connections e = (c, k) of k

The connections are the true entries of the table (C_in, C_out), row by row: sorted by map, then by filter.
LeCun et al. 1998, section II-B.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastconv._core.geometry import Padding, Pair, Window, window
from fastconv.reference._output import written

Array = NDArray[np.float64]


def conv2d_connected(
    x: ArrayLike,
    kernel: ArrayLike,
    connections: ArrayLike,
    bias: ArrayLike | None = None,
    strides: int | Pair = 1,
    padding: Padding = "valid",
    dilation_rate: int | Pair = 1,
) -> Array:
    """y[n,h,w,k] = bias[k] + Σ x[…, row, column, c] · kernel[kh,kw,e]"""
    x, kernel = np.asarray(x, np.float64), np.asarray(kernel, np.float64)
    C_out = np.shape(connections)[1]
    view = window(x.shape[1:3], kernel.shape[:2], strides, padding, dilation_rate)
    biases = [0.0] * C_out if bias is None else np.asarray(bias, np.float64).tolist()
    pixels, weights = x.tolist(), kernel.tolist()
    y = [
        [[list(biases) for _ in range(view.columns.output)] for _ in range(view.rows.output)] for _ in pixels
    ]
    for n in range(len(pixels)):
        for h, w, kh, kw, row, column in _seen(view, x.shape[1:3]):
            for e, (c, k) in enumerate(_pairs(connections)):
                y[n][h][w][k] += pixels[n][row][column][c] * weights[kh][kw][e]
    return np.array(y, np.float64).reshape(len(pixels), *view.output_size, C_out)


def conv2d_connected_backward_data(
    dy: ArrayLike,
    kernel: ArrayLike,
    connections: ArrayLike,
    input_shape: tuple[int, int, int, int],
    strides: int | Pair = 1,
    padding: Padding = "valid",
    dilation_rate: int | Pair = 1,
) -> Array:
    """dx[…, row, column, c] += dy[n,h,w,k] · kernel[kh,kw,e], wherever the forward pass read that pixel."""
    kernel = np.asarray(kernel, np.float64)
    view = window(input_shape[1:3], kernel.shape[:2], strides, padding, dilation_rate)
    gradients, weights = np.asarray(dy, np.float64).tolist(), kernel.tolist()
    dx = np.zeros(input_shape).tolist()
    for n in range(input_shape[0]):
        for h, w, kh, kw, row, column in _seen(view, input_shape[1:3]):
            for e, (c, k) in enumerate(_pairs(connections)):
                dx[n][row][column][c] += gradients[n][h][w][k] * weights[kh][kw][e]
    return np.array(dx, np.float64).reshape(input_shape)


def conv2d_connected_backward_kernel(
    x: ArrayLike,
    dy: ArrayLike,
    connections: ArrayLike,
    kernel_size: int | Pair,
    strides: int | Pair = 1,
    padding: Padding = "valid",
    dilation_rate: int | Pair = 1,
    out: tuple[Array | None, Array | None] = (None, None),
) -> tuple[Array, Array]:
    """dkernel[kh,kw,e] += dy[n,h,w,k] · x[…, row, column, c], and dbias[k] += dy[n,h,w,k]."""
    x, dy = np.asarray(x, np.float64), np.asarray(dy, np.float64)
    view = window(x.shape[1:3], kernel_size, strides, padding, dilation_rate)
    pairs = _pairs(connections)
    pixels, gradients = x.tolist(), dy.tolist()
    dkernel = np.zeros((*view.size, len(pairs))).tolist()
    for n in range(len(pixels)):
        for h, w, kh, kw, row, column in _seen(view, x.shape[1:3]):
            for e, (c, k) in enumerate(pairs):
                dkernel[kh][kw][e] += gradients[n][h][w][k] * pixels[n][row][column][c]
    dbias = [sum(dy[..., k].ravel().tolist()) for k in range(dy.shape[3])]
    return written(np.array(dkernel, np.float64), out[0]), written(np.array(dbias, np.float64), out[1])


def _pairs(connections: ArrayLike) -> list[tuple[int, int]]:
    """(map, filter) of every connection, in the kernel's order."""
    table = np.asarray(connections).tolist()
    return [(c, k) for c in range(len(table)) for k in range(len(table[c])) if table[c][k]]


def _seen(view: Window, image: Pair) -> Iterator[tuple[int, int, int, int, int, int]]:
    """(h, w, kh, kw, row, column): output (h, w) sees pixel (row, column) through tap (kh, kw)."""
    (s_h, s_w), (d_h, d_w) = view.strides, view.dilation
    for h in range(view.rows.output):
        for w in range(view.columns.output):
            for kh in range(view.size[0]):
                row = h * s_h + kh * d_h - view.rows.before
                if not 0 <= row < image[0]:
                    continue
                for kw in range(view.size[1]):
                    column = w * s_w + kw * d_w - view.columns.before
                    if 0 <= column < image[1]:
                        yield h, w, kh, kw, row, column
