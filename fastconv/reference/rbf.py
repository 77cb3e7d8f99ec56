"""Squared distances from prototypes.

    y_i = Σj (x_j − w_ij)²        dx_j = Σi 2·dy_i·(x_j − w_ij)        dw_ij = Σn 2·dy_i·(w_ij − x_j)

LeCun et al. 1998, section II-B, equation (7).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastconv.reference._output import written

Array = NDArray[np.float64]


def rbf(x: ArrayLike, prototypes: ArrayLike) -> Array:
    rows, points = _rows(x), _rows(prototypes)
    y = [[sum((a - b) ** 2 for a, b in zip(row, point, strict=True)) for point in points] for row in rows]
    return np.array(y, np.float64).reshape(len(rows), len(points))


def rbf_backward_data(dy: ArrayLike, x: ArrayLike, prototypes: ArrayLike) -> Array:
    rows, points, gradients = _rows(x), _rows(prototypes), _rows(dy)
    dx = _rows(np.zeros(np.shape(x)))
    for n, row in enumerate(rows):
        for i, point in enumerate(points):
            for j, value in enumerate(row):
                dx[n][j] += 2 * gradients[n][i] * (value - point[j])
    return np.array(dx, np.float64).reshape(np.shape(x))


def rbf_backward_kernel(
    dy: ArrayLike, x: ArrayLike, prototypes: ArrayLike, out: Array | None = None
) -> Array:
    rows, points, gradients = _rows(x), _rows(prototypes), _rows(dy)
    dprototypes = _rows(np.zeros(np.shape(prototypes)))
    for n, row in enumerate(rows):
        for i, point in enumerate(points):
            for j, value in enumerate(row):
                dprototypes[i][j] += 2 * gradients[n][i] * (point[j] - value)
    return written(np.array(dprototypes, np.float64).reshape(np.shape(prototypes)), out)


def _rows(array: ArrayLike) -> list[list[float]]:
    return np.asarray(array, np.float64).tolist()
