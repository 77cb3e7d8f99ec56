"""Dropout for networks of SELU units."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastconv import ops
from fastconv.layers._noise_shape import concrete_shape, noise_shape_argument
from fastconv.layers.random_layer import RandomLayer, kept, share_to_drop
from fastconv.parameter import Array

# What SELU tends to for x → −∞: −λ·α of Klambauer et al. 2017.
_SELU_MINIMUM = -1.0507009873554805 * 1.6732632423543772


class AlphaDropout(RandomLayer):
    """Training: y = a · (x · m + α′ · (1 − m)) + b, with m = 0 with probability ``rate``. Else y = x.

    Dropped numbers become α′ ≈ −1.758, the lowest output of SELU, and a = ((1 − p) · (1 + p·α′²))^−½,
    b = −a·p·α′ (p the rate) restore mean 0 and variance 1, which SELU networks live on.

    Klambauer, Unterthiner, Mayr & Hochreiter 2017, *Self-normalizing neural networks*.
    """

    def __init__(
        self,
        rate: float,
        noise_shape: Sequence[int | None] | None = None,
        seed: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(seed, **options)
        self.rate = share_to_drop("AlphaDropout", rate, all_of_it=False)
        self.noise_shape = noise_shape_argument("AlphaDropout", noise_shape)

    @property
    def affine(self) -> tuple[float, float]:
        """(a, b)"""
        a = ((1 - self.rate) * (1 + self.rate * _SELU_MINIMUM**2)) ** -0.5
        return a, -a * self.rate * _SELU_MINIMUM

    def call(self, x: Array, training: bool = False) -> Array:
        if not self.is_random(training) or self.rate == 0:
            self.remember(None)
            return x
        draw = self.draw()
        self.remember(draw)
        a, b = self.affine
        if self.noise_shape is None:
            return ops.dropout(x, self.rate, *draw, scale=a, shift=b, fill=a * _SELU_MINIMUM + b)
        mask = self._mask(draw, x.shape)
        return np.where(mask, a * x + b, x.dtype.type(a * _SELU_MINIMUM + b))

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        (draw,) = self.recall()
        if not input_gradient:
            return None
        if draw is None:
            return dy
        a, _ = self.affine
        if self.noise_shape is None:
            return ops.dropout(dy, self.rate, *draw, scale=a)
        return dy.dtype.type(a) * dy * self._mask(draw, dy.shape)

    def _mask(self, draw: tuple[int, int], shape: tuple[int, ...]) -> Array:
        assert self.noise_shape is not None
        return kept(draw, concrete_shape(self, self.noise_shape, shape), self.rate, scale=1.0) != 0

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rate": self.rate, "noise_shape": self.noise_shape}
