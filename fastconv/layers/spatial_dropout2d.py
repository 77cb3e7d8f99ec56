"""Dropout of whole feature maps."""

from __future__ import annotations

from typing import Any

from fastconv.layers._arguments import check_data_format
from fastconv.layers.dropout import Dropout


class SpatialDropout2D(Dropout):
    """``Dropout`` that keeps or drops each map (n, :, :, c) as a whole.

    Neighbouring pixels of a map say nearly the same, so that dropping single ones takes little away.

    Tompson et al. 2015, *Efficient object localization using convolutional networks*.
    """

    input_rank = 4

    def __init__(
        self, rate: float, data_format: str | None = None, seed: int | None = None, **options: Any
    ) -> None:
        check_data_format(data_format, "SpatialDropout2D")
        super().__init__(rate, (None, 1, 1, None), seed, **options)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["noise_shape"]
        return config
