"""Piecewise constant: one rate for so many steps, a smaller one for the next, and so on."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastconv.optimizers.schedules.learning_rate_schedule import LearningRateSchedule, steps


class PiecewiseConstantDecay(LearningRateSchedule):
    """η(t) = v₀ for t ≤ b₀, v₁ for b₀ < t ≤ b₁, ..., the last v after the last b

    boundaries   b, rising numbers of steps
    values       v, one more of them
    """

    def __init__(
        self, boundaries: Sequence[float], values: Sequence[float], name: str = "PiecewiseConstant"
    ) -> None:
        if len(boundaries) != len(values) - 1:
            raise ValueError(
                "values must be one more than boundaries: one before each boundary and one after the last; "
                f"got {len(values)} values and {len(boundaries)} boundaries"
            )
        if any(low >= high for low, high in pairwise(boundaries)):
            raise ValueError(f"boundaries must rise, got {list(boundaries)}")
        self.boundaries = list(boundaries)
        self.values = list(values)
        self.name = name

    def __call__(self, step: ArrayLike) -> Any:
        return np.asarray(self.values, np.float64)[np.searchsorted(self.boundaries, steps(step))]
