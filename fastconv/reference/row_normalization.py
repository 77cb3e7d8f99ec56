"""Layer, group, root mean square and unit normalisation: every example by its own mean and size.

    layer   mean = Σ x / W    variance = Σ (x − mean)² / W    inverse = 1 / √(variance + ε)
    group   the same, of C/groups channels over all pixels of an image
    rms     mean = 0                                          inverse = 1 / √(Σ x² / W + ε)
    unit    mean = 0                                          inverse = 1 / max(√Σ x², ε)

    y = γ · (x − mean) · inverse + β      sums over the W numbers that are normalised together

Every x moves its own y, and through mean and inverse those of all W. With g = dy · γ and x̂ = (x − mean) ·
inverse

    dx = inverse · (g − Σ g / W − x̂ · Σ g·x̂ / W)

without the second term where the mean is not taken off, and without / W for a unit vector. Over all examples,
dγ = Σ dy · x̂ and dβ = Σ dy.

Ba, Kiros & Hinton 2016, *Layer normalization*; Wu & He 2018, *Group normalization*;
Zhang & Sennrich 2019, *Root mean square layer normalization*.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastconv.reference import ieee

Array = NDArray[np.float64]
Axes = int | tuple[int, ...]
Index = tuple[int, ...]


def layer_norm(
    x: ArrayLike,
    gamma: ArrayLike | None = None,
    beta: ArrayLike | None = None,
    epsilon: float = 1e-3,
    axis: Axes = -1,
) -> tuple[Array, Array, Array]:
    """y, mean and inverse."""
    rows = Rows(x, axis)
    mean = [sum(row) / len(row) for row in rows.values]
    inverse = [
        ieee.divide(1.0, ieee.sqrt(sum((v - m) * (v - m) for v in row) / len(row) + epsilon))
        for row, m in zip(rows.values, mean, strict=True)
    ]
    scales, shifts = rows.weights(gamma, 1), rows.weights(beta, 0)
    y = [
        [scale * ((v - m) * i) + shift for v, scale, shift in zip(row, scales, shifts, strict=True)]
        for row, m, i in zip(rows.values, mean, inverse, strict=True)
    ]
    return rows.like_x(y), rows.like_rows(mean), rows.like_rows(inverse)


def layer_norm_backward(
    dy: ArrayLike,
    x: ArrayLike,
    mean: ArrayLike,
    inverse: ArrayLike,
    gamma: ArrayLike | None = None,
    axis: Axes = -1,
) -> tuple[Array, Array, Array]:
    """dx, dγ and dβ."""
    rows = Rows(x, axis)
    return rows.gradients(dy, np.ravel(mean).tolist(), inverse, gamma, centered=True)


def rms_norm(
    x: ArrayLike, scale: ArrayLike | None = None, epsilon: float = 1e-6, axis: Axes = -1
) -> tuple[Array, Array]:
    """y and inverse."""
    rows = Rows(x, axis)
    inverse = [
        ieee.divide(1.0, ieee.sqrt(sum(v * v for v in row) / len(row) + epsilon)) for row in rows.values
    ]
    scales = rows.weights(scale, 1)
    y = [
        [s * (v * i) for v, s in zip(row, scales, strict=True)]
        for row, i in zip(rows.values, inverse, strict=True)
    ]
    return rows.like_x(y), rows.like_rows(inverse)


def rms_norm_backward(
    dy: ArrayLike, x: ArrayLike, inverse: ArrayLike, scale: ArrayLike | None = None, axis: Axes = -1
) -> tuple[Array, Array]:
    """dx and dscale."""
    rows = Rows(x, axis)
    dx, dscale, _ = rows.gradients(dy, [0.0] * len(rows.values), inverse, scale, centered=False)
    return dx, dscale


def unit_norm(x: ArrayLike, axis: Axes = -1, epsilon: float = 1e-12) -> tuple[Array, Array]:
    """y and inverse."""
    rows = Rows(x, axis)
    inverse = [1.0 / max(ieee.sqrt(sum(v * v for v in row)), epsilon) for row in rows.values]
    y = [[v * i for v in row] for row, i in zip(rows.values, inverse, strict=True)]
    return rows.like_x(y), rows.like_rows(inverse)


def unit_norm_backward(
    dy: ArrayLike, x: ArrayLike, inverse: ArrayLike, axis: Axes = -1, epsilon: float = 1e-12
) -> Array:
    """dx; where ε was larger than the length of x, y is a multiple of x."""
    rows, dx = Rows(x, axis), []
    for row, dz, i in zip(rows.values, Rows(dy, axis).values, np.ravel(inverse).tolist(), strict=True):
        product = 0.0 if i >= 1 / epsilon else sum(g * v for g, v in zip(dz, row, strict=True))
        dx.append([i * (g - v * i * i * product) for g, v in zip(dz, row, strict=True)])
    return rows.like_x(dx)


def group_norm(
    x: ArrayLike,
    groups: int,
    gamma: ArrayLike | None = None,
    beta: ArrayLike | None = None,
    epsilon: float = 1e-3,
) -> tuple[Array, Array, Array]:
    """y, mean and inverse."""
    x = np.asarray(x, np.float64)
    scales, shifts = channels(gamma, x, 1), channels(beta, x, 0)
    y, mean, inverse = np.empty(x.shape), np.empty((x.shape[0], groups)), np.empty((x.shape[0], groups))
    for n, g, members in group_members(x.shape, groups):
        values = [float(x[index]) for index in members]
        m = sum(values) / len(values)
        i = ieee.divide(1.0, ieee.sqrt(sum((v - m) * (v - m) for v in values) / len(values) + epsilon))
        mean[n, g], inverse[n, g] = m, i
        for index, v in zip(members, values, strict=True):
            y[index] = scales[index[-1]] * ((v - m) * i) + shifts[index[-1]]
    return y, mean, inverse


def group_norm_backward(
    dy: ArrayLike,
    x: ArrayLike,
    mean: ArrayLike,
    inverse: ArrayLike,
    gamma: ArrayLike | None = None,
) -> tuple[Array, Array, Array]:
    """dx, dγ and dβ."""
    x, dy = np.asarray(x, np.float64), np.asarray(dy, np.float64)
    mean, inverse = np.asarray(mean, np.float64), np.asarray(inverse, np.float64)
    scales, C = channels(gamma, x, 1), x.shape[-1]
    dx, dgamma, dbeta = np.empty(x.shape), np.zeros(C), np.zeros(C)
    for n, g, members in group_members(x.shape, inverse.shape[1]):
        m, i, count = float(mean[n, g]), float(inverse[n, g]), len(members)
        hats = [(float(x[index]) - m) * i for index in members]
        slopes = [float(dy[index]) * scales[index[-1]] for index in members]
        average = sum(slopes) / count
        product = sum(s * hat for s, hat in zip(slopes, hats, strict=True)) / count
        for index, s, hat in zip(members, slopes, hats, strict=True):
            dx[index] = i * (s - average - hat * product)
            dgamma[index[-1]] += float(dy[index]) * hat
            dbeta[index[-1]] += float(dy[index])
    return dx, dgamma, dbeta


def group_members(shape: Index, groups: int) -> Iterator[tuple[int, int, list[Index]]]:
    """(n, group, the indices of x that belong to it)."""
    N, *spatial, C = shape
    for n in range(N):
        for g in range(groups):
            first = g * (C // groups)
            yield (
                n,
                g,
                [(n, *pixel, c) for pixel in np.ndindex(*spatial) for c in range(first, first + C // groups)],
            )


def channels(given: ArrayLike | None, x: Array, otherwise: float) -> list[float]:
    """One number for each channel."""
    return [float(otherwise)] * x.shape[-1] if given is None else np.asarray(given, np.float64).tolist()


class Rows:
    """x as lists of the numbers that are normalised together."""

    def __init__(self, x: ArrayLike, axis: Axes) -> None:
        x = np.asarray(x, np.float64)
        axes = sorted(a % x.ndim for a in (axis if isinstance(axis, (tuple, list)) else (axis,)))
        self._order = [a for a in range(x.ndim) if a not in axes] + axes
        moved = x.transpose(self._order)
        self._moved_shape, self._leading = moved.shape, moved.shape[: x.ndim - len(axes)]
        self.sizes = moved.shape[x.ndim - len(axes) :]
        self.values = moved.reshape(-1, math.prod(self.sizes)).tolist()

    def like_x(self, rows: list[list[float]]) -> Array:
        moved = np.array(rows, np.float64).reshape(self._moved_shape)
        return np.ascontiguousarray(moved.transpose(np.argsort(self._order)))

    def like_rows(self, numbers: list[float]) -> Array:
        return np.array(numbers, np.float64).reshape(self._leading)

    def weights(self, given: ArrayLike | None, otherwise: float) -> list[float]:
        """One number for each of a row."""
        if given is None:
            return [float(otherwise)] * math.prod(self.sizes)
        return np.ravel(np.asarray(given, np.float64)).tolist()

    def gradients(
        self, dy: ArrayLike, mean: list[float], inverse: ArrayLike, gamma: ArrayLike | None, *, centered: bool
    ) -> tuple[Array, Array, Array]:
        scales, width = self.weights(gamma, 1), math.prod(self.sizes)
        gradients = np.asarray(dy, np.float64).transpose(self._order).reshape(-1, width).tolist()
        dx, dgamma, dbeta = [], [0.0] * width, [0.0] * width
        for row, dz, m, i in zip(self.values, gradients, mean, np.ravel(inverse).tolist(), strict=True):
            hats = [(v - m) * i for v in row]
            slopes = [g * scale for g, scale in zip(dz, scales, strict=True)]
            average = sum(slopes) / width if centered else 0.0
            product = sum(s * hat for s, hat in zip(slopes, hats, strict=True)) / width
            dx.append([i * (s - average - hat * product) for s, hat in zip(slopes, hats, strict=True)])
            for j in range(width):
                dgamma[j] += dz[j] * hats[j]
                dbeta[j] += dz[j]
        return self.like_x(dx), np.array(dgamma).reshape(self.sizes), np.array(dbeta).reshape(self.sizes)
