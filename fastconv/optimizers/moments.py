"""What Adam and its relatives share: running means of the gradient and of its square."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastconv.optimizers.learning_rate import RateSource
from fastconv.optimizers.optimizer import Optimizer
from fastconv.optimizers.options import not_negative, share

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from fastconv.optimizers.options import Options


class MomentsOptimizer(Optimizer):
    """Base of the optimizers that keep m ("momentum") and v ("velocity") for each parameter.

    beta_1, beta_2   how much of m and of v stays at each step
    epsilon          keeps the division by √v finite
    """

    def __init__(
        self,
        learning_rate: float | RateSource = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(learning_rate, **options)
        self.beta_1 = share("beta_1", beta_1, below_one=True)
        self.beta_2 = share("beta_2", beta_2, below_one=True)
        self.epsilon = not_negative("epsilon", epsilon)

    @property
    def slots(self) -> tuple[str, ...]:
        return ("momentum", "velocity")
