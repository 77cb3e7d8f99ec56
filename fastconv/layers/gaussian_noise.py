"""Noise, so that a network cannot rely on every digit of its inputs."""

from __future__ import annotations

from typing import Any

from fastconv._core.checks import is_real
from fastconv.layers.random_layer import RandomLayer, normal_numbers
from fastconv.parameter import Array


class GaussianNoise(RandomLayer):
    """Training: y = x + stddev · ε, with ε ~ N(0, 1). Else y = x."""

    def __init__(self, stddev: float, seed: int | None = None, **options: Any) -> None:
        super().__init__(seed, **options)
        if not is_real(stddev) or not 0 <= stddev <= 1:
            raise ValueError(f"GaussianNoise: stddev must be a number between 0 and 1; got {stddev!r}")
        self.stddev = float(stddev)

    def call(self, x: Array, training: bool = False) -> Array:
        self.remember()
        if not self.is_random(training) or self.stddev == 0:
            return x
        return x + x.dtype.type(self.stddev) * normal_numbers(self.draw(), x.shape)

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        self.recall()
        return dy if input_gradient else None

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "stddev": self.stddev}
