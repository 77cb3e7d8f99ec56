"""Focal cross-entropies: what is already right counts little, so that rare and hard cases are heard."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastconv import ops
from fastconv.losses._crossentropy import clip, is_clipped
from fastconv.losses.binary_crossentropy import BinaryCrossentropy
from fastconv.losses.categorical_crossentropy import CategoricalCrossentropy
from fastconv.losses.loss import Array


class BinaryFocalCrossentropy(BinaryCrossentropy):
    """l = mean_d w_d (1 - s_d)^γ c_d, where c is the binary cross-entropy of t and q, s the trust in t.

    ::

        q = y_pred, or sigmoid(y_pred) with ``from_logits``
        s = t q + (1 - t) (1 - q)                          the probability given to the truth
        w = 1, or with ``apply_class_balancing`` t α + (1 - t) (1 - α)

        ∂l/∂q_d = w [(1 - s)^γ (q - t) / (q (1 - q)) - γ (1 - s)^(γ-1) (2t - 1) c] / D
        ∂l/∂z_d = q (1 - q) ∂l/∂q_d                        where q = sigmoid(z)

    For c, q is clipped to [1e-7, 1 - 1e-7]; where that acts the first term of ∂l/∂q is 0.

    ``label_smoothing=a`` replaces t by (1 - a) t + a / 2. γ=0 is ``BinaryCrossentropy``.

    Lin et al. 2017, "Focal loss for dense object detection", section 3.
    """

    default_name = "binary_focal_crossentropy"

    def __init__(
        self,
        apply_class_balancing: bool = False,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(from_logits, label_smoothing, axis, reduction, name, dtype)
        self.apply_class_balancing = bool(apply_class_balancing)
        self.alpha = alpha
        self.gamma = gamma

    def call(self, y_true: Array, y_pred: Array) -> Array:
        q = ops.activation(y_pred, "sigmoid") if self.from_logits else y_pred
        doubt = 1 - (y_true * q + (1 - y_true) * (1 - q))
        return (self._weights(y_true) * doubt**self.gamma * _binary_crossentropy(y_true, q)).mean(axis=-1)

    def derivative(self, y_true: Array, y_pred: Array) -> Array:
        if self.from_logits:
            return self.derivative_at_logits(y_true, ops.activation(y_pred, "sigmoid"))
        clipped = is_clipped(y_pred)
        pull = np.where(clipped, 0, y_pred - y_true) / np.where(clipped, 1, y_pred * (1 - y_pred))
        return self._slope(y_true, y_pred, pull, 1)

    def derivative_at_logits(self, y_true: Array, y_pred: Array) -> Array:
        return self._slope(y_true, y_pred, y_pred - y_true, y_pred * (1 - y_pred))

    def _slope(self, y_true: Array, q: Array, pull: Array, dq: Array | float) -> Array:
        """∂l by what moves c by ``pull`` and q by ``dq``."""
        doubt = 1 - (y_true * q + (1 - y_true) * (1 - q))
        focus = _power_slope(doubt, self.gamma) * (1 - 2 * y_true) * dq
        slope = doubt**self.gamma * pull + focus * _binary_crossentropy(y_true, q)
        return self._weights(y_true) * slope / q.shape[-1]

    def _weights(self, y_true: Array) -> Array | float:
        if not self.apply_class_balancing:
            return 1.0
        return y_true * self.alpha + (1 - y_true) * (1 - self.alpha)


class CategoricalFocalCrossentropy(CategoricalCrossentropy):
    """l = -Σ_k α_k (1 - q_k)^γ t_k log q_k, for targets t (N, ..., C) and probabilities q.

    ::

        q = y_pred / Σ y_pred, or softmax(y_pred) with ``from_logits``; clipped to [1e-7, 1 - 1e-7]
        h_k = α_k t_k [γ (1 - q_k)^(γ-1) q_k log q_k - (1 - q_k)^γ]

        ∂l/∂z_j = h_j - q_j Σ_k h_k                        where q = softmax(z)
        ∂l/∂y_j = (h_j / q_j - Σ_k h_k) / Σ y_pred         where h counts as 0 if q was clipped

    alpha             one number, or one for each class
    label_smoothing   a: replaces t by (1 - a) t + a / C

    γ=0 and α=1 is ``CategoricalCrossentropy``. Lin et al. 2017, "Focal loss for dense object detection".
    """

    default_name = "categorical_focal_crossentropy"

    def __init__(
        self,
        alpha: float | Sequence[float] = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(from_logits, label_smoothing, axis, reduction, name, dtype)
        self.alpha = np.asarray(alpha, np.float64).tolist()
        self.gamma = gamma

    def prepare(self, y_true: ArrayLike, y_pred: ArrayLike) -> tuple[Array, Array]:
        target, prediction = super().prepare(y_true, y_pred)
        if np.shape(self.alpha) not in ((), prediction.shape[-1:]):
            raise ValueError(
                f"{self.name}: alpha must be one number, or one for each of the {prediction.shape[-1]} "
                f"classes; got {self.alpha}"
            )
        return target, prediction

    def call(self, y_true: Array, y_pred: Array) -> Array:
        q = clip(self._probabilities(y_pred))
        return -(self._alpha(q) * (1 - q) ** self.gamma * y_true * np.log(q)).sum(axis=-1)

    def derivative(self, y_true: Array, y_pred: Array) -> Array:
        q = self._probabilities(y_pred)
        if self.from_logits:
            return self.derivative_at_logits(y_true, q)
        h = np.where(is_clipped(q), 0, self._pull(y_true, q))
        quotient = np.divide(h, q, out=np.zeros_like(q), where=h != 0)
        return (quotient - h.sum(axis=-1, keepdims=True)) / y_pred.sum(axis=-1, keepdims=True)

    def derivative_at_logits(self, y_true: Array, y_pred: Array) -> Array:
        h = self._pull(y_true, y_pred)
        return h - y_pred * h.sum(axis=-1, keepdims=True)

    def _pull(self, y_true: Array, q: Array) -> Array:
        """h, which is q ∂l/∂q."""
        bent = _power_slope(1 - q, self.gamma) * q * np.log(clip(q))
        return self._alpha(q) * y_true * (bent - (1 - q) ** self.gamma)

    def _probabilities(self, y_pred: Array) -> Array:
        if self.from_logits:
            return ops.activation(y_pred, "softmax")
        return y_pred / y_pred.sum(axis=-1, keepdims=True)

    def _alpha(self, like: Array) -> Array:
        return np.asarray(self.alpha, like.dtype)


def _binary_crossentropy(y_true: Array, q: Array) -> Array:
    """That of each output by itself."""
    q = clip(q)
    return -(y_true * np.log(q) + (1 - y_true) * np.log(1 - q))


def _power_slope(base: Array, exponent: float) -> Array:
    """The derivative of base^exponent, 0 for the exponent 0."""
    return exponent * base ** (exponent - 1) if exponent else np.zeros_like(base)


def binary_focal_crossentropy(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    apply_class_balancing: bool = False,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Array:
    """One ``BinaryFocalCrossentropy`` per sample, averaged over the last axis: (N, ..., D) -> (N, ...)."""
    loss = BinaryFocalCrossentropy(apply_class_balancing, alpha, gamma, from_logits, label_smoothing, axis)
    return loss.per_sample(y_true, y_pred)


def categorical_focal_crossentropy(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    alpha: float | Sequence[float] = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Array:
    """One ``CategoricalFocalCrossentropy`` per sample: (N, ..., C) -> (N, ...)."""
    loss = CategoricalFocalCrossentropy(alpha, gamma, from_logits, label_smoothing, axis)
    return loss.per_sample(y_true, y_pred)
