"""PReLU, the leaky rectifier whose slopes are learned.

    y = x where x ≥ 0, α·x elsewhere        dx = dy where x > 0, α·dy elsewhere        dα = Σ dy·x where x < 0

α has the shape of one example, or 1 along the axes where a slope is shared; dα is summed over the batch and
over those axes. He, Zhang, Ren & Sun 2015, *Delving deep into rectifiers*.
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def prelu(x: ArrayLike, alpha: ArrayLike) -> Array:
    x, alpha = np.asarray(x, np.float64), np.asarray(alpha, np.float64)
    y = x.copy()
    for place in itertools.product(*map(range, x.shape)):
        if x[place] < 0:
            y[place] = float(alpha[_slope_of(place, alpha.shape)]) * float(x[place])
    return y


def prelu_backward(dy: ArrayLike, x: ArrayLike, alpha: ArrayLike) -> tuple[Array, Array]:
    dy, x = np.asarray(dy, np.float64), np.asarray(x, np.float64)
    alpha = np.asarray(alpha, np.float64)
    dx, dalpha = dy.copy(), np.zeros(alpha.shape)
    for place in itertools.product(*map(range, x.shape)):
        slope = _slope_of(place, alpha.shape)
        if not x[place] > 0:
            dx[place] = float(alpha[slope]) * float(dy[place])
        if not x[place] >= 0:
            dalpha[slope] += float(dy[place]) * float(x[place])
    return dx, dalpha


def _slope_of(place: tuple[int, ...], shape: tuple[int, ...]) -> tuple[int, ...]:
    """Where the slope for x[place] is: the batch left out, 0 along the shared axes."""
    return tuple(0 if size == 1 else i for i, size in zip(place[1:], shape, strict=True))
