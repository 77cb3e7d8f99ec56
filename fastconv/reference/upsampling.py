"""Images enlarged by whole factors f: every output looks up the place it came from.

    nearest     y[n,h,w,c] = x[n, ⌊h/f_h⌋, ⌊w/f_w⌋, c]

    bilinear    row = (h + ½) / f_h − ½, and as much for the column; with i = ⌊row⌋ and j = ⌊column⌋

                y = Σ over i, i + 1 and j, j + 1 of (1 − |row − i|) (1 − |column − j|) x[n,i,j,c]

                where pixels beyond an edge are those at the edge

Backward, each dy goes to the pixels its y came from, with the same weights.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastconv._core.geometry import Pair, pair

Array = NDArray[np.float64]


def upsample2d(x: ArrayLike, size: int | Pair = 2, interpolation: str = "nearest") -> Array:
    """The formula."""
    x, factors = np.asarray(x, np.float64), pair(size, "size")
    N, H, W, C = x.shape
    y = np.zeros((N, H * factors[0], W * factors[1], C))
    for h, w, i, j, weight in meetings((H, W), factors, interpolation):
        for n in range(N):
            for c in range(C):
                y[n, h, w, c] += weight * x[n, i, j, c]
    return y


def upsample2d_backward(dy: ArrayLike, size: int | Pair = 2, interpolation: str = "nearest") -> Array:
    """dx[n,i,j,c] += weight · dy[n,h,w,c]"""
    dy, factors = np.asarray(dy, np.float64), pair(size, "size")
    N, H_out, W_out, C = dy.shape
    image = (H_out // factors[0], W_out // factors[1])
    dx = np.zeros((N, *image, C))
    for h, w, i, j, weight in meetings(image, factors, interpolation):
        for n in range(N):
            for c in range(C):
                dx[n, i, j, c] += weight * dy[n, h, w, c]
    return dx


def meetings(image: Pair, factors: Pair, interpolation: str) -> Iterator[tuple[int, int, int, int, float]]:
    """(h, w, i, j, weight): output pixel (h, w) has so much of pixel (i, j)."""
    for h in range(image[0] * factors[0]):
        for w in range(image[1] * factors[1]):
            for i, row_weight in sources(h, image[0], factors[0], interpolation):
                for j, column_weight in sources(w, image[1], factors[1], interpolation):
                    yield h, w, i, j, row_weight * column_weight


def sources(output: int, n: int, factor: int, interpolation: str) -> list[tuple[int, float]]:
    """The pixels of one axis that an output is made of, with their weights; none whose weight is 0."""
    if interpolation == "nearest":
        return [(output // factor, 1.0)]
    place = (output + 0.5) / factor - 0.5
    below = math.floor(place)
    over = place - below
    if below < 0:
        return [(0, 1.0)]
    if below >= n - 1:
        return [(n - 1, 1.0)]
    return [(below, 1 - over), (below + 1, over)] if over else [(below, 1.0)]
