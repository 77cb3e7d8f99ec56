"""Images enlarged by whole factors, and the adjoint."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from fastconv import _kernels, reference
from fastconv._core.checks import unknown_name
from fastconv._core.geometry import Pair, pair
from fastconv.ops import _door
from fastconv.ops._door import Array
from fastconv.ops.images import INTERPOLATIONS

# Of each output along an axis: the first source pixel, its weight, and that of the one after it.
ResampledAxis = tuple[Array, Array, Array]


def upsample2d(x: ArrayLike, size: int | Pair = 2, interpolation: str = "nearest") -> Array:
    """y (N, H·f_h, W·f_w, C), an image with f_h times the rows and f_w times the columns.

    Parameters
    ----------
    x : (N, H, W, C)
    size : the factors, a number or (f_h, f_w)
    interpolation : "nearest" repeats every pixel: y[n,h,w,c] = x[n, ⌊h/f_h⌋, ⌊w/f_w⌋, c];
        "bilinear" blends the four whose centers are around that of the output, edges repeated, as Keras'
        UpSampling2D does

    Raises ValueError where an argument is malformed.
    """
    x = _door.array(x, "x", "N, H, W, C")
    factors = _factors(size, interpolation)
    if _door.on_reference():
        return reference.upsample2d(x, factors, interpolation)
    N, H, W, C = x.shape
    y = _door.empty((N, H * factors[0], W * factors[1], C))
    if y.size:
        _kernels.resample(x, _axis(H, factors[0], interpolation), _axis(W, factors[1], interpolation), y)
    return y


def upsample2d_backward(dy: ArrayLike, size: int | Pair = 2, interpolation: str = "nearest") -> Array:
    """dx (N, H, W, C): every dy handed to the pixels that its y came from, with the same weights.

    dy is (N, H·f_h, W·f_w, C); the rest as in ``upsample2d``.
    """
    dy = _door.array(dy, "dy", "N, H, W, C")
    factors = _factors(size, interpolation)
    N, H, W, C = dy.shape
    if H % factors[0] or W % factors[1]:
        raise ValueError(
            f"dy must have multiples of {factors} rows and columns, those of size; got shape {dy.shape}"
        )
    if _door.on_reference():
        return reference.upsample2d_backward(dy, factors, interpolation)
    dx = _door.empty((N, H // factors[0], W // factors[1], C))
    if dx.size:
        rows, columns = (_axis(n, f, interpolation) for n, f in zip(dx.shape[1:3], factors, strict=True))
        _kernels.resample_backward(dy, rows, columns, dx)
    return dx


def _factors(size: int | Pair, interpolation: str) -> Pair:
    if interpolation not in INTERPOLATIONS:
        raise unknown_name("interpolation", interpolation, INTERPOLATIONS)
    return pair(size, "size")


def _axis(n: int, factor: int, interpolation: str) -> ResampledAxis:
    """``factor`` outputs for each of n pixels. Centers are at whole numbers plus ½, on both sides."""
    if interpolation == "nearest":
        first = np.arange(n * factor) // factor
        return first, np.ones(n * factor, np.float32), np.zeros(n * factor, np.float32)
    twice = 2 * np.arange(n * factor) + 1 - factor  # the place in the source, times 2 · factor
    first = np.clip(twice // (2 * factor), 0, n - 1)
    over = np.clip(twice - 2 * factor * first, 0, None) / (2 * factor)
    over[first == n - 1] = 0
    return first, (1 - over).astype(np.float32), over.astype(np.float32)
