"""Cross-entropy for whole-number class labels: the loss of most image classifiers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastconv import ops
from fastconv._core.checks import unsupported_argument
from fastconv._core.targets import class_labels, floats
from fastconv.losses._crossentropy import check_axis, check_classes, clip, is_clipped
from fastconv.losses.loss import Array, Loss


class SparseCategoricalCrossentropy(Loss):
    """l = -log q_y, for labels y (N, ...) out of 0..C-1 and class probabilities q (N, ..., C).

    ===================  ===========================  ==========================
    ``from_logits``      q                            ∂l/∂y_pred_j
    ===================  ===========================  ==========================
    False                y_pred / Σ y_pred, clipped   (1 - [j = y] / q_y) / Σ y_pred
    True                 softmax(y_pred)              q_j - [j = y]
    ===================  ===========================  ==========================

    The same as ``CategoricalCrossentropy`` on one-hot targets, without making them. Labels may be (N,) or
    (N, 1).

    Probabilities are clipped to [1e-7, 1 - 1e-7] before their logarithm is taken; where that acts on q_y the
    derivative is 0. After a softmax layer ``gradient_at_logits`` gives the second row's form from
    probabilities.
    """

    fuses_with = "softmax"

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: None = None,
        reduction: str | None = "sum_over_batch_size",
        axis: int = -1,
        name: str = "sparse_categorical_crossentropy",
        dtype: Any = None,
    ) -> None:
        super().__init__(name, reduction, dtype)
        check_axis(type(self).__name__, axis)
        if ignore_class is not None:
            instead = "give the samples to ignore a sample_weight of 0"
            raise unsupported_argument(type(self).__name__, "ignore_class", instead)
        self.from_logits = bool(from_logits)

    def prepare(self, y_true: ArrayLike, y_pred: ArrayLike) -> tuple[Array, Array]:
        prediction = floats(y_pred, "y_pred")
        check_classes(self.name, prediction)
        return class_labels(y_true, prediction, self.name, "categorical_crossentropy"), prediction

    def call(self, y_true: Array, y_pred: Array) -> Array:
        if self.from_logits:
            return -_at(ops.log_softmax(y_pred), y_true)
        return -np.log(clip(_at(y_pred, y_true) / y_pred.sum(axis=-1)))

    def derivative(self, y_true: Array, y_pred: Array) -> Array:
        if self.from_logits:
            return self.derivative_at_logits(y_true, ops.activation(y_pred, "softmax"))
        own, total = _at(y_pred, y_true), y_pred.sum(axis=-1)
        active = ~is_clipped(own / total)
        derivative = np.broadcast_to((active / total)[..., None], y_pred.shape).copy()
        _subtract_at(derivative, y_true, active / np.where(active, own, 1))
        return derivative

    def derivative_at_logits(self, y_true: Array, y_pred: Array) -> Array:
        derivative = y_pred.copy()
        _subtract_at(derivative, y_true, 1)
        return derivative


def _at(scores: Array, labels: Array) -> Array:
    """The score of each sample's own class: (N, ..., C) -> (N, ...)."""
    return np.take_along_axis(scores, labels[..., None], axis=-1)[..., 0]


def _subtract_at(scores: Array, labels: Array, amount: Array | int) -> None:
    """Subtract from the score of each sample's own class, in place."""
    changed = _at(scores, labels) - amount
    np.put_along_axis(scores, labels[..., None], changed[..., None], axis=-1)


def sparse_categorical_crossentropy(
    y_true: ArrayLike, y_pred: ArrayLike, from_logits: bool = False, ignore_class: None = None, axis: int = -1
) -> Array:
    """One ``SparseCategoricalCrossentropy`` per sample: (N, ..., C) -> (N, ...)."""
    return SparseCategoricalCrossentropy(from_logits, ignore_class, axis=axis).per_sample(y_true, y_pred)
