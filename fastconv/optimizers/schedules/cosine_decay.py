"""Cosine decay: slow at first, fast in the middle, slow at the end; a warm-up may come before it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastconv.optimizers.schedules.learning_rate_schedule import LearningRateSchedule, positive, steps


class CosineDecay(LearningRateSchedule):
    """η(t) = η₀ · ((1 - α) · ½ (1 + cos(π · min(t, s) / s)) + α)

    With a warm-up of w steps to η_w the rate first rises from η₀ to η_w in a straight line; after it η_w
    stands for η₀ and t - w for t.

    initial_learning_rate   η₀
    decay_steps             s, not counting the warm-up
    alpha                   α: the last rate as a share of the highest
    warmup_target           η_w; None for no warm-up
    warmup_steps            w

    Loshchilov & Hutter 2017, "SGDR: stochastic gradient descent with warm restarts"; warm-up: Goyal et al.
    2017, "Accurate, large minibatch SGD", section 2.2.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        alpha: float = 0.0,
        name: str = "CosineDecay",
        warmup_target: float | None = None,
        warmup_steps: float = 0,
    ) -> None:
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = positive("decay_steps", decay_steps)
        self.alpha = alpha
        self.name = name
        self.warmup_target = warmup_target
        self.warmup_steps = warmup_steps

    def __call__(self, step: ArrayLike) -> Any:
        t = steps(step)
        if self.warmup_target is None:
            return self.initial_learning_rate * self._falling(t)
        falling = self.warmup_target * self._falling(np.maximum(t - self.warmup_steps, 0))
        if not self.warmup_steps:
            return falling
        rise = self.warmup_target - self.initial_learning_rate
        rising = self.initial_learning_rate + rise * t / self.warmup_steps
        return np.where(t < self.warmup_steps, rising, falling)[()]

    def _falling(self, t: Any) -> Any:
        cosine = 0.5 * (1 + np.cos(np.pi * np.minimum(t / self.decay_steps, 1)))
        return (1 - self.alpha) * cosine + self.alpha
