"""Images turned a little."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv.layers._factors import Factor, factor_range
from fastconv.layers.random_affine import RandomAffine


class RandomRotation(RandomAffine):
    """Training: each image is turned about its center by an angle θ of its own. Else y = x.

    With (w, h) counted from the center ((W−1)/2, (H−1)/2), y[h, w] = x[h cos θ + w sin θ, w cos θ − h sin θ]

    Parameters
    ----------
    factor : θ in turns of 360°: uniform in [−f, f] for a number f, in [lower, upper] for a pair. Positive is
        counter-clockwise
    fill_mode, interpolation, fill_value : as in ``RandomAffine``
    """

    def __init__(
        self,
        factor: Factor,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format=data_format, **options)
        self.factor = factor_range(factor, "RandomRotation: factor")

    def maps(self, shape: tuple[int, ...], random: np.random.Generator) -> tuple[Any, ...]:
        N, H, W, _ = shape
        angle = 2 * np.pi * random.uniform(*self.factor, N)
        cos, sin, x, y = np.cos(angle), np.sin(angle), (W - 1) / 2, (H - 1) / 2
        return cos, -sin, x - x * cos + y * sin, sin, cos, y - x * sin - y * cos

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "factor": self.factor}
