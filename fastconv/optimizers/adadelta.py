"""Adadelta: steps as large as the recent steps, in place of a learning rate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastconv import ops
from fastconv.optimizers.learning_rate import RateSource
from fastconv.optimizers.optimizer import Optimizer
from fastconv.optimizers.options import not_negative, share

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from fastconv.optimizers.options import Options


class Adadelta(Optimizer):
    """Gradients in units of their recent size, times the recent size of steps::

        s ← ρ s + (1 - ρ) g²                        running mean of g²
        Δ = √(d + ε) / √(s + ε) · g
        d ← ρ d + (1 - ρ) Δ²                        running mean of Δ²
        θ ← θ - η Δ

    θ is the parameter, g its gradient. The paper has no η: for its rule use ``learning_rate=1.0``.

    Zeiler 2012, "ADADELTA: an adaptive learning rate method", algorithm 1.
    """

    def __init__(
        self,
        learning_rate: float | RateSource = 0.001,
        rho: float = 0.95,
        epsilon: float = 1e-7,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(learning_rate, **options)
        self.rho = share("rho", rho)
        self.epsilon = not_negative("epsilon", epsilon)

    @property
    def slots(self) -> tuple[str, ...]:
        return ("accumulated_grad", "accumulated_delta_var")

    def update_all(self, arrays: ops.UpdateArrays) -> None:
        ops.adadelta_step(arrays, self.learning_rate, self.rho, self.epsilon)
