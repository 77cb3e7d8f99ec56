"""What large weights cost.

penalty = l1 · Σ|x_i| + l2 · Σ x_i²         ∂penalty/∂x_i = l1 · sign x_i + 2 · l2 · x_i,   sign 0 = 0
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray


def l1_l2_penalty(
    x: ArrayLike, l1: float, l2: float, grad: NDArray[np.floating] | None = None, scale: float = 1.0
) -> float:
    """The penalty; ``grad``, where given, grows by ``scale`` times its gradient, in place."""
    values = np.asarray(x, np.float64)
    numbers = values.ravel().tolist()
    if grad is not None:
        slopes = [scale * _slope(value, l1, l2) for value in numbers]
        grad += np.array(slopes, np.float64).reshape(values.shape)
    penalty = l1 * math.fsum(abs(value) for value in numbers) if l1 else 0.0
    return penalty + (l2 * math.fsum(value * value for value in numbers) if l2 else 0.0)


def _slope(x: float, l1: float, l2: float) -> float:
    sign = 1.0 if x > 0 else -1.0 if x < 0 else x  # a NaN stays what it is
    return (l1 * sign if l1 else 0.0) + (2 * l2 * x if l2 else 0.0)
