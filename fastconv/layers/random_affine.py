"""What random shifts, turns and zooms share: an affine map for each image."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import ops
from fastconv._core.checks import unknown_name
from fastconv.layers.augmentation import Augmentation
from fastconv.ops.images import FILL_MODES, INTERPOLATIONS
from fastconv.parameter import Array


class RandomAffine(Augmentation):
    """Base of RandomTranslation, RandomRotation and RandomZoom. A subclass overrides ``maps``.

    Parameters
    ----------
    fill_mode : what stands for pixels from outside (a b c d being a row of the image): "reflect" c b a|a b c
        d|d c b, "nearest" a a|a b c d|d d, "wrap" c d|a b c d|a b, "constant" ``fill_value``
    interpolation : "bilinear" blends four pixels, "nearest" takes one
    """

    def __init__(
        self, fill_mode: str, interpolation: str, seed: int | None, fill_value: float, **options: Any
    ) -> None:
        super().__init__(seed, **options)
        if fill_mode not in FILL_MODES:
            raise unknown_name(f"{type(self).__name__} fill_mode", fill_mode, FILL_MODES)
        if interpolation not in INTERPOLATIONS:
            raise unknown_name(f"{type(self).__name__} interpolation", interpolation, INTERPOLATIONS)
        self.fill_mode = fill_mode
        self.interpolation = interpolation
        self.fill_value = float(fill_value)

    def maps(self, shape: tuple[int, ...], random: np.random.Generator) -> tuple[Any, ...]:
        """(a0, a1, a2, b0, b1, b2), numbers or (N,): where the output pixel (w, h) comes from, as
        (a0·w + a1·h + a2, b0·w + b1·h + b2).
        """
        raise NotImplementedError(f"{type(self).__name__} has no maps(shape, random)")

    def roll(self, shape: tuple[int, ...], random: np.random.Generator) -> tuple[Any, ...]:
        transform = np.zeros((shape[0], 8))
        for column, numbers in enumerate(self.maps(shape, random)):
            transform[:, column] = numbers
        return (transform,)

    def apply(self, x: Array, transform: Array) -> Array:
        return ops.affine_transform(x, transform, self.interpolation, self.fill_mode, self.fill_value)

    def apply_backward(self, dy: Array, x: Array, transform: Array) -> Array:
        return ops.affine_transform_backward(dy, transform, x.shape, self.interpolation, self.fill_mode)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "fill_mode": self.fill_mode,
            "interpolation": self.interpolation,
            "fill_value": self.fill_value,
        }
