"""What the decays have in common whose rate depends on t / s alone."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastconv.optimizers.schedules.learning_rate_schedule import LearningRateSchedule, positive, steps


class SteadyDecay(LearningRateSchedule):
    """Base of η(t) = f(p), p = t / ``decay_steps``, rounded down where ``staircase``: subclasses give f."""

    def __init__(self, initial_learning_rate: float, decay_steps: float, staircase: bool, name: str) -> None:
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = positive("decay_steps", decay_steps)
        self.staircase = staircase
        self.name = name

    def __call__(self, step: ArrayLike) -> Any:
        p = steps(step) / self.decay_steps
        return self.rate(np.floor(p) if self.staircase else p)

    def rate(self, p: Any) -> Any:
        """η after p times ``decay_steps``."""
        raise NotImplementedError
