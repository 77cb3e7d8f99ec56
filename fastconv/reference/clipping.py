"""Gradient clipping. g is a gradient, c the limit.

    by value         g_i ← min(max(g_i, −c), c)
    by norm          g ← g · c / max(‖g‖, c),  ‖g‖ = √Σ g_i²
    by global norm   the same, with the norm of all gradients together

NaN stays NaN. An infinite gradient has an infinite norm, which makes its finite elements 0 and its infinite
ones NaN; a global norm that is infinite makes all elements NaN.

Source: Pascanu, Mikolov & Bengio 2013, "On the difficulty of training recurrent neural networks", section
3.2. Arithmetic as in Keras 3.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]


def clip_by_value(grad: Array, limit: float) -> Array:
    """A copy of ``grad`` with every element between −limit and limit."""
    return _like(grad, [g if math.isnan(g) else min(max(g, -limit), limit) for g in _numbers(grad)])


def clip_by_norm(grad: Array, norm: float) -> Array:
    """A copy of ``grad`` scaled so that its norm is at most ``norm``."""
    factor = _factor(_norm([grad]), norm)
    return _like(grad, [g * factor for g in _numbers(grad)])


def clip_by_global_norm(grads: Sequence[Array], norm: float) -> list[Array]:
    """Copies of ``grads`` scaled alike so that the norm of all together is at most ``norm``."""
    together = _norm(grads)
    factor = math.nan if math.isinf(together) else _factor(together, norm)
    return [_like(grad, [g * factor for g in _numbers(grad)]) for grad in grads]


def _norm(grads: Sequence[Array]) -> float:
    return math.sqrt(sum(g * g for grad in grads for g in _numbers(grad)))


def _factor(norm: float, allowed: float) -> float:
    return 1.0 if norm <= allowed else allowed / norm


def _numbers(grad: Array) -> list[float]:
    return np.asarray(grad, np.float64).ravel().tolist()


def _like(grad: Array, numbers: list[float]) -> Array:
    return np.array(numbers, np.float64).reshape(np.shape(grad))
