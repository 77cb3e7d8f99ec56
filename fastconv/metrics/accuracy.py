"""Accuracy: the share of right answers, for each way of writing an answer down.

A tie between class scores goes to the first of them, as ``argmax`` has it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastconv._core.targets import check_one_hot, class_labels, floats, same_shape
from fastconv.metrics.mean import MeanMetricWrapper

Array = NDArray[Any]


def accuracy(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """1 where the two are equal, else 0; shapes (N, ...) alike."""
    target, prediction = same_shape(y_true, y_pred, "accuracy")
    return (target == prediction).astype(np.float32)


def binary_accuracy(y_true: ArrayLike, y_pred: ArrayLike, threshold: float = 0.5) -> Array:
    """1 where y_pred > threshold agrees with a target of 1 or 0, else 0; shapes (N, ...) alike."""
    target, prediction = same_shape(y_true, y_pred, "binary_accuracy")
    return (target == (prediction > threshold)).astype(np.float32)


def categorical_accuracy(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """1 where the largest score is the one-hot target's class, else 0: (N, ..., C) -> (N, ...)."""
    scores = floats(y_pred, "y_pred")
    check_one_hot(y_true, scores, "categorical_accuracy", "sparse_categorical_accuracy")
    return (np.argmax(y_true, axis=-1) == scores.argmax(axis=-1)).astype(np.float32)


def sparse_categorical_accuracy(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """1 where the largest of the scores (N, ..., C) is the one of the label (N, ...), else 0."""
    scores = floats(y_pred, "y_pred")
    labels = class_labels(y_true, scores, "sparse_categorical_accuracy", "categorical_accuracy")
    return (labels == scores.argmax(axis=-1)).astype(np.float32)


def nearest_accuracy(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """1 where the smallest of the distances (N, ..., C) is that of the class, else 0.

    Targets are labels (N, ...) or one-hot (N, ..., C).
    """
    distances = floats(y_pred, "y_pred")
    labels = np.asarray(y_true)
    if labels.shape == distances.shape and labels.shape[-1] > 1:
        labels = labels.argmax(axis=-1)
    labels = class_labels(labels, distances, "nearest_accuracy")
    return (labels == distances.argmin(axis=-1)).astype(np.float32)


class Accuracy(MeanMetricWrapper):
    """How often y_pred equals y_true exactly: for class numbers, not for scores."""

    direction = "up"

    def __init__(self, name: str = "accuracy", dtype: Any = None) -> None:
        super().__init__(accuracy, name, dtype)


class BinaryAccuracy(MeanMetricWrapper):
    """How often y_pred > threshold agrees with targets of 0 and 1."""

    direction = "up"

    def __init__(self, name: str = "binary_accuracy", dtype: Any = None, threshold: float = 0.5) -> None:
        super().__init__(binary_accuracy, name, dtype, threshold=threshold)
        self.threshold = threshold


class CategoricalAccuracy(MeanMetricWrapper):
    """How often the largest score is that of the one-hot target's class."""

    direction = "up"

    def __init__(self, name: str = "categorical_accuracy", dtype: Any = None) -> None:
        super().__init__(categorical_accuracy, name, dtype)


class SparseCategoricalAccuracy(MeanMetricWrapper):
    """How often the largest score is that of the label, a whole number."""

    direction = "up"

    def __init__(self, name: str = "sparse_categorical_accuracy", dtype: Any = None) -> None:
        super().__init__(sparse_categorical_accuracy, name, dtype)


class NearestAccuracy(MeanMetricWrapper):
    """How often the smallest output is that of the class: for distances, such as ``layers.RBF`` gives.

    ``metrics=["accuracy"]`` means this one where the loss takes distances, or the last layer gives them.
    """

    direction = "up"

    def __init__(self, name: str = "nearest_accuracy", dtype: Any = None) -> None:
        super().__init__(nearest_accuracy, name, dtype)
