"""1cycle: up to a high learning rate, down again, and at the very end far down."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike


class OneCycle:
    """The rate η₀ → η₁ → η₀ in two straight lines, then → η₂ by the last step; the momentum the other way.

    Smith 2018, "A disciplined approach to neural network hyper-parameters: part 1", section 4.
    """

    def __init__(
        self,
        max_learning_rate: float,
        total_steps: int,
        initial_learning_rate: float | None = None,
        final_learning_rate: float | None = None,
        final_share: float = 0.1,
        max_momentum: float = 0.95,
        min_momentum: float = 0.85,
    ) -> None:
        low = max_learning_rate / 10 if initial_learning_rate is None else initial_learning_rate
        final = low / 1000 if final_learning_rate is None else final_learning_rate
        last = total_steps - 1
        down = (1 - final_share) * last
        self._corners = [0, down / 2, down, last]
        self._rates = [low, max_learning_rate, low, final]
        self._momenta = [max_momentum, min_momentum, max_momentum, max_momentum]

    def __call__(self, step: ArrayLike) -> Any:
        return np.interp(np.asarray(step, float), self._corners, self._rates)[()]

    def momentum(self, step: ArrayLike) -> Any:
        """The momentum that goes with the rate of this step."""
        return np.interp(np.asarray(step, float), self._corners, self._momenta)[()]
