"""Stochastic gradient descent, plain, with momentum, and with Nesterov's look ahead."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastconv import ops
from fastconv.optimizers.learning_rate import RateSource
from fastconv.optimizers.optimizer import Optimizer
from fastconv.optimizers.options import share

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from fastconv.optimizers.options import Options


class SGD(Optimizer):
    """Gradient descent. With θ the parameter, g its gradient, η the learning rate and μ the momentum::

        momentum=0       θ ← θ - η g

        momentum=μ       m ← μ m - η g
                         θ ← θ + m

        nesterov=True    m ← μ m - η g
                         θ ← θ + μ m - η g

    Momentum: Polyak 1964; Nesterov's form: Sutskever et al. 2013, "On the importance of initialization and
    momentum in deep learning", section 2.
    """

    def __init__(
        self,
        learning_rate: float | RateSource = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(learning_rate, **options)
        self.momentum = share("momentum", momentum)
        self.nesterov = bool(nesterov)

    @property
    def slots(self) -> tuple[str, ...]:
        return ("momentum",) if self.momentum else ()

    kernel_slots = ("momentum",)

    def update_all(self, arrays: ops.UpdateArrays) -> None:
        ops.sgd_step(arrays, self.learning_rate, self.momentum, self.nesterov)
