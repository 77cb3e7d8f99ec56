"""The best of one quality that is to be had at a given level of the other, over all thresholds.

=============  ==============  =================================
sensitivity    TP / (TP + FN)  recall by its other name
specificity    TN / (TN + FP)  the share of noes that are known
precision      TP / (TP + FP)  the share of yeses that are right
=============  ==============  =================================
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv.metrics._thresholds import Array, ThresholdMetric, ratio


class _AtLevel(ThresholdMetric):
    """Base: ``num_thresholds`` thresholds divide 0..1 evenly, the best one where ``level`` is met counts."""

    direction = "up"
    default_name: str
    level_name: str

    def __init__(
        self, level: float, num_thresholds: int, class_id: int | None, name: str | None, dtype: Any
    ) -> None:
        if not 0 <= level <= 1:
            raise ValueError(f"{self.level_name} must lie between 0 and 1, got {level!r}")
        if num_thresholds < 1:
            raise ValueError(f"num_thresholds must be at least 1, got {num_thresholds!r}")
        thresholds = np.linspace(0, 1, num_thresholds) if num_thresholds > 1 else [0.5]
        super().__init__(thresholds, name or self.default_name, dtype, class_id=class_id)
        self.value = level
        setattr(self, self.level_name, level)
        self.num_thresholds = num_thresholds

    def _best(self, wanted: Array, level_reached: Array) -> float:
        return float(np.max(wanted, initial=0, where=level_reached >= self.value))

    @property
    def _sensitivity(self) -> Array:
        return ratio(self.true_positives, self.true_positives + self.false_negatives)

    @property
    def _specificity(self) -> Array:
        return ratio(self.true_negatives, self.true_negatives + self.false_positives)

    @property
    def _precision(self) -> Array:
        return ratio(self.true_positives, self.true_positives + self.false_positives)


class SensitivityAtSpecificity(_AtLevel):
    """The largest sensitivity where specificity ≥ ``specificity``."""

    default_name = "sensitivity_at_specificity"
    level_name = "specificity"

    def __init__(
        self,
        specificity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(specificity, num_thresholds, class_id, name, dtype)

    def result(self) -> float:
        return self._best(self._sensitivity, self._specificity)


class SpecificityAtSensitivity(_AtLevel):
    """The largest specificity where sensitivity ≥ ``sensitivity``."""

    default_name = "specificity_at_sensitivity"
    level_name = "sensitivity"

    def __init__(
        self,
        sensitivity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(sensitivity, num_thresholds, class_id, name, dtype)

    def result(self) -> float:
        return self._best(self._specificity, self._sensitivity)


class PrecisionAtRecall(_AtLevel):
    """The largest precision where recall ≥ ``recall``."""

    default_name = "precision_at_recall"
    level_name = "recall"

    def __init__(
        self,
        recall: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(recall, num_thresholds, class_id, name, dtype)

    def result(self) -> float:
        return self._best(self._precision, self._sensitivity)


class RecallAtPrecision(_AtLevel):
    """The largest recall where precision ≥ ``precision``."""

    default_name = "recall_at_precision"
    level_name = "precision"

    def __init__(
        self,
        precision: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(precision, num_thresholds, class_id, name, dtype)

    def result(self) -> float:
        return self._best(self._sensitivity, self._precision)
