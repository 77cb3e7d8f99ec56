"""The Kullback-Leibler divergence: how far a predicted distribution is from the true one."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from fastconv.losses._plain import PlainLoss
from fastconv.losses.loss import EPSILON, Array


class KLDivergence(PlainLoss):
    """l = Σ_k t_k log(t_k / p_k), for distributions t and p (N, ..., C); ∂l/∂p_k = -t_k / p_k.

    Both are clipped to [1e-7, 1]; where that happens to p_k its derivative is 0. After a softmax layer
    ``gradient_at_logits`` gives p_k Σ_j t_j - t_k from the probabilities: the gradient of the cross-entropy,
    from which this differs by the entropy of t alone.
    """

    fuses_with = "softmax"
    default_name = "kl_divergence"

    def prepare(self, y_true: ArrayLike, y_pred: ArrayLike) -> tuple[Array, Array]:
        target, prediction = super().prepare(y_true, y_pred)
        return np.clip(target, EPSILON, 1), prediction

    def call(self, y_true: Array, y_pred: Array) -> Array:
        return (y_true * np.log(y_true / np.clip(y_pred, EPSILON, 1))).sum(axis=-1)

    def derivative(self, y_true: Array, y_pred: Array) -> Array:
        clipped = (y_pred < EPSILON) | (y_pred > 1)
        return np.where(clipped, 0, -y_true / np.where(clipped, 1, y_pred))

    def derivative_at_logits(self, y_true: Array, y_pred: Array) -> Array:
        return y_pred * y_true.sum(axis=-1, keepdims=True) - y_true


def kl_divergence(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """One ``KLDivergence`` per sample: (N, ..., C) -> (N, ...)."""
    return KLDivergence().per_sample(y_true, y_pred)
