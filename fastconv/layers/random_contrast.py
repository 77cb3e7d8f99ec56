"""Images with harder and with softer contrasts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastconv.layers._factors import Factor, factor_range
from fastconv.layers.random_color import RandomColor
from fastconv.parameter import Array


class RandomContrast(RandomColor):
    """Training: y = m + κ (x − m), m the mean of the image's channel, clipped to [low, high]. Else y = x.

    Parameters
    ----------
    factor : κ, drawn for each image, is uniform in [1 − f, 1 + f] for a number f, in [1 − lower, 1 + upper]
        for a pair; all from 0 to 1
    value_range : (low, high): (0, 255) unless said otherwise, (0, 1) behind a ``Rescaling(1/255)``
    """

    def __init__(
        self,
        factor: Factor,
        value_range: Sequence[float] = (0, 255),
        seed: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(value_range, seed, **options)
        lower, upper = factor_range(factor, "RandomContrast: factor", least=0)
        self.factor = abs(lower), upper

    def roll(self, shape: tuple[int, ...], random: np.random.Generator) -> tuple[Any, ...]:
        lower, upper = self.factor
        return (random.uniform(1 - lower, 1 + upper, (shape[0], 1, 1, 1)),)

    def change(self, x: Array, amount: Array) -> Array:
        mean = x.mean(axis=(1, 2), keepdims=True)
        return (x - mean) * amount + mean

    def change_backward(self, dy: Array, amount: Array) -> Array:
        return dy * amount + (1 - amount) * dy.mean(axis=(1, 2), keepdims=True)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "factor": self.factor}
