"""Batch normalisation and its gradients, along the last axis."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastconv import _kernels, reference
from fastconv.ops import _door
from fastconv.ops._door import Array

_ALWAYS = ("mean", "variance")


def moments(x: ArrayLike) -> tuple[Array, Array]:
    """(mean, variance) of each channel: x is (..., C), all leading axes are batch; both are (C,).

    The variance is the biased one, Σ(x − mean)² / m. Raises ValueError for an empty batch, which has no mean.
    """
    x = _with_channels(x)
    if x.shape[-1] and not x.size:
        raise ValueError(f"an empty batch has no mean and no variance; got x of shape {x.shape}")
    if _door.on_reference():
        return reference.moments(x)
    C = x.shape[-1]
    mean, variance = np.empty(C, np.float32), np.empty(C, np.float32)
    if C:
        _kernels.moments(x.reshape(-1, C), mean, variance)
    return mean, variance


def batch_norm(
    x: ArrayLike,
    mean: ArrayLike,
    variance: ArrayLike,
    gamma: ArrayLike | None = None,
    beta: ArrayLike | None = None,
    epsilon: float = 1e-3,
) -> Array:
    """y = γ · (x − mean) / √(variance + ε) + β

    x is (..., C), the others (C,): ``mean`` and ``variance`` those of the batch (``moments``), or in
    inference constants. Without ``gamma`` it is 1, without ``beta`` 0. Returns y of the shape of x.
    """
    x = _with_channels(x)
    mean, variance, gamma, beta = _columns(x, mean=mean, variance=variance, gamma=gamma, beta=beta)
    if _door.on_reference():
        return reference.batch_norm(x, mean, variance, gamma, beta, epsilon)
    y = _door.empty(x.shape)
    if y.size:
        _kernels.batch_norm(_rows(x), mean, variance, gamma, beta, _door.number(epsilon, "epsilon"), _rows(y))
    return y


def batch_norm_backward_weights(
    dy: ArrayLike, x: ArrayLike, mean: ArrayLike, variance: ArrayLike, epsilon: float = 1e-3
) -> tuple[Array, Array]:
    """(dgamma, dbeta) = (Σ dy · (x − mean) / √(variance + ε), Σ dy), both (C,)."""
    dy, x = _door.array(dy, "dy"), _with_channels(x)
    _door.check_shape(dy, "dy", x.shape, "that of x")
    mean, variance = _columns(x, mean=mean, variance=variance)
    if _door.on_reference():
        return reference.batch_norm_backward_weights(dy, x, mean, variance, epsilon)
    C = x.shape[-1]
    dgamma, dbeta = np.zeros(C, np.float32), np.zeros(C, np.float32)
    if x.size:
        _kernels.batch_norm_backward_weights(
            _rows(dy), _rows(x), mean, variance, _door.number(epsilon, "epsilon"), dgamma, dbeta
        )
    return dgamma, dbeta


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
    """dx = γ / √(variance + ε) · (dy − dβ/m − x̂ · dγ/m), the gradient where mean and variance are x's own.

    ``dgamma`` and ``dbeta`` are what ``batch_norm_backward_weights`` gives. Without both of them mean and
    variance are taken for constants, as in inference: dx = γ / √(variance + ε) · dy.
    """
    dy, x = _door.array(dy, "dy"), _with_channels(x)
    _door.check_shape(dy, "dy", x.shape, "that of x")
    if (dgamma is None) != (dbeta is None):
        raise ValueError("dgamma and dbeta belong together: give both, or in inference neither")
    mean, variance, gamma, dgamma, dbeta = _columns(
        x, mean=mean, variance=variance, gamma=gamma, dgamma=dgamma, dbeta=dbeta
    )
    if _door.on_reference():
        return reference.batch_norm_backward_data(dy, x, mean, variance, gamma, dgamma, dbeta, epsilon)
    dx = _door.empty(x.shape)
    if dx.size:
        _kernels.batch_norm_backward_data(
            _rows(dy),
            _rows(x),
            mean,
            variance,
            gamma,
            dgamma,
            dbeta,
            _door.number(epsilon, "epsilon"),
            _rows(dx),
        )
    return dx


def _with_channels(x: ArrayLike) -> Array:
    array = _door.array(x, "x")
    if array.ndim == 0:
        raise ValueError("x must have an axis of channels, but is a single number")
    return array


def _columns(x: Array, **given: ArrayLike | None) -> list[Any]:
    """Each as an array of one number for each channel of x; None stays None but for what is always there."""
    columns = {
        name: None if value is None and name not in _ALWAYS else _door.array(value, name)  # type: ignore[arg-type]
        for name, value in given.items()
    }
    for name, column in columns.items():
        if column is not None:
            _door.check_shape(column, name, x.shape[-1:], "one number for each channel of x")
    return list(columns.values())


def _rows(x: Array) -> Array:
    return x.reshape(-1, x.shape[-1])
