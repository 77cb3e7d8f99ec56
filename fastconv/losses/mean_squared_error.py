"""Mean squared error: for regression, and for the curves of textbooks."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from fastconv.losses._plain import PlainLoss
from fastconv.losses.loss import Array


class MeanSquaredError(PlainLoss):
    """l = mean_d (p_d - t_d)², over the last axis; ∂l/∂p_d = 2 (p_d - t_d) / D."""

    default_name = "mean_squared_error"

    def call(self, y_true: Array, y_pred: Array) -> Array:
        return np.mean(np.square(y_pred - y_true), axis=-1)

    def derivative(self, y_true: Array, y_pred: Array) -> Array:
        return (y_pred - y_true) * (2 / y_pred.shape[-1])


def mean_squared_error(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """The squared errors, averaged over the last axis: (N, ..., D) -> (N, ...)."""
    return MeanSquaredError().per_sample(y_true, y_pred)
