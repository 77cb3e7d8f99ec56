"""Dropout: while training, each number is switched off with some probability."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv._random import generator
from fastconv.layers._arguments import refuse_unless_none
from fastconv.layers.layer import Layer
from fastconv.parameter import Array


class Dropout(Layer):
    """Training: y = x · m / (1 − rate), with m = 0 with probability ``rate`` and 1 otherwise. Else y = x.

    The division (*inverted* dropout) keeps the expected value, E[y] = x, so that nothing changes when dropout
    is off. Masks come from the global generator or, given ``seed``, from one of the layer's own.

    Srivastava et al. 2014, *Dropout: a simple way to prevent neural networks from overfitting*.
    """

    def __init__(
        self, rate: float, noise_shape: None = None, seed: int | None = None, **options: Any
    ) -> None:
        super().__init__(**options)
        if isinstance(rate, bool) or not isinstance(rate, (int, float, np.number)) or not 0 <= rate <= 1:
            raise ValueError(f"Dropout: rate is the share to switch off, between 0 and 1; got {rate!r}")
        refuse_unless_none("Dropout", noise_shape=noise_shape)
        self.rate = float(rate)
        self.seed = seed
        self._own_generator = None if seed is None else np.random.default_rng(seed)

    def call(self, x: Array, training: bool) -> Array:
        if not training or self.rate == 0:
            self.remember(None)
            return x
        random = self._own_generator or generator()
        kept = random.random(x.shape, dtype=np.float32) >= self.rate
        mask = kept * x.dtype.type(1 / (1 - self.rate) if self.rate < 1 else 0)
        self.remember(mask)
        return x * mask

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        (mask,) = self.recall()
        if not input_gradient:
            return None
        return dy if mask is None else dy * mask

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}
