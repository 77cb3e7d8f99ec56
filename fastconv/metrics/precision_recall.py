"""Precision and recall: how far a yes can be trusted, and how many there are that were not found."""

from __future__ import annotations

from typing import Any

from fastconv.metrics._thresholds import LOWEST_SCORE, ThresholdMetric, checked_thresholds, ratio


class _Share(ThresholdMetric):
    """Base of the two. Targets are 0 and 1, of the shape of y_pred.

    thresholds   a score above it is a yes; 0.5, or where ``top_k`` is given none, if None. With several the
                 result is an array, one number for each
    top_k        only the k largest scores of a sample can be yeses
    class_id     look at this class alone
    """

    direction = "up"
    default_name: str

    def __init__(
        self,
        thresholds: Any = None,
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        self.init_thresholds = thresholds
        checked = checked_thresholds(thresholds, 0.5 if top_k is None else LOWEST_SCORE)
        super().__init__(checked, name or self.default_name, dtype, top_k=top_k, class_id=class_id)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"thresholds": self.init_thresholds}


class Precision(_Share):
    """TP / (TP + FP): of all that was said to be a yes, the share that is one; 0 where nothing was."""

    default_name = "precision"
    state = ("true_positives", "false_positives")

    def result(self) -> Any:
        return self._one_or_all(ratio(self.true_positives, self.true_positives + self.false_positives))


class Recall(_Share):
    """TP / (TP + FN): of all that is a yes, the share that was found; 0 where nothing is."""

    default_name = "recall"
    state = ("true_positives", "false_negatives")

    def result(self) -> Any:
        return self._one_or_all(ratio(self.true_positives, self.true_positives + self.false_negatives))
