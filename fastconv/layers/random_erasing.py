"""Rectangles taken out of images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastconv._core.checks import is_real
from fastconv.layers._factors import Factor, factor_range, value_range_of
from fastconv.layers.augmentation import Augmentation
from fastconv.layers.layer import Shape
from fastconv.parameter import Array


class RandomErasing(Augmentation):
    """Training: a rectangle of some of the images is filled with something else. Otherwise y = x.

    For each image of height H and width W

        its sides are √a · H and √b · W, with a and b uniform in ``scale``, and its place is uniform in the
        image it is erased with probability p, uniform in ``factor``

    The gradient of what is erased is 0.

    Parameters
    ----------
    factor : p, uniform in [0, f] for a number f, in [lower, upper] for a pair
    scale : a and b, likewise
    fill_value : a number, or one for each channel; None for noise: normal, with mean 0 and a standard
        deviation of the upper end of ``value_range``. It is clipped to ``value_range``
    value_range : (low, high): (0, 255) unless said otherwise, (0, 1) behind a ``Rescaling(1/255)``

    Raises ValueError for factors and scales outside [0, 1], and for a ``fill_value`` that does not fit.

    Zhong et al. 2020, *Random erasing data augmentation*, section 3.2 and algorithm 1.
    """

    def __init__(
        self,
        factor: Factor = 1.0,
        scale: Factor = (0.02, 0.33),
        fill_value: float | Sequence[float] | None = None,
        value_range: Sequence[float] = (0, 255),
        seed: int | None = None,
        data_format: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(seed, data_format, **options)
        self.factor = _share(factor, "RandomErasing: factor")
        self.scale = _share(scale, "RandomErasing: scale")
        self.value_range = value_range_of(value_range, "RandomErasing: value_range")
        given = fill_value if isinstance(fill_value, (list, tuple)) else [fill_value]
        if fill_value is not None and not (given and all(map(is_real, given))):
            raise ValueError(
                f"RandomErasing: fill_value must be a number, or one for each channel; got {fill_value!r}"
            )
        self.fill_value = fill_value

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        given = self.fill_value
        if isinstance(given, (list, tuple)) and len(given) not in (1, input_shape[-1]):
            raise ValueError(
                f"{self}: fill_value={self.fill_value!r} must be a number, or one for each of the "
                f"{input_shape[-1]} channels"
            )
        return input_shape

    def roll(self, shape: tuple[int, ...], random: np.random.Generator) -> tuple[Any, ...]:
        N, H, W, _ = shape
        sides = np.sqrt(random.uniform(*self.scale, (N, 2))) * (H, W)
        starts = random.uniform(0, 1, (N, 2)) * (np.array([H, W]) - sides)
        rows, columns = (
            (start <= np.arange(size)) & (np.arange(size) < start + side)
            for size, start, side in zip((H, W), starts.T[..., None], sides.T[..., None], strict=True)
        )
        erased = random.uniform(0, 1, N) < random.uniform(*self.factor, N)
        mask = (erased[:, None, None] & rows[:, :, None] & columns[:, None])[..., None]
        fill = self.fill_value
        if fill is None:
            fill = random.standard_normal(shape, dtype=np.float32) * np.float32(self.value_range[1])
        return mask, np.clip(fill, *self.value_range)

    def apply(self, x: Array, mask: Array, fill: Array) -> Array:
        return np.where(mask, fill.astype(x.dtype), x)

    def apply_backward(self, dy: Array, x: Array, mask: Array, fill: Array) -> Array:
        return np.where(mask, dy.dtype.type(0), dy)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "factor": list(self.factor),
            "scale": list(self.scale),
            "fill_value": self.fill_value,
            "value_range": self.value_range,
        }


def _share(given: Factor, name: str) -> tuple[float, float]:
    """(lower, upper): the two numbers given, or 0 and f for a single number f."""
    lower, upper = factor_range(given, name, 0.0)
    return max(lower, 0.0), upper
