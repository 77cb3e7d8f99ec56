"""Power scheduling: half the rate after s steps, a third after 2 s, a quarter after 3 s, ..."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastconv.optimizers.schedules.learning_rate_schedule import LearningRateSchedule, positive, steps


class PowerDecay(LearningRateSchedule):
    """η(t) = η₀ / (1 + p)ᶜ with p = t / s

    initial_learning_rate   η₀
    decay_steps             s
    power                   c; with 1 this is ``InverseTimeDecay`` of decay rate 1
    staircase               p is rounded down: the rate falls at once every s steps
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        power: float = 1.0,
        staircase: bool = False,
        name: str = "PowerDecay",
    ) -> None:
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = positive("decay_steps", decay_steps)
        self.power = power
        self.staircase = staircase
        self.name = name

    def __call__(self, step: ArrayLike) -> Any:
        p = steps(step) / self.decay_steps
        return self.initial_learning_rate / (1 + (np.floor(p) if self.staircase else p)) ** self.power
