"""Adam: momentum, and a rate of its own for every weight."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastconv import ops
from fastconv.optimizers.learning_rate import RateSource
from fastconv.optimizers.moments import MomentsOptimizer

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from fastconv.optimizers.options import Options


class Adam(MomentsOptimizer):
    """Adaptive moments. With θ the parameter, g its gradient, η the learning rate and t = 1, 2, ...::

        m ← m + (1 - β₁) (g - m)                    running mean of g
        v ← v + (1 - β₂) (g² - v)                   running mean of g²
        θ ← θ - η √(1 - β₂ᵗ) / (1 - β₁ᵗ) · m / (√v + ε)

        amsgrad=True: the largest v so far in place of v

    Kingma & Ba 2015, "Adam: a method for stochastic optimization", with ε as at the end of its section 2;
    AMSGrad: Reddi et al. 2018, "On the convergence of Adam and beyond".
    """

    def __init__(
        self,
        learning_rate: float | RateSource = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(learning_rate, beta_1, beta_2, epsilon, **options)
        self.amsgrad = bool(amsgrad)

    @property
    def slots(self) -> tuple[str, ...]:
        return (*super().slots, "velocity_hat") if self.amsgrad else super().slots

    kernel_slots = ("momentum", "velocity", "velocity_hat")

    def update_all(self, arrays: ops.UpdateArrays) -> None:
        rates = (self.learning_rate, self.beta_1, self.beta_2, self.epsilon)
        ops.adam_step(arrays, *rates, self.iterations + 1, self.amsgrad)
