"""Cosine decay over and over: at the end of each period the rate jumps up again."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastconv.optimizers.schedules.learning_rate_schedule import LearningRateSchedule, positive, steps


class CosineDecayRestarts(LearningRateSchedule):
    """η(t) = η₀ · ((1 - α) · mⁱ · ½ (1 + cos(π p)) + α), p the share of period i that has passed

    initial_learning_rate   η₀
    first_decay_steps       length of period 0
    t_mul                   how many times longer each period is than the one before, at least 1
    m_mul                   m: how many times higher each period begins
    alpha                   α: the lowest rate as a share of η₀

    Loshchilov & Hutter 2017, "SGDR: stochastic gradient descent with warm restarts".
    """

    def __init__(
        self,
        initial_learning_rate: float,
        first_decay_steps: float,
        t_mul: float = 2.0,
        m_mul: float = 1.0,
        alpha: float = 0.0,
        name: str = "SGDRDecay",
    ) -> None:
        if not t_mul >= 1:
            raise ValueError(
                f"t_mul must be at least 1, got {t_mul!r}: ever shorter periods would come to an end"
            )
        self.initial_learning_rate = initial_learning_rate
        self.first_decay_steps = positive("first_decay_steps", first_decay_steps)
        self.t_mul = t_mul
        self.m_mul = m_mul
        self.alpha = alpha
        self.name = name

    def __call__(self, step: ArrayLike) -> Any:
        passed = steps(step) / self.first_decay_steps  # in lengths of period 0
        if self.t_mul == 1:
            period = np.floor(passed)
            share = passed - period
        else:
            period = np.floor(np.log(1 + passed * (self.t_mul - 1)) / np.log(self.t_mul))
            period = period + (passed >= self._beginning(period + 1))  # the logarithms are rounded
            share = (passed - self._beginning(period)) / self.t_mul**period
        cosine = 0.5 * self.m_mul**period * (1 + np.cos(np.pi * share))
        return self.initial_learning_rate * ((1 - self.alpha) * cosine + self.alpha)

    def _beginning(self, period: Any) -> Any:
        """Where the period begins: 1 + t + t² + ..., as many terms as there are periods before it."""
        return (self.t_mul**period - 1) / (self.t_mul - 1)
