"""Cross-entropy for yes-or-no questions: one output for two classes, or several independent ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from fastconv import ops
from fastconv.losses._crossentropy import SmoothedCrossentropy, clip, is_clipped
from fastconv.losses.loss import Array


class BinaryCrossentropy(SmoothedCrossentropy):
    """l = -mean_d [t_d log q_d + (1 - t_d) log(1 - q_d)], for targets t in 0..1 and probabilities q of "yes".

    ===================  =================  =================================
    ``from_logits``      q                  ∂l/∂y_pred_d
    ===================  =================  =================================
    False                y_pred, clipped    (q_d - t_d) / (q_d (1 - q_d)) / D
    True                 sigmoid(y_pred)    (q_d - t_d) / D
    ===================  =================  =================================

    ``label_smoothing=a`` replaces t by (1 - a) t + a / 2.

    Probabilities are clipped to [1e-7, 1 - 1e-7] before their logarithm is taken; where that acts the
    derivative is 0. After a sigmoid layer ``gradient_at_logits`` gives the second row's form from
    probabilities.
    """

    fuses_with = "sigmoid"
    default_name = "binary_crossentropy"

    def prepare(self, y_true: ArrayLike, y_pred: ArrayLike) -> tuple[Array, Array]:
        target, prediction = super().prepare(y_true, y_pred)
        outside = (target < 0) | (target > 1)
        if outside.any():
            raise ValueError(
                f"{self.name} expects targets between 0 and 1, got {target[outside][0]:g}: for labels of "
                "several classes use sparse_categorical_crossentropy"
            )
        if self.label_smoothing:
            target = target * (1 - self.label_smoothing) + self.label_smoothing / 2
        return target, prediction

    def call(self, y_true: Array, y_pred: Array) -> Array:
        if self.from_logits:
            # log sigmoid(z) = -log(1 + e^-z), which logaddexp computes without overflow for any z
            losses = y_true * np.logaddexp(0, -y_pred) + (1 - y_true) * np.logaddexp(0, y_pred)
        else:
            probability = clip(y_pred)
            losses = -(y_true * np.log(probability) + (1 - y_true) * np.log(1 - probability))
        return losses.mean(axis=-1)

    def derivative(self, y_true: Array, y_pred: Array) -> Array:
        if self.from_logits:
            return self.derivative_at_logits(y_true, ops.activation(y_pred, "sigmoid"))
        clipped = is_clipped(y_pred)
        spread = np.where(clipped, 1, y_pred * (1 - y_pred) * y_pred.shape[-1])
        return np.where(clipped, 0, y_pred - y_true) / spread

    def derivative_at_logits(self, y_true: Array, y_pred: Array) -> Array:
        return (y_pred - y_true) / y_pred.shape[-1]


def binary_crossentropy(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Array:
    """One ``BinaryCrossentropy`` per sample, averaged over the last axis: (N, ..., D) -> (N, ...)."""
    return BinaryCrossentropy(from_logits, label_smoothing, axis).per_sample(y_true, y_pred)
