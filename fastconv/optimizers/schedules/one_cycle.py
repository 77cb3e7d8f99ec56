"""1cycle: up to a high learning rate, down again, and at the very end far down."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastconv.optimizers.schedules.learning_rate_schedule import LearningRateSchedule, positive, steps


class OneCycle(LearningRateSchedule):
    """The rate η₀ → η₁ → η₀ in two straight lines, then → η₂ by the last step; the momentum the other way.

    A high rate jumps out of narrow minima and a low momentum keeps it from overshooting; at the end tiny
    steps settle in the minimum that was found. ``schedule(step)`` is the rate, ``schedule.momentum(step)``
    the momentum, which an optimizer does not follow by itself.

    max_learning_rate       η₁, best found by a learning-rate range test
    total_steps             of the whole training; the first is number 0
    initial_learning_rate   η₀; a tenth of η₁ where None
    final_learning_rate     η₂; a thousandth of η₀ where None
    final_share             which share of all steps the way from η₀ to η₂ takes
    max_momentum, min_momentum   in the beginning and at the end; where the rate is highest

    Smith 2018, "A disciplined approach to neural network hyper-parameters: part 1", section 4.
    """

    def __init__(
        self,
        max_learning_rate: float,
        total_steps: int,
        initial_learning_rate: float | None = None,
        final_learning_rate: float | None = None,
        final_share: float = 0.1,
        max_momentum: float = 0.95,
        min_momentum: float = 0.85,
        name: str = "OneCycle",
    ) -> None:
        if not 0 <= final_share < 1:
            raise ValueError(f"final_share must lie in [0, 1), got {final_share!r}")
        if not 0 <= min_momentum <= max_momentum <= 1:
            raise ValueError(
                f"momentum goes from max_momentum down to min_momentum, 0 <= min <= max <= 1; got "
                f"max_momentum={max_momentum!r}, min_momentum={min_momentum!r}"
            )
        self.max_learning_rate = max_learning_rate
        self.total_steps = positive("total_steps", total_steps)
        self.initial_learning_rate = (
            max_learning_rate / 10 if initial_learning_rate is None else initial_learning_rate
        )
        self.final_learning_rate = (
            self.initial_learning_rate / 1000 if final_learning_rate is None else final_learning_rate
        )
        self.final_share = final_share
        self.max_momentum = max_momentum
        self.min_momentum = min_momentum
        self.name = name

    def __call__(self, step: ArrayLike) -> Any:
        low, high, final = self.initial_learning_rate, self.max_learning_rate, self.final_learning_rate
        return np.interp(steps(step), self._corners(), [low, high, low, final])[()]

    def momentum(self, step: ArrayLike) -> Any:
        """The momentum that goes with the rate of this step."""
        low, high = self.min_momentum, self.max_momentum
        return np.interp(steps(step), self._corners(), [high, low, high, high])[()]

    def _corners(self) -> list[float]:
        """The steps between which the curves are straight."""
        last = self.total_steps - 1
        down = (1 - self.final_share) * last
        return [0, down / 2, down, last]
