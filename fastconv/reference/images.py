"""Affine maps of images: every output pixel looks up the place it came from.

    column = a0·w + a1·h + a2        y[n,h,w,c] = images[n, row, column, c]
    row    = b0·w + b1·h + b2

A place between pixels shows the nearest one (half-way: the one further from 0), or the four around it, rows
i = ⌊row⌋, ⌊row⌋ + 1 and columns j = ⌊column⌋, ⌊column⌋ + 1, each weighted with how near it is:

    y = Σ over i, j of (1 − |row − i|) (1 − |column − j|) x[i,j]

Backward, each dy goes to the pixels its y came from, with the same weights.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Shape = tuple[int, int, int, int]


def affine_transform(
    images: ArrayLike,
    transform: ArrayLike,
    interpolation: str = "bilinear",
    fill_mode: str = "constant",
    fill_value: float = 0.0,
    *,
    output_size: tuple[int, int] | None = None,
) -> Array:
    """The images as seen through the maps."""
    x = np.asarray(images, np.float64)
    N, H, W, C = x.shape
    H_out, W_out = output_size or (H, W)
    maps = np.broadcast_to(np.asarray(transform, np.float64), (N, 8)).tolist()

    y = np.zeros((N, H_out, W_out, C))
    pixels = x.tolist()
    for n in range(N):
        for h in range(H_out):
            for w in range(W_out):
                for i, j, weight in sources(maps[n], h, w, (H, W), interpolation, fill_mode):
                    for c in range(C):
                        y[n, h, w, c] += weight * (
                            fill_value if i is None or j is None else pixels[n][i][j][c]
                        )
    return y


def affine_transform_backward(
    dy: ArrayLike,
    transform: ArrayLike,
    input_shape: Shape,
    interpolation: str = "bilinear",
    fill_mode: str = "constant",
) -> Array:
    """dimages[each pixel that y came from] += weight · dy"""
    N, H, W, C = input_shape
    gradients = np.asarray(dy, np.float64)
    _, H_out, W_out, _ = gradients.shape
    maps = np.broadcast_to(np.asarray(transform, np.float64), (N, 8)).tolist()

    dx = np.zeros(input_shape)
    gradients = gradients.tolist()
    for n in range(N):
        for h in range(H_out):
            for w in range(W_out):
                for i, j, weight in sources(maps[n], h, w, (H, W), interpolation, fill_mode):
                    if i is not None and j is not None:
                        for c in range(C):
                            dx[n, i, j, c] += weight * gradients[n][h][w][c]
    return dx


def sources(
    map_: list[float], h: int, w: int, image: tuple[int, int], interpolation: str, fill_mode: str
) -> Iterator[tuple[int | None, int | None, float]]:
    """(row, column, weight) of each pixel that output pixel (h, w) comes from; None outside, where filled."""
    a0, a1, a2, b0, b1, b2, _, _ = map_
    places = (b0 * w + (b1 * h + b2), a0 * w + (a1 * h + a2))
    rows, columns = (
        [(pixel(i, n, fill_mode), weight) for i, weight in neighbours(place, interpolation)]
        for place, n in zip(places, image, strict=True)
    )
    for i, row_weight in rows:
        for j, column_weight in columns:
            yield i, j, row_weight * column_weight


def neighbours(place: float, interpolation: str) -> list[tuple[int, float]]:
    """Pixels next to a place along one axis, with their weights."""
    below = math.floor(place)
    over = place - below
    if interpolation == "bilinear":
        return [(below, 1 - over), (below + 1, over)]
    return [(below + (over > 0.5 or (over == 0.5 and place > 0)), 1.0)]


def pixel(i: int, n: int, fill_mode: str) -> int | None:
    """Which of the n pixels stands for number i; None for the constant."""
    if 0 <= i < n:
        return i
    if fill_mode == "constant":
        return None
    if fill_mode == "nearest":
        return min(max(i, 0), n - 1)
    if fill_mode == "wrap":
        return i % n
    return min(i % (2 * n), 2 * n - 1 - i % (2 * n))  # reflect: 0 1 2 2 1 0 0 1 2 ...
