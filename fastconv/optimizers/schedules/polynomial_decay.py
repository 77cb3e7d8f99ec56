"""Polynomial decay: from one rate down to another in a given number of steps."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastconv.optimizers.schedules.learning_rate_schedule import LearningRateSchedule, positive, steps


class PolynomialDecay(LearningRateSchedule):
    """η(t) = (η₀ - η₁) · (1 - min(t, s) / s)ᶜ + η₁

    initial_learning_rate   η₀
    decay_steps             s
    end_learning_rate       η₁
    power                   c; 1 is a straight line
    cycle                   after s steps s becomes 2 s, then 3 s, ...: the rate jumps up and falls again
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        end_learning_rate: float = 0.0001,
        power: float = 1.0,
        cycle: bool = False,
        name: str = "PolynomialDecay",
    ) -> None:
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = positive("decay_steps", decay_steps)
        self.end_learning_rate = end_learning_rate
        self.power = power
        self.cycle = cycle
        self.name = name

    def __call__(self, step: ArrayLike) -> Any:
        p = steps(step) / self.decay_steps
        p = p / np.maximum(np.ceil(p), 1) if self.cycle else np.minimum(p, 1)
        height = self.initial_learning_rate - self.end_learning_rate
        return height * (1 - p) ** self.power + self.end_learning_rate
