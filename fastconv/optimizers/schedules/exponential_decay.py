"""Exponential decay: the rate shrinks by the same factor every so many steps."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastconv.optimizers.schedules.learning_rate_schedule import LearningRateSchedule, positive, steps


class ExponentialDecay(LearningRateSchedule):
    """η(t) = η₀ · rᵖ with p = t / s

    initial_learning_rate   η₀
    decay_steps             s
    decay_rate              r: 0.1 is ten times less every s steps
    staircase               p is rounded down: the rate falls at once every s steps
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        decay_rate: float,
        staircase: bool = False,
        name: str = "ExponentialDecay",
    ) -> None:
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = positive("decay_steps", decay_steps)
        self.decay_rate = decay_rate
        self.staircase = staircase
        self.name = name

    def __call__(self, step: ArrayLike) -> Any:
        p = steps(step) / self.decay_steps
        return self.initial_learning_rate * self.decay_rate ** (np.floor(p) if self.staircase else p)
