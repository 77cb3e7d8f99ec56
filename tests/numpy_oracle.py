"""The operations once more, tap by tap with NumPy: quick at large shapes, and independent of both twins.

Every tap (kh, kw) of a window sees one strided slice of the zero-padded image; that is all there is to it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fastconv._core.geometry import Window


def taps(view: Window) -> Iterator[tuple[int, int, tuple[slice, slice, slice]]]:
    """(kh, kw, index): padded[index] holds what tap (kh, kw) sees, as an array (N, OH, OW, C)."""
    for kh in range(view.size[0]):
        for kw in range(view.size[1]):
            top, left = kh * view.dilation[0], kw * view.dilation[1]
            rows = slice(top, top + view.rows.output * view.strides[0], view.strides[0])
            columns = slice(left, left + view.columns.output * view.strides[1], view.strides[1])
            yield kh, kw, (slice(None), rows, columns)


def padded(x: np.ndarray, view: Window, fill: float = 0.0) -> np.ndarray:
    """x in float64, with its padding."""
    sides = [(axis.before, axis.after) for axis in (view.rows, view.columns)]
    return np.pad(x.astype(np.float64), [(0, 0), *sides, (0, 0)], constant_values=fill)


def cropped(x: np.ndarray, view: Window, image: tuple[int, int]) -> np.ndarray:
    """The inverse of ``padded``."""
    top, left = view.rows.before, view.columns.before
    return x[:, top : top + image[0], left : left + image[1]]


def conv2d(x, kernel, bias, view: Window, groups: int = 1) -> np.ndarray:
    source, outputs = padded(x, view), []
    for own_x, own_kernel in split(source, kernel, groups):
        outputs.append(sum(own_x[index] @ own_kernel[kh, kw] for kh, kw, index in taps(view)))
    y = np.concatenate(outputs, -1)
    return y if bias is None else y + bias


def conv2d_backward_data(dy, kernel, input_shape, view: Window, groups: int = 1) -> np.ndarray:
    dx = padded(np.zeros(input_shape), view)
    for own_dx, own_kernel, own_dy in zip(
        np.split(dx, groups, -1), np.split(kernel, groups, -1), np.split(dy, groups, -1), strict=True
    ):
        for kh, kw, index in taps(view):
            own_dx[index] += own_dy @ own_kernel[kh, kw].astype(np.float64).T
    return cropped(dx, view, input_shape[1:3])


def conv2d_backward_kernel(x, dy, view: Window, groups: int = 1) -> tuple[np.ndarray, np.ndarray]:
    source = padded(x, view)
    gradients = []
    for own_x, own_dy in split(source, dy.astype(np.float64), groups):
        own = np.empty((*view.size, own_x.shape[-1], own_dy.shape[-1]))
        for kh, kw, index in taps(view):
            own[kh, kw] = np.einsum("nhwc,nhwk->ck", own_x[index], own_dy, optimize=True)
        gradients.append(own)
    return np.concatenate(gradients, -1), dy.sum((0, 1, 2), dtype=np.float64)


def split(x: np.ndarray, other: np.ndarray, groups: int):
    """Pairs of the channels of x and of the last axis of ``other`` that belong to one group."""
    return zip(np.split(x, groups, -1), np.split(other, groups, -1), strict=True)


def max_pool2d(x, view: Window) -> np.ndarray:
    source = padded(x, view, -np.inf)
    return np.max([source[index] for _, _, index in taps(view)], axis=0)


def avg_pool2d(x, view: Window) -> np.ndarray:
    source, ones = padded(x, view), padded(np.ones_like(x), view)
    return sum(source[index] for _, _, index in taps(view)) / sum(ones[index] for _, _, index in taps(view))
