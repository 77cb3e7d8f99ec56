"""Nadam: Adam with Nesterov's look ahead."""

from __future__ import annotations

from typing import Any

from fastconv import ops
from fastconv.optimizers.optimizer import Optimizer, not_negative, share
from fastconv.parameter import Array

_DECAY = 0.96  # of the momentum's schedule


class Nadam(Optimizer):
    """Adam with Nesterov momentum. Symbols as for ``Adam``, and a momentum that warms up to β₁::

        u_t = β₁ (1 - ½ · 0.96ᵗ)
        m ← m + (1 - β₁) (g - m)
        v ← v + (1 - β₂) (g² - v)
        m̂ = u_{t+1} m / (1 - u_1 u_2 ... u_{t+1}) + (1 - u_t) g / (1 - u_1 u_2 ... u_t)
        v̂ = v / (1 - β₂ᵗ)
        θ ← θ - η m̂ / (√v̂ + ε)

    Dozat 2016, "Incorporating Nesterov momentum into Adam".
    """

    scalars = (*Optimizer.scalars, "momentum_product")

    def __init__(
        self,
        learning_rate: float = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        name: str | None = None,
        **keras_arguments: Any,
    ) -> None:
        super().__init__(learning_rate, name, **keras_arguments)
        self.beta_1 = share("beta_1", beta_1, below_one=True)
        self.beta_2 = share("beta_2", beta_2, below_one=True)
        self.epsilon = not_negative("epsilon", epsilon)
        self.momentum_product = 1.0

    @property
    def slots(self) -> tuple[str, ...]:
        return ("momentum", "velocity")

    def _momentum_at(self, step: int) -> float:
        return self.beta_1 * (1 - 0.5 * _DECAY**step)

    def begin_step(self) -> None:
        self.momentum_product *= self._momentum_at(self.iterations + 1)

    def update(self, value: Array, grad: Array, momentum: Array, velocity: Array) -> None:
        step = self.iterations + 1
        ops.nadam_update(
            value,
            grad,
            momentum,
            velocity,
            self.learning_rate,
            self.beta_1,
            self.beta_2,
            self.epsilon,
            self._momentum_at(step),
            self._momentum_at(step + 1),
            self.momentum_product,
            self.momentum_product * self._momentum_at(step + 1),
            step,
        )

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
        }
