"""Pooling to a given size, whatever the size of the images; and its gradients."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike

from fastconv import reference
from fastconv._core.geometry import Pair, bins, pair
from fastconv.ops import _door
from fastconv.ops._door import Array
from fastconv.ops.pooling import (
    global_avg_pool2d,
    global_avg_pool2d_backward,
    global_max_pool2d,
    global_max_pool2d_backward,
)

Shape = tuple[int, int, int, int]
Bin = tuple[int, int, slice, slice]


def adaptive_avg_pool2d(x: ArrayLike, output_size: int | Pair) -> Array:
    """y[n,i,j,c] = the mean of the pixels in bin (i, j), rows ⌊i·H/H'⌋ to ⌈(i + 1)·H/H'⌉ − 1, columns alike

    x is (N, H, W, C), ``output_size`` a number or (H', W'), y (N, H', W', C). Bins may overlap, and be
    repeated where the image is smaller than ``output_size``. Raises ValueError for images without pixels.
    """
    x, size = _arguments(x, output_size)
    if _door.on_reference():
        return reference.adaptive_avg_pool2d(x, size)
    y = _door.empty((x.shape[0], *size, x.shape[3]))
    for i, j, rows, columns in _bins(x.shape, size):
        y[:, i, j] = global_avg_pool2d(x[:, rows, columns])
    return y


def adaptive_avg_pool2d_backward(dy: ArrayLike, input_shape: Shape) -> Array:
    """dx (``input_shape``), to every pixel its share of each bin that it is in.

    dy is (N, H', W', C), the gradient of what ``adaptive_avg_pool2d`` returned.
    """
    dy, shape = _gradient(dy, input_shape)
    if _door.on_reference():
        return reference.adaptive_avg_pool2d_backward(dy, shape)
    dx = np.zeros(shape, np.float32)
    for i, j, rows, columns in _bins(shape, dy.shape[1:3]):
        part = dx[:, rows, columns]
        part += global_avg_pool2d_backward(dy[:, i, j], part.shape)
    return dx


def adaptive_max_pool2d(x: ArrayLike, output_size: int | Pair) -> tuple[Array, Array]:
    """(y, switches): the largest pixel of each bin, and which pixel of the image it was, h · W + w.

    Arguments and bins as in ``adaptive_avg_pool2d``; switches are int32 (N, H', W', C). Ties and NaN as in
    ``max_pool2d``.
    """
    x, size = _arguments(x, output_size)
    if _door.on_reference():
        return reference.adaptive_max_pool2d(x, size)
    shape = (x.shape[0], *size, x.shape[3])
    y, switches = _door.empty(shape), np.empty(shape, np.int32)
    for i, j, rows, columns in _bins(x.shape, size):
        y[:, i, j], place = global_max_pool2d(x[:, rows, columns])
        row, column = np.divmod(place, columns.stop - columns.start)
        switches[:, i, j] = (row + rows.start) * x.shape[2] + column + columns.start
    return y, switches


def adaptive_max_pool2d_backward(dy: ArrayLike, switches: ArrayLike, input_shape: Shape) -> Array:
    """dx (``input_shape``), each dy added to the pixel that its switch points at."""
    dy, shape = _gradient(dy, input_shape)
    switches = np.asarray(switches)
    if switches.dtype.kind not in "iu":
        raise TypeError(
            f"switches must be whole numbers, as the pooling returned; got dtype {switches.dtype}"
        )
    _door.check_shape(switches, "switches", dy.shape, "that of dy")
    if _door.on_reference():
        return reference.adaptive_max_pool2d_backward(dy, switches, shape)
    dx = np.zeros(shape, np.float32)
    for i, j, rows, columns in _bins(shape, dy.shape[1:3]):
        row, column = np.divmod(switches[:, i, j], shape[2])
        part = dx[:, rows, columns]
        width = columns.stop - columns.start
        row, column = row - rows.start, column - columns.start
        if (row < 0).any() or (row >= part.shape[1]).any() or (column < 0).any() or (column >= width).any():
            raise ValueError(
                "switches must be of pixels in their own bins, as adaptive_max_pool2d returns them"
            )
        part += global_max_pool2d_backward(dy[:, i, j], row * width + column, part.shape)
    return dx


def _arguments(x: ArrayLike, output_size: int | Pair) -> tuple[Array, Pair]:
    x = _door.array(x, "x", "N, H, W, C")
    _check_pixels(x.shape)
    return x, pair(output_size, "output_size")


def _gradient(dy: ArrayLike, input_shape: Shape) -> tuple[Array, Shape]:
    dy, shape = _door.array(dy, "dy", "N, H, W, C"), _door.image_shape(input_shape)
    _check_pixels(shape)
    expected = (shape[0], *dy.shape[1:3], shape[3])
    _door.check_shape(dy, "dy", expected, "images and channels those of input_shape")
    return dy, shape


def _check_pixels(shape: tuple[int, ...]) -> None:
    if not shape[1] * shape[2]:
        raise ValueError(
            f"images of {shape[1]}x{shape[2]} pixels have no maximum and no average; got {shape}"
        )


def _bins(shape: tuple[int, ...], size: tuple[int, ...]) -> Iterator[Bin]:
    """(i, j, rows, columns) of every bin."""
    for i, rows in enumerate(bins(shape[1], size[0])):
        for j, columns in enumerate(bins(shape[2], size[1])):
            yield i, j, slice(*rows), slice(*columns)
