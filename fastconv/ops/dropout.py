"""Dropout, and the stream of random numbers that decides."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from fastconv import _kernels, reference
from fastconv.ops import _door
from fastconv.ops._door import Array


def dropout(
    x: ArrayLike,
    rate: float,
    seed: int,
    call: int = 0,
    *,
    scale: float | None = None,
    shift: float = 0.0,
    fill: float = 0.0,
    first_image: int = 0,
) -> Array:
    """y_i = scale · x_i + shift, or ``fill`` with probability ``rate``.

    The leading axis counts images, from number ``first_image`` (0 to 2³² − 1) on; x of one axis or none is
    one image. Which numbers are filled depends on ``seed`` (0 to 2⁶⁴ − 1), ``call`` (0 to 2³² − 1), the image
    and the place in it alone: not on the values, the other images, the number of threads, the instruction set
    or the backend. So a batch may be cut anywhere, and the derivative is the same function of dy, with the
    same seed and call, and shift and fill of 0.

    ``scale`` is 1 / (1 − rate) if None, which keeps the expected value, E[y] = x. Raises ValueError for a
    rate outside [0, 1], a seed, a call or a number of an image that does not fit.
    """
    x = _door.array(x, "x")
    if not 0 <= rate <= 1:
        raise ValueError(f"rate is the share to drop, between 0 and 1; got {rate!r}")
    _check_bits("seed", seed, 64)
    _check_bits("call", call, 32)
    _check_bits("first_image", first_image, 32)
    if scale is None:
        scale = 1 / (1 - rate) if rate < 1 else 0.0
    if _door.on_reference():
        return reference.dropout(
            x, rate, seed, call, scale=scale, shift=shift, fill=fill, first_image=first_image
        )
    threshold = round(rate * 2**32)
    if threshold == 2**32:  # one more than a word can be: everything is dropped
        return np.full(x.shape, fill, np.float32)
    y = _door.empty(x.shape)
    if x.size:
        line = _door.number(scale, "scale"), _door.number(shift, "shift"), _door.number(fill, "fill")
        images = len(x) if x.ndim > 1 else 1
        _kernels.dropout(
            seed, call, first_image, threshold, *line, x.reshape(images, -1), y.reshape(images, -1)
        )
    return y


def _check_bits(name: str, number: int, bits: int) -> None:
    if not hasattr(number, "__index__") or not 0 <= number < 2**bits:
        raise ValueError(f"{name} must be a whole number from 0 to 2**{bits} - 1; got {number!r}")
