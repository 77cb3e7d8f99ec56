"""Mean squared logarithmic error: regression on sizes that span orders of magnitude."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from fastconv.losses._plain import PlainLoss
from fastconv.losses.loss import EPSILON, Array


class MeanSquaredLogarithmicError(PlainLoss):
    """l = mean_d e_d² with e_d = log(1 + p_d) - log(1 + t_d); ∂l/∂p_d = 2 e_d / (1 + p_d) / D.

    Targets and predictions below 1e-7 count as 1e-7; where that happens to p_d its derivative is 0.
    """

    default_name = "mean_squared_logarithmic_error"

    def call(self, y_true: Array, y_pred: Array) -> Array:
        return np.mean(np.square(_error(y_true, y_pred)), axis=-1)

    def derivative(self, y_true: Array, y_pred: Array) -> Array:
        slope = _error(y_true, y_pred) * (2 / y_pred.shape[-1]) / (1 + np.maximum(y_pred, EPSILON))
        return np.where(y_pred < EPSILON, 0, slope)


def _error(y_true: Array, y_pred: Array) -> Array:
    return np.log1p(np.maximum(y_pred, EPSILON)) - np.log1p(np.maximum(y_true, EPSILON))


def mean_squared_logarithmic_error(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """The squared errors of log(1 + y), averaged over the last axis: (N, ..., D) -> (N, ...)."""
    return MeanSquaredLogarithmicError().per_sample(y_true, y_pred)
