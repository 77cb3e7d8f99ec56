"""Batch normalisation: every channel to mean 0 and variance 1 over the batch, then to what is learned.

    mean = Σr x[r] / m      variance = Σr (x[r] − mean)² / m      x̂[r] = (x[r] − mean) / √(variance + ε)

    y[r] = γ · x̂[r] + β

    dβ = Σr dy[r]      dγ = Σr dy[r] · x̂[r]      dx[r] = γ / √(variance + ε) · (dy[r] − dβ/m − x̂[r] · dγ/m)

r runs over the m numbers of a channel: over N, or over N, H and W. The last two terms of dx come from mean
and variance, through which x[r] moves all others; where they are constants, in inference, they are left out.

Ioffe & Szegedy 2015, *Batch normalization*, section 3.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastconv.reference import ieee

Array = NDArray[np.float64]


def moments(x: ArrayLike) -> tuple[Array, Array]:
    """The mean and the biased variance of each channel (C,)."""
    columns, _ = _columns(x)
    mean = [sum(column) / len(column) for column in columns]
    variance = [
        sum((value - center) * (value - center) for value in column) / len(column)
        for column, center in zip(columns, mean, strict=True)
    ]
    return np.array(mean, np.float64), np.array(variance, np.float64)


def batch_norm(
    x: ArrayLike,
    mean: ArrayLike,
    variance: ArrayLike,
    gamma: ArrayLike | None = None,
    beta: ArrayLike | None = None,
    epsilon: float = 1e-3,
) -> Array:
    columns, shape = _columns(x)
    centers, inverses = _numbers(mean, 0, columns), _inverses(variance, epsilon, columns)
    scales, shifts = _numbers(gamma, 1, columns), _numbers(beta, 0, columns)
    y = [
        [scale * ((value - center) * inverse) + shift for value in column]
        for column, center, inverse, scale, shift in zip(
            columns, centers, inverses, scales, shifts, strict=True
        )
    ]
    return _array(y, shape)


def batch_norm_backward_weights(
    dy: ArrayLike, x: ArrayLike, mean: ArrayLike, variance: ArrayLike, epsilon: float = 1e-3
) -> tuple[Array, Array]:
    """dγ = Σ dy·x̂ and dβ = Σ dy"""
    columns, _ = _columns(x)
    gradients, _ = _columns(dy)
    centers, inverses = _numbers(mean, 0, columns), _inverses(variance, epsilon, columns)
    dgamma = [
        sum((g * ((value - center) * inverse) for g, value in zip(dz, column, strict=True)), 0.0)
        for dz, column, center, inverse in zip(gradients, columns, centers, inverses, strict=True)
    ]
    return np.array(dgamma, np.float64), np.array([sum(dz, 0.0) for dz in gradients], np.float64)


def batch_norm_backward_data(
    dy: ArrayLike,
    x: ArrayLike,
    mean: ArrayLike,
    variance: ArrayLike,
    gamma: ArrayLike | None = None,
    dgamma: ArrayLike | None = None,
    dbeta: ArrayLike | None = None,
    epsilon: float = 1e-3,
) -> Array:
    """dx; without dγ and dβ for a mean and a variance that are constants."""
    columns, shape = _columns(x)
    gradients, _ = _columns(dy)
    centers, inverses = _numbers(mean, 0, columns), _inverses(variance, epsilon, columns)
    scales = _numbers(gamma, 1, columns)
    slopes, offsets = _numbers(dgamma, 0, columns), _numbers(dbeta, 0, columns)
    dx = [
        [
            scale * inverse * (g - offset / len(dz) - (value - center) * inverse * slope / len(dz))
            for g, value in zip(dz, column, strict=True)
        ]
        if dgamma is not None
        else [scale * inverse * g for g in dz]
        for dz, column, center, inverse, scale, slope, offset in zip(
            gradients, columns, centers, inverses, scales, slopes, offsets, strict=True
        )
    ]
    return _array(dx, shape)


def _columns(x: ArrayLike) -> tuple[list[list[float]], tuple[int, ...]]:
    """A list for each channel, of all its numbers."""
    x = np.asarray(x, np.float64)
    rows = int(np.prod(x.shape[:-1]))
    return x.reshape(rows, x.shape[-1]).T.tolist(), x.shape


def _array(columns: list[list[float]], shape: tuple[int, ...]) -> Array:
    """The way back from ``_columns``."""
    rows = int(np.prod(shape[:-1]))
    return np.ascontiguousarray(np.array(columns, np.float64).reshape(shape[-1], rows).T).reshape(shape)


def _numbers(given: ArrayLike | None, otherwise: float, columns: list[list[float]]) -> list[float]:
    """One number for each channel."""
    if given is None:
        return [float(otherwise)] * len(columns)
    return np.asarray(given, np.float64).tolist()


def _inverses(variance: ArrayLike, epsilon: float, columns: list[list[float]]) -> list[float]:
    return [ieee.divide(1.0, ieee.sqrt(value + epsilon)) for value in _numbers(variance, 1, columns)]
