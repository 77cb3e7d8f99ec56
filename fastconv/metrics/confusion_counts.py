"""How many yeses and noes were right and wrong."""

from __future__ import annotations

from typing import Any

from fastconv.metrics._thresholds import ThresholdMetric, checked_thresholds


class _Count(ThresholdMetric):
    default_name: str

    def __init__(self, thresholds: Any = None, name: str | None = None, dtype: Any = None) -> None:
        self.init_thresholds = thresholds
        super().__init__(checked_thresholds(thresholds, 0.5), name or self.default_name, dtype)

    def result(self) -> Any:
        return self._one_or_all(getattr(self, self.default_name))

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"thresholds": self.init_thresholds}


class TruePositives(_Count):
    """How many yeses were rightly said to be; with several ``thresholds`` an array, one number for each."""

    default_name = "true_positives"
    state = (default_name,)


class FalsePositives(_Count):
    """How many noes were taken for yeses; with several ``thresholds`` an array, one number for each."""

    default_name = "false_positives"
    state = (default_name,)


class TrueNegatives(_Count):
    """How many noes were rightly said to be; with several ``thresholds`` an array, one number for each."""

    default_name = "true_negatives"
    state = (default_name,)


class FalseNegatives(_Count):
    """How many yeses were missed; with several ``thresholds`` an array, one number for each."""

    default_name = "false_negatives"
    state = (default_name,)
