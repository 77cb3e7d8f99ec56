"""The root of the mean squared error: an error in the units of the targets."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastconv._core.targets import same_shape
from fastconv.metrics.mean import Mean


class RootMeanSquaredError(Mean):
    """√(mean (y_pred - y_true)²), the mean taken over all batches before the root."""

    direction = "down"

    def __init__(self, name: str = "root_mean_squared_error", dtype: Any = None) -> None:
        super().__init__(name, dtype)

    def update_state(  # type: ignore[override]  # as in Keras: a Mean that computes its values
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> None:
        target, prediction = same_shape(y_true, y_pred, self.name)
        super().update_state(np.square(prediction - target), sample_weight)

    def result(self) -> float:
        return float(np.sqrt(super().result()))
