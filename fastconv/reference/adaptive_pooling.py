"""Pooling to a given size H' × W': every output has a bin of its own.

    bin (i, j)     rows ⌊i·H/H'⌋ ≤ h < ⌈(i + 1)·H/H'⌉, columns ⌊j·W/W'⌋ ≤ w < ⌈(j + 1)·W/W'⌉

    average        y[n,i,j,c] = Σ x[n,h,w,c] / pixels        dx[n,h,w,c] += dy[n,i,j,c] / pixels of the bin
    maximum        y[n,i,j,c] = the largest x[n,h,w,c]       dx[n,h,w,c] += dy[n,i,j,c] where it was found

Bins overlap by a pixel where the sizes do not divide. On a tie the first pixel wins; the first NaN wins over
any number.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastconv._core.geometry import Pair, bins, pair

Array = NDArray[np.float64]
Shape = tuple[int, int, int, int]
Index = tuple[int, int, int, int]


def adaptive_avg_pool2d(x: ArrayLike, output_size: int | Pair) -> Array:
    """The mean of each bin."""
    x, size = np.asarray(x, np.float64), pair(output_size, "output_size")
    y = np.empty((x.shape[0], *size, x.shape[3]))
    for output, pixels in members(x.shape, size):
        y[output] = sum(float(x[pixel]) for pixel in pixels) / len(pixels)
    return y


def adaptive_avg_pool2d_backward(dy: ArrayLike, input_shape: Shape) -> Array:
    """An equal share of dy to each pixel of its bin."""
    dy, dx = np.asarray(dy, np.float64), np.zeros(input_shape)
    for output, pixels in members(input_shape, dy.shape[1:3]):
        for pixel in pixels:
            dx[pixel] += float(dy[output]) / len(pixels)
    return dx


def adaptive_max_pool2d(x: ArrayLike, output_size: int | Pair) -> tuple[Array, NDArray[np.int32]]:
    """The largest pixel of each bin, and its place in the image."""
    x, size = np.asarray(x, np.float64), pair(output_size, "output_size")
    y = np.empty((x.shape[0], *size, x.shape[3]))
    switches = np.empty(y.shape, np.int32)
    for output, pixels in members(x.shape, size):
        best = pixels[0]
        for pixel in pixels[1:]:
            value, largest = float(x[pixel]), float(x[best])
            if value > largest or (math.isnan(value) and not math.isnan(largest)):
                best = pixel
        y[output], switches[output] = x[best], best[1] * x.shape[2] + best[2]
    return y, switches


def adaptive_max_pool2d_backward(dy: ArrayLike, switches: ArrayLike, input_shape: Shape) -> Array:
    """dy at the pixel that won."""
    dy, switches, dx = np.asarray(dy, np.float64), np.asarray(switches), np.zeros(input_shape)
    for n, i, j, c in np.ndindex(dy.shape):
        h, w = divmod(int(switches[n, i, j, c]), input_shape[2])
        dx[n, h, w, c] += float(dy[n, i, j, c])
    return dx


def members(shape: tuple[int, ...], size: tuple[int, ...]) -> Iterator[tuple[Index, list[Index]]]:
    """The index of an output, and those of the pixels in its bin."""
    N, H, W, C = shape
    for n in range(N):
        for i, (top, bottom) in enumerate(bins(H, size[0])):
            for j, (left, right) in enumerate(bins(W, size[1])):
                for c in range(C):
                    yield (
                        (n, i, j, c),
                        [(n, h, w, c) for h in range(top, bottom) for w in range(left, right)],
                    )
