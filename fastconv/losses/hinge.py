"""The hinge losses of support vector machines: right answers cost nothing once they are right by a margin."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from fastconv._core.targets import check_one_hot, floats
from fastconv.losses._plain import PlainLoss
from fastconv.losses.loss import Array


class SignedTargetsLoss(PlainLoss):
    """Base of the two whose targets are -1 and 1; where a batch holds only 0 and 1, 0 counts as -1."""

    def prepare(self, y_true: ArrayLike, y_pred: ArrayLike) -> tuple[Array, Array]:
        target, prediction = super().prepare(y_true, y_pred)
        if ((target == 0) | (target == 1)).all():
            target = 2 * target - 1
        return target, prediction


class Hinge(SignedTargetsLoss):
    """l = mean_d max(1 - t_d p_d, 0), for targets t of -1 and 1; ∂l/∂p_d = -t_d / D where t_d p_d < 1."""

    default_name = "hinge"

    def call(self, y_true: Array, y_pred: Array) -> Array:
        return np.mean(np.maximum(1 - y_true * y_pred, 0), axis=-1)

    def derivative(self, y_true: Array, y_pred: Array) -> Array:
        beyond_the_margin = y_true * y_pred >= 1  # and not where p is NaN
        return np.where(beyond_the_margin, 0, -y_true + 0 * y_pred) / y_pred.shape[-1]


class SquaredHinge(SignedTargetsLoss):
    """l = mean_d m_d² with m_d = max(1 - t_d p_d, 0), for targets t of -1 and 1; ∂l/∂p_d = -2 t_d m_d / D."""

    default_name = "squared_hinge"

    def call(self, y_true: Array, y_pred: Array) -> Array:
        return np.mean(np.square(np.maximum(1 - y_true * y_pred, 0)), axis=-1)

    def derivative(self, y_true: Array, y_pred: Array) -> Array:
        return y_true * np.maximum(1 - y_true * y_pred, 0) * (-2 / y_pred.shape[-1])


class CategoricalHinge(PlainLoss):
    """l = max(0, 1 + max_k (1 - t_k) p_k - Σ_k t_k p_k), for one-hot targets t and scores p (N, ..., C).

    The best of the wrong classes should stay 1 below the right one. Where it does not, ∂l/∂p_k is -t_k, plus
    1 - t_k for that best wrong class (the first of them, on a tie); else it is 0.

    Crammer & Singer 2001, "On the algorithmic implementation of multiclass kernel-based vector machines".
    """

    default_name = "categorical_hinge"

    def prepare(self, y_true: ArrayLike, y_pred: ArrayLike) -> tuple[Array, Array]:
        prediction = floats(y_pred, "y_pred")
        check_one_hot(y_true, prediction, self.name)
        return floats(y_true, "y_true").astype(prediction.dtype, copy=False), prediction

    def call(self, y_true: Array, y_pred: Array) -> Array:
        right, wrong = (y_true * y_pred).sum(axis=-1), (1 - y_true) * y_pred
        return np.maximum(wrong.max(axis=-1) - right + 1, 0)

    def derivative(self, y_true: Array, y_pred: Array) -> Array:
        best_wrong = ((1 - y_true) * y_pred).argmax(axis=-1)[..., None]
        rival = np.arange(y_pred.shape[-1]) == best_wrong
        satisfied = self.call(y_true, y_pred)[..., None] <= 0
        return np.where(satisfied, 0, rival * (1 - y_true) - y_true + 0 * y_pred)


def hinge(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """One ``Hinge`` per sample, averaged over the last axis: (N, ..., D) -> (N, ...)."""
    return Hinge().per_sample(y_true, y_pred)


def squared_hinge(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """One ``SquaredHinge`` per sample, averaged over the last axis: (N, ..., D) -> (N, ...)."""
    return SquaredHinge().per_sample(y_true, y_pred)


def categorical_hinge(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """One ``CategoricalHinge`` per sample: (N, ..., C) -> (N, ...)."""
    return CategoricalHinge().per_sample(y_true, y_pred)
