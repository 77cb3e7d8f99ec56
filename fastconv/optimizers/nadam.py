"""Nadam: Adam with Nesterov's look ahead."""

from __future__ import annotations

from fastconv import ops
from fastconv.optimizers.moments import MomentsOptimizer

_DECAY = 0.96  # of the momentum's schedule


class Nadam(MomentsOptimizer):
    """Adam with Nesterov momentum. Symbols as for ``Adam``, and a momentum that warms up to β₁::

        u_t = β₁ (1 - ½ · 0.96ᵗ)
        m ← m + (1 - β₁) (g - m)
        v ← v + (1 - β₂) (g² - v)
        m̂ = u_{t+1} m / (1 - u_1 u_2 ... u_{t+1}) + (1 - u_t) g / (1 - u_1 u_2 ... u_t)
        v̂ = v / (1 - β₂ᵗ)
        θ ← θ - η m̂ / (√v̂ + ε)

    Dozat 2016, "Incorporating Nesterov momentum into Adam".
    """

    scalars = ("momentum_product",)
    momentum_product = 1.0  # u_1 u_2 ... u_t

    def _momentum_at(self, step: int) -> float:
        return self.beta_1 * (1 - 0.5 * _DECAY**step)

    def begin_step(self) -> None:
        self.momentum_product *= self._momentum_at(self.iterations + 1)

    def update_all(self, arrays: ops.UpdateArrays) -> None:
        step = self.iterations + 1
        ops.nadam_step(
            arrays,
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
