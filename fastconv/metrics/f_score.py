"""F-scores: precision and recall in one number, for each class and over all of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastconv._core.checks import unknown_name
from fastconv._core.targets import broadcast_weights, check_one_hot, same_shape
from fastconv.metrics.metric import Metric

_EPSILON = 1e-7
_AVERAGES = ("micro", "macro", "weighted")


class FBetaScore(Metric):
    """F = (1 + β²) · precision · recall / (β² · precision + recall), for one-hot or 0-1 targets (N, C).

    Parameters
    ----------
    average : None gives an array of C scores, one for each class; "macro" their mean; "weighted" their mean
        weighted by how often each class occurs; "micro" counts over all classes, and makes one score of that
    beta : how many times as much recall counts as precision
    threshold : a score above it is a yes; where None the largest of a sample is, if it is not 0

    Each denominator has 1e-7 added, as in Keras. van Rijsbergen 1979, "Information retrieval", chapter 7.
    """

    direction = "up"
    state = ("true_positives", "false_positives", "false_negatives", "occurrences")

    def __init__(
        self,
        average: str | None = None,
        beta: float = 1.0,
        threshold: float | None = None,
        name: str = "fbeta_score",
        dtype: Any = None,
    ) -> None:
        super().__init__(dtype, name)
        if average is not None and average not in _AVERAGES:
            raise unknown_name("average", average, _AVERAGES)
        if not beta > 0:
            raise ValueError(f"{name}: beta must be positive, got {beta!r}")
        if threshold is not None and not 0 < threshold <= 1:
            raise ValueError(f"{name}: threshold must be None or lie in (0, 1], got {threshold!r}")
        self.average = average
        self.beta = beta
        self.threshold = threshold
        self.reset_state()

    def reset_state(self) -> None:
        self.true_positives = self.false_positives = self.false_negatives = self.occurrences = np.zeros(1)

    def update_state(
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> None:
        if np.ndim(y_pred) != 2:
            raise ValueError(f"{self.name} needs y_pred (N, classes), got {np.shape(y_pred)}")
        if np.shape(y_pred)[1] > 1:
            check_one_hot(y_true, np.asarray(y_pred), self.name)
        target, score = same_shape(y_true, y_pred, self.name)
        if self.threshold is None:
            said = (score >= score.max(axis=-1, keepdims=True)) & (np.abs(score) > 1e-9)
        else:
            said = score > np.asarray(self.threshold, score.dtype)
        weights = np.ones(1)
        if sample_weight is not None:
            weights = broadcast_weights(sample_weight, score.shape, np.float64)
        self.true_positives = self.true_positives + (weights * said * target).sum(axis=0)
        self.false_positives = self.false_positives + (weights * said * (1 - target)).sum(axis=0)
        self.false_negatives = self.false_negatives + (weights * ~said * target).sum(axis=0)
        self.occurrences = self.occurrences + (weights * target).sum(axis=0)

    def result(self) -> Any:
        tp, fp, fn = self.true_positives, self.false_positives, self.false_negatives
        if self.average == "micro":
            tp, fp, fn = tp.sum(keepdims=True), fp.sum(keepdims=True), fn.sum(keepdims=True)
        precision, recall = tp / (tp + fp + _EPSILON), tp / (tp + fn + _EPSILON)
        scores = precision * recall / (self.beta**2 * precision + recall + _EPSILON) * (1 + self.beta**2)
        if self.average is None:
            return scores
        if self.average == "weighted":
            return float((scores * self.occurrences).sum() / (self.occurrences.sum() + _EPSILON))
        return float(scores.mean())


class F1Score(FBetaScore):
    """F = 2 · precision · recall / (precision + recall), the harmonic mean: ``FBetaScore`` with β = 1."""

    def __init__(
        self,
        average: str | None = None,
        threshold: float | None = None,
        name: str = "f1_score",
        dtype: Any = None,
    ) -> None:
        super().__init__(average, 1.0, threshold, name, dtype)
