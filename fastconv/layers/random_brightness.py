"""Images in brighter and in dimmer light."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastconv.layers._factors import Factor, factor_range
from fastconv.layers.random_color import RandomColor
from fastconv.parameter import Array


class RandomBrightness(RandomColor):
    """Training: y = x + δ (high − low), δ drawn for each image, clipped to [low, high]. Else y = x.

    Parameters
    ----------
    factor : δ, uniform in [−f, f] for a number f, in [lower, upper] for a pair; −1 is black, 1 is white
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
        self.factor = factor_range(factor, "RandomBrightness: factor")

    def roll(self, shape: tuple[int, ...], random: np.random.Generator) -> tuple[Any, ...]:
        low, high = self.value_range
        return (random.uniform(*self.factor, (shape[0], 1, 1, 1)) * (high - low),)

    def change(self, x: Array, amount: Array) -> Array:
        return x + amount

    def change_backward(self, dy: Array, amount: Array) -> Array:
        return dy

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "factor": self.factor}
