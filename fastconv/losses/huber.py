"""Huber's loss: the squared error near the target, the absolute error far away from it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastconv.losses.loss import Array, Loss


class Huber(Loss):
    """l = mean_d h(p_d - t_d), over the last axis; ∂l/∂p_d = clip(p_d - t_d, -δ, δ) / D.

    ::

        h(e) = e² / 2           where |e| <= δ
               δ |e| - δ² / 2   elsewhere: the tangent, so that an outlier pulls no harder than δ

    Huber 1964, "Robust estimation of a location parameter", section 7.
    """

    def __init__(
        self,
        delta: float = 1.0,
        reduction: str | None = "sum_over_batch_size",
        name: str = "huber_loss",
        dtype: Any = None,
    ) -> None:
        super().__init__(name, reduction, dtype)
        if not delta > 0:
            raise ValueError(f"Huber: delta is where the parabola ends, a positive number; got {delta!r}")
        self.delta = delta

    def call(self, y_true: Array, y_pred: Array) -> Array:
        size = np.abs(y_pred - y_true)
        near = np.minimum(size, self.delta)
        return np.mean(near * (size - near / 2), axis=-1)

    def derivative(self, y_true: Array, y_pred: Array) -> Array:
        return np.clip(y_pred - y_true, -self.delta, self.delta) / y_pred.shape[-1]


def huber(y_true: ArrayLike, y_pred: ArrayLike, delta: float = 1.0) -> Array:
    """One ``Huber`` per sample, averaged over the last axis: (N, ..., D) -> (N, ...)."""
    return Huber(delta).per_sample(y_true, y_pred)
