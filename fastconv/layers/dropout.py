"""Dropout: while training, each number is switched off with some probability."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastconv import ops
from fastconv.layers._noise_shape import concrete_shape, noise_shape_argument
from fastconv.layers.random_layer import RandomLayer, kept, share_to_drop
from fastconv.parameter import Array


class Dropout(RandomLayer):
    """Training: y = x · m / (1 − rate), with m = 0 with probability ``rate`` and 1 otherwise. Else y = x.

    The division (*inverted* dropout) keeps the expected value, E[y] = x, so that nothing changes when dropout
    is off. Numbers that share an axis where ``noise_shape`` is 1 are kept or dropped together; None in it
    stands for the input's size, as in ``noise_shape=(None, 1, 1, None)``.

    Srivastava et al. 2014, *Dropout: a simple way to prevent neural networks from overfitting*.
    """

    def __init__(
        self,
        rate: float,
        noise_shape: Sequence[int | None] | None = None,
        seed: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(seed, **options)
        self.rate = share_to_drop(type(self).__name__, rate)
        self.noise_shape = noise_shape_argument(type(self).__name__, noise_shape)

    def call(self, x: Array, training: bool = False) -> Array:
        if not self.is_random(training) or self.rate == 0:
            self.remember(None)
            return x
        draw = self.draw()
        self.remember(draw)
        return self._drop(x, draw)

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        (draw,) = self.recall()
        if not input_gradient:
            return None
        return dy if draw is None else self._drop(dy, draw)

    def _drop(self, x: Array, draw: tuple[int, int]) -> Array:
        """The same numbers each time for the same ``draw``: there is no mask to be kept for ``backward``."""
        if self.noise_shape is None:
            return ops.dropout(x, self.rate, *draw)
        return x * kept(draw, concrete_shape(self, self.noise_shape, x.shape), self.rate)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rate": self.rate, "noise_shape": self.noise_shape}
