"""Adamax: Adam with the largest recent gradient in place of its root mean square."""

from __future__ import annotations

from fastconv import ops
from fastconv.optimizers.moments import MomentsOptimizer


class Adamax(MomentsOptimizer):
    """Adam in the infinity norm. Symbols as for ``Adam``::

        m ← m + (1 - β₁) (g - m)
        u ← max(β₂ u, |g|)
        θ ← θ - η / (1 - β₁ᵗ) · m / (u + ε)

    Kingma & Ba 2015, "Adam: a method for stochastic optimization", section 7.1.
    """

    @property
    def slots(self) -> tuple[str, ...]:
        return ("momentum", "norm")

    def update_all(self, arrays: ops.UpdateArrays) -> None:
        rates = (self.learning_rate, self.beta_1, self.beta_2, self.epsilon)
        ops.adamax_step(arrays, *rates, self.iterations + 1)
