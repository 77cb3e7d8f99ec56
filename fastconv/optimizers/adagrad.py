"""Adagrad: each weight's rate falls with all the gradients it has had."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastconv import ops
from fastconv.optimizers.learning_rate import RateSource
from fastconv.optimizers.optimizer import Optimizer
from fastconv.optimizers.options import not_negative

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from fastconv.optimizers.options import Options


class Adagrad(Optimizer):
    """Adaptive gradients. With θ the parameter, g its gradient, η the learning rate::

        s ← s + g²                                  begins at initial_accumulator_value
        θ ← θ - η g / √(s + ε)

    Steep directions are slowed down more than flat ones, which points a step on an elongated bowl at its
    bottom; but rates only ever fall, and a deep network may stop before it is there.

    Duchi, Hazan & Singer 2011, "Adaptive subgradient methods for online learning and stochastic
    optimization".
    """

    def __init__(
        self,
        learning_rate: float | RateSource = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(learning_rate, **options)
        self.initial_accumulator_value = not_negative("initial_accumulator_value", initial_accumulator_value)
        self.epsilon = not_negative("epsilon", epsilon)

    @property
    def slots(self) -> tuple[str, ...]:
        return ("accumulator",)

    def initial_value(self, slot: str) -> float:
        return self.initial_accumulator_value if slot == "accumulator" else super().initial_value(slot)

    def update_all(self, arrays: ops.UpdateArrays) -> None:
        ops.adagrad_step(arrays, self.learning_rate, self.epsilon)
