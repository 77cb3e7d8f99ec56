"""Arrays put together, cut apart, cropped, their axes reordered; and products along an axis.

concatenate   y is the arrays one after another; backward dy is cut apart again (split)
crop2d        y[n,h,w,c] = x[n, h + top, w + left, c]; backward zeros around dy
permute       y[i_0, i_1, ...] = x[the same numbers at their places before]
dot           y[n, i..., j...] = Σc a[n, i..., c] · b[n, c, j...]
              da[n, i..., c] = Σj dy · b        db[n, c, j...] = Σi dy · a
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastconv._core.geometry import Padding, Pair, sides

Array = NDArray[np.float64]
Index = tuple[int, ...]


def concatenate(arrays: Sequence[ArrayLike], axis: int = -1) -> Array:
    """One after another."""
    given = [np.asarray(array, np.float64) for array in arrays]
    axis %= given[0].ndim
    shape = list(given[0].shape)
    shape[axis] = sum(array.shape[axis] for array in given)
    y, start = np.empty(shape), 0
    for array in given:
        for index in np.ndindex(array.shape):
            y[moved(index, axis, start)] = array[index]
        start += array.shape[axis]
    return y


def split(x: ArrayLike, sizes: Sequence[int], axis: int = -1) -> list[Array]:
    """Parts of these sizes."""
    x = np.asarray(x, np.float64)
    axis %= x.ndim
    parts, start = [], 0
    for size in sizes:
        part = np.empty((*x.shape[:axis], size, *x.shape[axis + 1 :]))
        for index in np.ndindex(part.shape):
            part[index] = x[moved(index, axis, start)]
        parts.append(part)
        start += size
    return parts


def moved(index: Index, axis: int, by: int) -> Index:
    return (*index[:axis], index[axis] + by, *index[axis + 1 :])


def crop2d(x: ArrayLike, cropping: Padding = 1) -> Array:
    """The middle of each image."""
    x = np.asarray(x, np.float64)
    (top, bottom), (left, right) = sides(cropping, "cropping")
    N, H, W, C = x.shape
    y = np.empty((N, H - top - bottom, W - left - right, C))
    for n, h, w, c in np.ndindex(y.shape):
        y[n, h, w, c] = x[n, h + top, w + left, c]
    return y


def crop2d_backward(dy: ArrayLike, input_shape: tuple[int, int, int, int], cropping: Padding = 1) -> Array:
    """dy in the middle of zeros."""
    dy, dx = np.asarray(dy, np.float64), np.zeros(input_shape)
    (top, _), (left, _) = sides(cropping, "cropping")
    for n, h, w, c in np.ndindex(dy.shape):
        dx[n, h + top, w + left, c] = dy[n, h, w, c]
    return dx


def permute(x: ArrayLike, order: Sequence[int]) -> Array:
    """Every number at its new place."""
    x = np.asarray(x, np.float64)
    y = np.empty([x.shape[a] for a in order])
    for index in np.ndindex(x.shape):
        y[tuple(index[a] for a in order)] = x[index]
    return y


def dot(a: ArrayLike, b: ArrayLike, axes: int | Pair = -1) -> Array:
    """Sums of products."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    y = np.zeros(shape_of_dot(a, b, axes))
    for of_y, of_a, of_b in products(a, b, axes):
        y[of_y] += a[of_a] * b[of_b]
    return y


def dot_backward(dy: ArrayLike, a: ArrayLike, b: ArrayLike, axes: int | Pair = -1) -> tuple[Array, Array]:
    """Each product sends dy back to both factors."""
    dy, a, b = (np.asarray(array, np.float64) for array in (dy, a, b))
    da, db = np.zeros(a.shape), np.zeros(b.shape)
    for of_y, of_a, of_b in products(a, b, axes):
        da[of_a] += dy[of_y] * b[of_b]
        db[of_b] += dy[of_y] * a[of_a]
    return da, db


def pair_of(a: Array, b: Array, axes: int | Pair) -> Pair:
    """The axes, not negative."""
    of_a, of_b = axes if isinstance(axes, (tuple, list)) else (axes, axes)
    return of_a % a.ndim, of_b % b.ndim


def shape_of_dot(a: Array, b: Array, axes: int | Pair) -> Index:
    axis_a, axis_b = pair_of(a, b, axes)
    left = [n for i, n in enumerate(a.shape) if i not in (0, axis_a)]
    left += [n for i, n in enumerate(b.shape) if i not in (0, axis_b)]
    return (a.shape[0], *(left or [1]))


def products(a: Array, b: Array, axes: int | Pair) -> Iterator[tuple[Index, Index, Index]]:
    """The index in y of each product, and those of its factors."""
    axis_a, axis_b = pair_of(a, b, axes)
    for of_a in np.ndindex(a.shape):
        for rest in np.ndindex(*(n for i, n in enumerate(b.shape) if i not in (0, axis_b))):
            of_b = (of_a[0], *rest[: axis_b - 1], of_a[axis_a], *rest[axis_b - 1 :])
            left = tuple(n for i, n in enumerate(of_a) if i not in (0, axis_a)) + tuple(rest)
            yield (of_a[0], *(left or (0,))), of_a, of_b
