"""Counting right and wrong yeses: what precision, recall, the area under a curve and others are made of."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastconv._core.targets import broadcast_weights, check_one_hot, same_shape
from fastconv.metrics.metric import Metric

Array = NDArray[Any]

LOWEST_SCORE = -1e10
"""The score of classes outside the top k, and the threshold that only those fail."""


class ThresholdMetric(Metric):
    """Base of the metrics that take a score above a threshold for a yes, or try several thresholds at once.

    Over all batches since the last reset, each element weighted by its sample's weight::

        true_positives     Σ w  where y_true ≠ 0 and y_pred > threshold
        false_positives    Σ w  where y_true = 0 and y_pred > threshold
        true_negatives     Σ w  where y_true = 0 and not y_pred > threshold
        false_negatives    Σ w  where y_true ≠ 0 and not y_pred > threshold

    One number for each of the T thresholds, or with ``multi_label`` (T, L) of them, for each label by itself.

    top_k           only the k largest scores of a sample can be yeses, the first ones on a tie
    class_id        look at this class alone
    label_weights   what the labels, the last axis, weigh
    """

    state: tuple[str, ...] = ("true_positives", "false_positives", "true_negatives", "false_negatives")

    def __init__(
        self,
        thresholds: ArrayLike,
        name: str | None,
        dtype: Any,
        *,
        top_k: int | None = None,
        class_id: int | None = None,
        multi_label: bool = False,
        label_weights: Array | None = None,
    ) -> None:
        super().__init__(dtype, name)
        self.top_k = top_k
        self.class_id = class_id
        self.multi_label = multi_label
        self.label_weights = label_weights
        self._thresholds = np.atleast_1d(np.asarray(thresholds, np.float64))
        self.reset_state()

    @property
    def thresholds(self) -> list[float]:
        return self._thresholds.tolist()

    def reset_state(self) -> None:
        start = np.zeros((len(self._thresholds), 1) if self.multi_label else len(self._thresholds))
        self.true_positives = self.false_positives = self.true_negatives = self.false_negatives = start

    def update_state(
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> None:
        if np.shape(y_true) == np.shape(y_pred)[:-1] and np.shape(y_pred)[-1] > 1:
            check_one_hot(y_true, np.asarray(y_pred), self.name)
        target, score = same_shape(y_true, y_pred, self.name)
        weights = np.ones(score.shape)
        if sample_weight is not None:
            weights = weights * broadcast_weights(sample_weight, score.shape, np.float64)
        if self.label_weights is not None and not self.multi_label:
            weights = weights * self.label_weights
        if self.top_k is not None:
            score = _only_top(score, self._class_number("top_k", self.top_k, score, least=1), self.name)
        if self.class_id is not None:
            one = np.s_[..., self._class_number("class_id", self.class_id, score, least=0)]
            target, score, weights = target[one], score[one], weights[one]
        if _divide_evenly(self._thresholds):
            score = np.clip(score, 0, 1)
        labels = score.shape[1] if self.multi_label else 1
        columns = [array.reshape(-1, labels) for array in (target != 0, score, weights)]
        counts = [self._count(*(array[:, label] for array in columns)) for label in range(labels)]
        tp, fp, tn, fn = (np.stack(of, axis=-1) for of in zip(*counts, strict=True))
        if not self.multi_label:
            tp, fp, tn, fn = tp[:, 0], fp[:, 0], tn[:, 0], fn[:, 0]
        self.true_positives = self.true_positives + tp
        self.false_positives = self.false_positives + fp
        self.true_negatives = self.true_negatives + tn
        self.false_negatives = self.false_negatives + fn

    def _count(self, target: Array, score: Array, weights: Array) -> tuple[Array, Array, Array, Array]:
        """TP, FP, TN and FN at each threshold, by sorting the scores into the gaps between thresholds."""
        thresholds = self._thresholds.astype(score.dtype)
        order = np.argsort(thresholds, kind="stable")
        passed = np.searchsorted(thresholds[order], score, side="left")  # how many thresholds are lower
        passed[np.isnan(score)] = 0
        above, below = [], []
        for answers in (target, ~target):
            gaps = np.bincount(passed, weights * answers, minlength=len(thresholds) + 1)
            above.append(np.empty(len(thresholds)))
            above[-1][order] = gaps[::-1].cumsum()[::-1][1:]
            below.append(np.empty(len(thresholds)))
            below[-1][order] = gaps.cumsum()[:-1]
        return above[0], above[1], below[1], below[0]

    def _class_number(self, argument: str, value: int, score: Array, least: int) -> int:
        classes = score.shape[-1] if score.ndim > 1 or argument == "top_k" else 0
        if not least <= value < classes + least:
            raise ValueError(
                f"{self.name}: {argument}={value} needs y_pred (N, classes) with more classes than that, got "
                f"{score.shape}"
            )
        return value

    def _one_or_all(self, values: Array) -> Any:
        """A number where there is one threshold, else a copy of the array."""
        return float(values[0]) if len(values) == 1 else values.copy()


def checked_thresholds(thresholds: Any, default: float) -> list[float]:
    """Thresholds as a list: a number, several, or None for the default. ValueError outside 0..1."""
    if thresholds is None:
        return [default]
    listed = list(thresholds) if isinstance(thresholds, (list, tuple, np.ndarray)) else [thresholds]
    for threshold in listed:
        if threshold is None or not 0 <= threshold <= 1:
            raise ValueError(f"thresholds must lie between 0 and 1, got {threshold!r}")
    return listed


def ratio(numerator: Array, denominator: Array) -> Array:
    """The quotient, 0 where the denominator is."""
    denominator = np.broadcast_to(denominator, np.shape(numerator))
    return np.divide(numerator, denominator, out=np.zeros(np.shape(numerator)), where=denominator != 0)


def _only_top(score: Array, k: int, owner: str) -> Array:
    top = np.argsort(-score, axis=-1, kind="stable")[..., :k]
    kept = np.full_like(score, LOWEST_SCORE)
    np.put_along_axis(kept, top, np.take_along_axis(score, top, axis=-1), axis=-1)
    return kept


def _divide_evenly(thresholds: Array) -> bool:
    """True for 0, 1/n, 2/n, ... 1, give or take 1e-7: there Keras clips scores to 0..1."""
    even = np.linspace(0, 1, len(thresholds))
    return len(thresholds) > 2 and np.allclose(thresholds, even, atol=1.5e-7)
