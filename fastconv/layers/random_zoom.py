"""Images from a little nearer or further."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv.layers._factors import Factor, as_config, factor_range
from fastconv.layers.random_affine import RandomAffine


class RandomZoom(RandomAffine):
    """Training: each image is zoomed about its center by factors of its own. Else y = x.

    With (w, h) counted from the center ((W−1)/2, (H−1)/2), y[h, w] = x[(1 + v) h, (1 + u) w]

    Parameters
    ----------
    height_factor : v, uniform in [−f, f] for a number f, in [lower, upper] for a pair, all above −1. Positive
        zooms out, negative in
    width_factor : u, likewise; None makes u = v, which keeps the shape of things
    fill_mode, interpolation, fill_value : as in ``RandomAffine``
    """

    def __init__(
        self,
        height_factor: Factor,
        width_factor: Factor | None = None,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format=data_format, **options)
        self.height_factor, self.width_factor = height_factor, width_factor
        self._vertical = factor_range(height_factor, "RandomZoom: height_factor", above=True)
        self._horizontal = None
        if width_factor is not None:
            self._horizontal = factor_range(width_factor, "RandomZoom: width_factor", above=True)

    def maps(self, shape: tuple[int, ...], random: np.random.Generator) -> tuple[Any, ...]:
        N, H, W, _ = shape
        rows = columns = 1 + random.uniform(*self._vertical, N)
        if self._horizontal is not None:
            columns = 1 + random.uniform(*self._horizontal, N)
        return columns, 0, (1 - columns) * (W - 1) / 2, 0, rows, (1 - rows) * (H - 1) / 2

    def get_config(self) -> dict[str, Any]:
        factors = {"height_factor": self.height_factor, "width_factor": self.width_factor}
        return {**super().get_config(), **{name: as_config(factor) for name, factor in factors.items()}}
