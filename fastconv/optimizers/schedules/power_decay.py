"""Power scheduling: half the rate after s steps, a third after 2 s, a quarter after 3 s, ..."""

from __future__ import annotations

from typing import Any

from fastconv.optimizers.schedules._steady_decay import SteadyDecay


class PowerDecay(SteadyDecay):
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
        super().__init__(initial_learning_rate, decay_steps, staircase, name)
        self.power = power

    def rate(self, p: Any) -> Any:
        return self.initial_learning_rate / (1 + p) ** self.power
