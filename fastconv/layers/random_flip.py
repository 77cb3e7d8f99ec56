"""Mirror images."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv._core.checks import unknown_name
from fastconv.layers.augmentation import Augmentation
from fastconv.parameter import Array

_AXES = {"horizontal": (2,), "vertical": (1,), "horizontal_and_vertical": (1, 2)}


class RandomFlip(Augmentation):
    """Training: each image is mirrored with probability ½. Else y = x.

    Parameters
    ----------
    mode : "horizontal" (left and right change places), "vertical" (top and bottom), or
        "horizontal_and_vertical" (both at once, as in Keras 3: half of the images stand on their heads)
    """

    def __init__(
        self,
        mode: str = "horizontal_and_vertical",
        seed: int | None = None,
        data_format: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(seed, data_format, **options)
        if mode not in _AXES:
            raise unknown_name("RandomFlip mode", mode, _AXES)
        self.mode = mode

    def roll(self, shape: tuple[int, ...], random: np.random.Generator) -> tuple[Any, ...]:
        return (random.random(shape[0]) < 0.5,)

    def apply(self, x: Array, flipped: Array) -> Array:
        y = x.copy()
        y[flipped] = np.flip(x[flipped], _AXES[self.mode])
        return y

    def apply_backward(self, dy: Array, x: Array, flipped: Array) -> Array:
        return self.apply(dy, flipped)  # a mirror image of a mirror image is the image

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "mode": self.mode}
