"""Top-k accuracy: the share of samples whose class is among the k largest scores.

A class counts where fewer than k scores are strictly larger than its own, so that a tie is in the class's
favour. A score of NaN is never among them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastconv._core.checks import unsupported_argument
from fastconv._core.targets import check_one_hot, class_labels, floats
from fastconv.metrics.mean import MeanMetricWrapper

Array = NDArray[Any]


def top_k_categorical_accuracy(y_true: ArrayLike, y_pred: ArrayLike, k: int = 5) -> Array:
    """1 where the one-hot target's class is among the k largest scores, else 0: (N, ..., C) -> (N, ...)."""
    scores = floats(y_pred, "y_pred")
    check_one_hot(y_true, scores, "top_k_categorical_accuracy", "sparse_top_k_categorical_accuracy")
    return _in_top_k(np.argmax(y_true, axis=-1), scores, k)


def sparse_top_k_categorical_accuracy(
    y_true: ArrayLike, y_pred: ArrayLike, k: int = 5, from_sorted_ids: bool = False
) -> Array:
    """1 where the label (N, ...) is among the k largest of the scores (N, ..., C), else 0."""
    if from_sorted_ids:
        owner = "sparse_top_k_categorical_accuracy"
        raise unsupported_argument(owner, "from_sorted_ids", "give the scores of all classes")
    scores = floats(y_pred, "y_pred")
    labels = class_labels(y_true, scores, "sparse_top_k_categorical_accuracy", "top_k_categorical_accuracy")
    return _in_top_k(labels, scores, k)


def _in_top_k(labels: NDArray[np.intp], scores: Array, k: int) -> Array:
    own = np.take_along_axis(scores, labels[..., None], axis=-1)
    larger = (scores > np.where(np.isnan(own), -np.inf, own)).sum(axis=-1)
    return (larger < k).astype(np.float32)


class TopKCategoricalAccuracy(MeanMetricWrapper):
    """How often the one-hot target's class is among the k largest scores."""

    direction = "up"

    def __init__(self, k: int = 5, name: str = "top_k_categorical_accuracy", dtype: Any = None) -> None:
        super().__init__(top_k_categorical_accuracy, name, dtype, k=k)
        self.k = k


class SparseTopKCategoricalAccuracy(MeanMetricWrapper):
    """How often the label, a whole number, is among the k largest scores."""

    direction = "up"

    def __init__(
        self,
        k: int = 5,
        name: str = "sparse_top_k_categorical_accuracy",
        dtype: Any = None,
        from_sorted_ids: bool = False,
    ) -> None:
        if from_sorted_ids:
            raise unsupported_argument(
                type(self).__name__, "from_sorted_ids", "give the scores of all classes"
            )
        super().__init__(sparse_top_k_categorical_accuracy, name, dtype, k=k)
        self.k = k
        self.from_sorted_ids = from_sorted_ids
