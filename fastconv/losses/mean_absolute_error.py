"""Mean absolute error: regression that forgives outliers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastconv.losses.loss import Array, Loss


class MeanAbsoluteError(Loss):
    """l = mean_d |p_d - t_d|, over the last axis; ∂l/∂p_d = sign(p_d - t_d) / D, and 0 where p_d = t_d."""

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "mean_absolute_error",
        dtype: Any = None,
    ) -> None:
        super().__init__(name, reduction, dtype)

    def call(self, y_true: Array, y_pred: Array) -> Array:
        return np.mean(np.abs(y_pred - y_true), axis=-1)

    def derivative(self, y_true: Array, y_pred: Array) -> Array:
        return np.sign(y_pred - y_true) / y_pred.shape[-1]


def mean_absolute_error(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """The absolute errors, averaged over the last axis: (N, ..., D) -> (N, ...)."""
    return MeanAbsoluteError().per_sample(y_true, y_pred)
