"""Mean absolute error: regression that forgives outliers."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from fastconv.losses._plain import PlainLoss
from fastconv.losses.loss import Array


class MeanAbsoluteError(PlainLoss):
    """l = mean_d |p_d - t_d|, over the last axis; ∂l/∂p_d = sign(p_d - t_d) / D, and 0 where p_d = t_d."""

    default_name = "mean_absolute_error"

    def call(self, y_true: Array, y_pred: Array) -> Array:
        return np.mean(np.abs(y_pred - y_true), axis=-1)

    def derivative(self, y_true: Array, y_pred: Array) -> Array:
        return np.sign(y_pred - y_true) / y_pred.shape[-1]


def mean_absolute_error(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """The absolute errors, averaged over the last axis: (N, ..., D) -> (N, ...)."""
    return MeanAbsoluteError().per_sample(y_true, y_pred)
