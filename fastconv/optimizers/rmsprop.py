"""RMSprop: each weight's gradient in units of its recent size."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastconv import ops
from fastconv.optimizers.learning_rate import RateSource
from fastconv.optimizers.optimizer import Optimizer
from fastconv.optimizers.options import not_negative, share

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from fastconv.optimizers.options import Options


class RMSprop(Optimizer):
    """Gradients over their root mean square. With θ the parameter, g its gradient, η the learning rate::

        v ← ρ v + (1 - ρ) g²                        running mean of g²
        θ ← θ - η g / √(v + ε)

        centered=True    a ← ρ a + (1 - ρ) g        and v - a², the variance, in place of v
        momentum=μ       m ← μ m + η g / √(v + ε)
                         θ ← θ - m

    Tieleman & Hinton 2012, "Lecture 6.5: rmsprop"; centered: Graves 2013, "Generating sequences with
    recurrent neural networks", section 4.2.
    """

    def __init__(
        self,
        learning_rate: float | RateSource = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(learning_rate, **options)
        self.rho = share("rho", rho)
        self.momentum = share("momentum", momentum)
        self.epsilon = not_negative("epsilon", epsilon)
        self.centered = bool(centered)

    @property
    def slots(self) -> tuple[str, ...]:
        momentum = ("momentum",) if self.momentum else ()
        return ("velocity", *momentum, "average_gradient") if self.centered else ("velocity", *momentum)

    kernel_slots = ("velocity", "average_gradient", "momentum")

    def update_all(self, arrays: ops.UpdateArrays) -> None:
        ops.rmsprop_step(arrays, self.learning_rate, self.rho, self.momentum, self.epsilon)
