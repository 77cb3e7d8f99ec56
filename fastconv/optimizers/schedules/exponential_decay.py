"""Exponential decay: the rate shrinks by the same factor every so many steps."""

from __future__ import annotations

from typing import Any

from fastconv.optimizers.schedules._steady_decay import SteadyDecay


class ExponentialDecay(SteadyDecay):
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
        super().__init__(initial_learning_rate, decay_steps, staircase, name)
        self.decay_rate = decay_rate

    def rate(self, p: Any) -> Any:
        return self.initial_learning_rate * self.decay_rate**p
