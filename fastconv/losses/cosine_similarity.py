"""Cosine similarity: do target and prediction point the same way, however long they are?"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastconv.losses._crossentropy import check_axis
from fastconv.losses.loss import EPSILON, Array, Loss


class CosineSimilarity(Loss):
    """l = -t̂·p̂, from -1 for the same direction to 1 for the opposite; vectors (N, ..., D), v̂ = v / ‖v‖.

    ∂l/∂p = -(t̂ - (t̂·p̂) p̂) / ‖p‖: only what is perpendicular to p can turn it. Vectors shorter than 1e-7 have
    no direction to speak of: they are divided by 1e-7, and the derivative is 0.
    """

    def __init__(
        self,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str = "cosine_similarity",
        dtype: Any = None,
    ) -> None:
        super().__init__(name, reduction, dtype)
        check_axis(type(self).__name__, axis)

    def call(self, y_true: Array, y_pred: Array) -> Array:
        return -(y_true / _length(y_true) * (y_pred / _length(y_pred))).sum(axis=-1)

    def derivative(self, y_true: Array, y_pred: Array) -> Array:
        length = _length(y_pred)
        target, prediction = y_true / _length(y_true), y_pred / length
        along = (target * prediction).sum(axis=-1, keepdims=True) * prediction
        return np.where(length <= EPSILON, 0, (along - target) / length)


def _length(vectors: Array) -> Array:
    """‖v‖, but at least ε."""
    return np.maximum(np.sqrt(np.square(vectors).sum(axis=-1, keepdims=True)), EPSILON)


def cosine_similarity(y_true: ArrayLike, y_pred: ArrayLike, axis: int = -1) -> Array:
    """One ``CosineSimilarity`` per sample: (N, ..., D) -> (N, ...), -1 where both point the same way."""
    return CosineSimilarity(axis).per_sample(y_true, y_pred)
