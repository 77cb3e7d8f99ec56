"""Mean absolute percentage error: regression where being wrong by a tenth is as bad at 1 as at 1000."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from fastconv.losses._plain import PlainLoss
from fastconv.losses.loss import EPSILON, Array


class MeanAbsolutePercentageError(PlainLoss):
    """l = 100 mean_d |p_d - t_d| / s_d, s_d = max(|t_d|, 1e-7); ∂l/∂p_d = 100 sign(p_d - t_d) / s_d / D."""

    default_name = "mean_absolute_percentage_error"

    def call(self, y_true: Array, y_pred: Array) -> Array:
        return 100 * np.mean(np.abs(y_pred - y_true) / _scale(y_true), axis=-1)

    def derivative(self, y_true: Array, y_pred: Array) -> Array:
        return np.sign(y_pred - y_true) * (100 / y_pred.shape[-1]) / _scale(y_true)


def _scale(y_true: Array) -> Array:
    return np.maximum(np.abs(y_true), EPSILON)


def mean_absolute_percentage_error(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """The errors in percent, averaged over the last axis: (N, ..., D) -> (N, ...)."""
    return MeanAbsolutePercentageError().per_sample(y_true, y_pred)
