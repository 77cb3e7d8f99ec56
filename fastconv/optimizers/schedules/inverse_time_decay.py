"""Inverse time decay: a rate that falls ever more slowly."""

from __future__ import annotations

from typing import Any

from fastconv.optimizers.schedules._steady_decay import SteadyDecay


class InverseTimeDecay(SteadyDecay):
    """η(t) = η₀ / (1 + r·p) with p = t / s

    initial_learning_rate   η₀
    decay_steps             s
    decay_rate              r
    staircase               p is rounded down: the rate falls at once every s steps
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        decay_rate: float,
        staircase: bool = False,
        name: str = "InverseTimeDecay",
    ) -> None:
        super().__init__(initial_learning_rate, decay_steps, staircase, name)
        self.decay_rate = decay_rate

    def rate(self, p: Any) -> Any:
        return self.initial_learning_rate / (1 + self.decay_rate * p)
