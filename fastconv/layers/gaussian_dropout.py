"""Dropout by multiplication with random numbers around 1."""

from __future__ import annotations

import math
from typing import Any

from fastconv.layers.random_layer import RandomLayer, normal_numbers, share_to_drop
from fastconv.parameter import Array


class GaussianDropout(RandomLayer):
    """Training: y = x · (1 + √(rate / (1 − rate)) · ε), with ε ~ N(0, 1). Else y = x.

    Mean and variance of the factor are those of ``Dropout`` with the same rate.

    Srivastava et al. 2014, *Dropout: a simple way to prevent neural networks from overfitting*, section 10.
    """

    def __init__(self, rate: float, seed: int | None = None, **options: Any) -> None:
        super().__init__(seed, **options)
        self.rate = share_to_drop("GaussianDropout", rate, all_of_it=False)

    def call(self, x: Array, training: bool = False) -> Array:
        if not self.is_random(training) or self.rate == 0:
            self.remember(None)
            return x
        factors = (1 + math.sqrt(self.rate / (1 - self.rate)) * normal_numbers(self.draw(), x.shape)).astype(
            x.dtype
        )
        self.remember(factors)
        return x * factors

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        (factors,) = self.recall()
        if not input_gradient:
            return None
        return dy if factors is None else dy * factors

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rate": self.rate}
