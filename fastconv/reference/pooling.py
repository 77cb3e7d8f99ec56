"""Pooling: a window slides over each channel and keeps one number of what it sees.

    max   y[n,h,w,c] = max  of x[n, h·s_h + kh − top, w·s_w + kw − left, c] over kh, kw
    avg   y[n,h,w,c] = mean of the same pixels

Only pixels of the image count: padding is never the maximum, nor one of the numbers averaged (as in Keras).

Backward, the maximum sends its gradient to the one pixel that won, the average an equal share to each pixel.
Who won is remembered in ``switches``: index kh·KW + kw within the window. On a tie the first pixel wins; a
NaN beats every number, and the first NaN wins. Global pooling takes the whole map for its window, with index
h·W + w.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastconv._core.geometry import Padding, Pair, Window, window

Array = NDArray[np.float64]
Shape = tuple[int, int, int, int]


def max_pool2d(
    x: ArrayLike, pool_size: int | Pair = 2, strides: int | Pair | None = None, padding: Padding = "valid"
) -> tuple[Array, NDArray[np.uint16]]:
    """The maximum of each window, and the index of the pixel that won."""
    x = np.asarray(x, np.float64)
    N, H, W, C = x.shape
    view = window((H, W), pool_size, strides, padding, size_name="pool_size")
    (H_out, W_out), (_, KW) = view.output_size, view.size

    y = np.empty((N, H_out, W_out, C))
    switches = np.empty((N, H_out, W_out, C), np.uint16)
    pixels = x.tolist()
    for n in range(N):
        for h in range(H_out):
            for w in range(W_out):
                for c in range(C):
                    best = None
                    for kh, kw, row, column in seen(view, (H, W), h, w):
                        value = pixels[n][row][column][c]
                        if best is None or beats(value, best):
                            best, winner = value, kh * KW + kw
                    y[n, h, w, c], switches[n, h, w, c] = best, winner
    return y, switches


def max_pool2d_backward(
    dy: ArrayLike,
    switches: ArrayLike,
    input_shape: Shape,
    pool_size: int | Pair = 2,
    strides: int | Pair | None = None,
    padding: Padding = "valid",
) -> Array:
    """dx[the pixel that won] += dy"""
    N, H, W, C = input_shape
    view = window((H, W), pool_size, strides, padding, size_name="pool_size")
    (H_out, W_out), (s_h, s_w), (_, KW) = view.output_size, view.strides, view.size
    top, left = view.rows.before, view.columns.before

    dx = np.zeros(input_shape)
    gradients, winners = np.asarray(dy, np.float64).tolist(), np.asarray(switches).tolist()
    for n in range(N):
        for h in range(H_out):
            for w in range(W_out):
                for c in range(C):
                    kh, kw = divmod(winners[n][h][w][c], KW)
                    dx[n, h * s_h + kh - top, w * s_w + kw - left, c] += gradients[n][h][w][c]
    return dx


def avg_pool2d(
    x: ArrayLike, pool_size: int | Pair = 2, strides: int | Pair | None = None, padding: Padding = "valid"
) -> Array:
    """The mean of the pixels each window sees."""
    x = np.asarray(x, np.float64)
    N, H, W, C = x.shape
    view = window((H, W), pool_size, strides, padding, size_name="pool_size")
    H_out, W_out = view.output_size

    y = np.empty((N, H_out, W_out, C))
    pixels = x.tolist()
    for n in range(N):
        for h in range(H_out):
            for w in range(W_out):
                places = list(seen(view, (H, W), h, w))
                for c in range(C):
                    total = 0.0
                    for _, _, row, column in places:
                        total += pixels[n][row][column][c]
                    y[n, h, w, c] = total / len(places)
    return y


def avg_pool2d_backward(
    dy: ArrayLike,
    input_shape: Shape,
    pool_size: int | Pair = 2,
    strides: int | Pair | None = None,
    padding: Padding = "valid",
) -> Array:
    """dx[each pixel the window saw] += dy / how many it saw"""
    N, H, W, C = input_shape
    view = window((H, W), pool_size, strides, padding, size_name="pool_size")
    H_out, W_out = view.output_size

    dx = np.zeros(input_shape)
    gradients = np.asarray(dy, np.float64).tolist()
    for n in range(N):
        for h in range(H_out):
            for w in range(W_out):
                places = list(seen(view, (H, W), h, w))
                for c in range(C):
                    share = gradients[n][h][w][c] / len(places)
                    for _, _, row, column in places:
                        dx[n, row, column, c] += share
    return dx


def global_avg_pool2d(x: ArrayLike) -> Array:
    """y[n,c] = mean of x[n,h,w,c] over the whole map"""
    x = np.asarray(x, np.float64)
    N, H, W, C = x.shape
    y = np.empty((N, C))
    pixels = x.tolist()
    for n in range(N):
        for c in range(C):
            total = 0.0
            for h in range(H):
                for w in range(W):
                    total += pixels[n][h][w][c]
            y[n, c] = total / (H * W)
    return y


def global_avg_pool2d_backward(dy: ArrayLike, input_shape: Shape) -> Array:
    """dx[n,h,w,c] = dy[n,c] / (H·W)"""
    N, H, W, C = input_shape
    dx = np.empty(input_shape)
    gradients = np.asarray(dy, np.float64).tolist()
    for n in range(N):
        for h in range(H):
            for w in range(W):
                for c in range(C):
                    dx[n, h, w, c] = gradients[n][c] / (H * W)
    return dx


def global_max_pool2d(x: ArrayLike) -> tuple[Array, NDArray[np.int32]]:
    """The maximum of each map, and the index h·W + w of the pixel that won."""
    x = np.asarray(x, np.float64)
    N, H, W, C = x.shape
    y, switches = np.empty((N, C)), np.empty((N, C), np.int32)
    pixels = x.tolist()
    for n in range(N):
        for c in range(C):
            best = None
            for h in range(H):
                for w in range(W):
                    value = pixels[n][h][w][c]
                    if best is None or beats(value, best):
                        best, winner = value, h * W + w
            y[n, c], switches[n, c] = best, winner
    return y, switches


def global_max_pool2d_backward(dy: ArrayLike, switches: ArrayLike, input_shape: Shape) -> Array:
    """dx[the pixel that won] = dy"""
    N, _, W, C = input_shape
    dx = np.zeros(input_shape)
    gradients, winners = np.asarray(dy, np.float64).tolist(), np.asarray(switches).tolist()
    for n in range(N):
        for c in range(C):
            h, w = divmod(winners[n][c], W)
            dx[n, h, w, c] = gradients[n][c]
    return dx


def beats(value: float, best: float) -> bool:
    """A larger number beats the best so far, and the first NaN beats every number."""
    return value > best or (math.isnan(value) and not math.isnan(best))


def seen(view: Window, image: Pair, h: int, w: int) -> Iterator[tuple[int, int, int, int]]:
    """(kh, kw, row, column) of every pixel inside the image that window (h, w) covers."""
    (H, W), (KH, KW), (s_h, s_w) = image, view.size, view.strides
    top, left = h * s_h - view.rows.before, w * s_w - view.columns.before
    for row in range(max(top, 0), min(top + KH, H)):
        for column in range(max(left, 0), min(left + KW, W)):
            yield row - top, column - left, row, column
