"""Images shifted a little."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv.layers._factors import Factor, as_config, factor_range
from fastconv.layers.random_affine import RandomAffine


class RandomTranslation(RandomAffine):
    """Training: y[h, w] = x[h − v·H, w − u·W], v and u drawn for each image. Else y = x.

    Parameters
    ----------
    height_factor, width_factor : v and u, shares of the image's size: uniform in [−f, f] for a number f, in
        [lower, upper] for a pair. Positive is down, and to the right
    fill_mode, interpolation, fill_value : as in ``RandomAffine``
    """

    def __init__(
        self,
        height_factor: Factor,
        width_factor: Factor,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format=data_format, **options)
        self.height_factor, self.width_factor = height_factor, width_factor
        self._vertical = factor_range(height_factor, "RandomTranslation: height_factor")
        self._horizontal = factor_range(width_factor, "RandomTranslation: width_factor")

    def maps(self, shape: tuple[int, ...], random: np.random.Generator) -> tuple[Any, ...]:
        N, H, W, _ = shape
        down, right = H * random.uniform(*self._vertical, N), W * random.uniform(*self._horizontal, N)
        return 1, 0, -right, 0, 1, -down

    def get_config(self) -> dict[str, Any]:
        factors = {"height_factor": self.height_factor, "width_factor": self.width_factor}
        return {**super().get_config(), **{name: as_config(factor) for name, factor in factors.items()}}
