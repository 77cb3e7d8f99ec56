"""Cross-entropy for one-hot targets, or any targets that are probabilities."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from fastconv import ops
from fastconv._core.targets import check_one_hot, floats
from fastconv.losses._crossentropy import SmoothedCrossentropy, check_classes, clip, is_clipped
from fastconv.losses.loss import Array


class CategoricalCrossentropy(SmoothedCrossentropy):
    """l = -Σ_k t_k log q_k, for targets t (N, ..., C) and probabilities q.

    ===================  ===========================  ==============================
    ``from_logits``      q                            ∂l/∂y_pred_j
    ===================  ===========================  ==============================
    False                y_pred / Σ y_pred, clipped   (Σ_k t_k - t_j / q_j) / Σ y_pred
    True                 softmax(y_pred)              q_j Σ_k t_k - t_j
    ===================  ===========================  ==============================

    ``label_smoothing=a`` replaces t by (1 - a) t + a / C (Szegedy et al. 2016, section 7).

    Probabilities are clipped to [1e-7, 1 - 1e-7] before their logarithm is taken; the target of a clipped
    one counts as 0 in the derivative. After a softmax layer ``gradient_at_logits`` gives the second row's
    form from probabilities.
    """

    fuses_with = "softmax"
    default_name = "categorical_crossentropy"

    def prepare(self, y_true: ArrayLike, y_pred: ArrayLike) -> tuple[Array, Array]:
        prediction = floats(y_pred, "y_pred")
        check_classes(self.name, prediction)
        check_one_hot(y_true, prediction, self.name, "sparse_categorical_crossentropy")
        target = floats(y_true, "y_true").astype(prediction.dtype, copy=False)
        if self.label_smoothing:
            target = target * (1 - self.label_smoothing) + self.label_smoothing / prediction.shape[-1]
        return target, prediction

    def call(self, y_true: Array, y_pred: Array) -> Array:
        if self.from_logits:
            log_probability = ops.log_softmax(y_pred)
        else:
            log_probability = np.log(clip(y_pred / y_pred.sum(axis=-1, keepdims=True)))
        return -(y_true * log_probability).sum(axis=-1)

    def derivative(self, y_true: Array, y_pred: Array) -> Array:
        if self.from_logits:
            return self.derivative_at_logits(y_true, ops.activation(y_pred, "softmax"))
        total = y_pred.sum(axis=-1, keepdims=True)
        active = y_true * ~is_clipped(y_pred / total)
        pull = np.divide(active, y_pred, out=np.zeros_like(y_pred), where=active != 0)
        return active.sum(axis=-1, keepdims=True) / total - pull

    def derivative_at_logits(self, y_true: Array, y_pred: Array) -> Array:
        return y_pred * y_true.sum(axis=-1, keepdims=True) - y_true


def categorical_crossentropy(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Array:
    """One ``CategoricalCrossentropy`` per sample: (N, ..., C) -> (N, ...)."""
    return CategoricalCrossentropy(from_logits, label_smoothing, axis).per_sample(y_true, y_pred)
