"""The area under a curve: how good the scores are, whatever threshold one will choose."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastconv import ops
from fastconv._core.checks import unknown_name
from fastconv._core.targets import floats
from fastconv.metrics._thresholds import Array, ThresholdMetric, checked_thresholds, ratio

_EPSILON = 1e-7
_CURVES = ("ROC", "PR", "PRGAIN")
_HEIGHT: dict[str, Callable[[Array, Array], Array]] = {
    "interpolation": lambda left, right: (left + right) / 2,
    "majoring": np.maximum,
    "minoring": np.minimum,
}


class AUC(ThresholdMetric):
    """The area under the curve that a falling threshold draws, summed over ``num_thresholds`` points of it.

    ===========  ====================================  ====================================
    ``curve``    x                                     y
    ===========  ====================================  ====================================
    "ROC"        FP / (FP + TN)                        TP / (TP + FN)
    "PR"         TP / (TP + FN)                        TP / (TP + FP)
    "PRGAIN"     max(0, 1 - r FN / TP)                 1 - r FP / TP, r = (TP + FN) / (TN + FP)
    ===========  ====================================  ====================================

    A perfect classifier has 1; on the ROC curve guessing has ½.

    Parameters
    ----------
    num_thresholds : how many, evenly from 0 to 1; more are more exact
    summation_method : a strip is as high as the mean of its two ends, "interpolation", the larger,
        "majoring", or the smaller, "minoring". For "PR" interpolation takes TP, not precision, as linear:
        Davis & Goadrich 2006, "The relationship between precision-recall and ROC curves"
    thresholds : these between 0 and 1 instead of even ones
    multi_label : the mean over the areas of each label, y_pred (N, labels), instead of one for all elements
    num_labels : how many labels there are, checked with ``multi_label``
    label_weights : what the labels weigh, in the mean or, without ``multi_label``, in the counts
    from_logits : y_pred are scores that a sigmoid has yet to make probabilities of

    Flach & Kull 2015, "Precision-recall-gain curves: PR analysis done right".
    """

    direction = "up"

    def __init__(
        self,
        num_thresholds: int = 200,
        curve: str = "ROC",
        summation_method: str = "interpolation",
        name: str | None = None,
        dtype: Any = None,
        thresholds: Sequence[float] | None = None,
        multi_label: bool = False,
        num_labels: int | None = None,
        label_weights: ArrayLike | None = None,
        from_logits: bool = False,
    ) -> None:
        self.curve = str(curve).upper()
        self.summation_method = str(summation_method).lower()
        if self.curve not in _CURVES:
            raise unknown_name("curve", curve, _CURVES)
        if self.summation_method not in _HEIGHT:
            raise unknown_name("summation_method", summation_method, _HEIGHT)
        if num_labels is not None and not multi_label:
            raise ValueError("AUC: num_labels says how many there are with multi_label=True alone")
        self._given = None if thresholds is None else sorted(checked_thresholds(list(thresholds), 0.5))
        if self._given is None and num_thresholds < 2:
            raise ValueError(f"AUC: num_thresholds must be at least 2, got {num_thresholds!r}")
        inner = np.linspace(0, 1, num_thresholds)[1:-1] if self._given is None else self._given
        points = [-_EPSILON, *inner, 1 + _EPSILON]  # the first takes everything for a yes, the last nothing
        self.num_thresholds = len(points)
        self.num_labels = num_labels
        self.from_logits = bool(from_logits)
        weights = None if label_weights is None else np.asarray(label_weights, np.float64)
        super().__init__(points, name or "auc", dtype, multi_label=bool(multi_label), label_weights=weights)

    def update_state(
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> None:
        scores = floats(y_pred, "y_pred")
        labels = scores.shape[1] if scores.ndim == 2 else None
        if self.multi_label and (labels is None or self.num_labels not in (None, labels)):
            raise ValueError(
                f"{self.name}: multi_label=True needs y_pred (N, {self.num_labels or 'labels'}), got "
                f"{scores.shape}"
            )
        if self.label_weights is not None and self.label_weights.shape != scores.shape[-1:]:
            raise ValueError(
                f"{self.name}: label_weights must be one number for each of the labels of y_pred "
                f"{scores.shape}, got {self.label_weights.shape}"
            )
        scores = ops.activation(scores, "sigmoid") if self.from_logits else scores
        super().update_state(y_true, scores, sample_weight)

    def result(self) -> float:
        if (self.curve, self.summation_method) == ("PR", "interpolation"):
            strips = self._strips_of_linear_counts()
        else:
            x, y = self._points()
            strips = (x[:-1] - x[1:]) * _HEIGHT[self.summation_method](y[:-1], y[1:])
        area = strips.sum(axis=0)
        if not self.multi_label:
            return float(area)
        if self.label_weights is None:
            return float(area.mean())
        return float(ratio((area * self.label_weights).sum(), self.label_weights.sum()))

    def _points(self) -> tuple[Array, Array]:
        tp, fp = self.true_positives, self.false_positives
        tn, fn = self.true_negatives, self.false_negatives
        recall = ratio(tp, tp + fn)
        if self.curve == "ROC":
            return ratio(fp, fp + tn), recall
        if self.curve == "PR":
            return recall, ratio(tp, tp + fp)
        odds = ratio(tp + fn, tn + fp)
        recall_gain = np.where(tp == 0, 0, 1 - odds * ratio(fn, tp))
        precision_gain = np.where(tp == 0, 1, 1 - odds * ratio(fp, tp))
        return np.maximum(recall_gain, 0), precision_gain

    def _strips_of_linear_counts(self) -> Array:
        """Areas between the points of the PR curve where TP is linear in TP + FP: TP = a + s (TP + FP).

        ∫ precision d(recall) = s [ΔTP + a log(left / right)] / (TP + FN), with left and right the values of
        TP + FP at the two ends.
        """
        tp, yeses = self.true_positives, self.true_positives + self.false_positives
        gained = tp[:-1] - tp[1:]
        left, right = yeses[:-1], yeses[1:]
        slope = ratio(gained, np.maximum(left - right, 0))
        start = tp[1:] - slope * right
        proportion = np.where((left > 0) & (right > 0), ratio(left, right), 1)
        area = slope * (gained + start * np.log(proportion))
        return ratio(area, tp[1:] + self.false_negatives[1:])

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"thresholds": self._given}
