"""A frame of zeros around each image."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv._geometry import Pair, Window, explicit_padding, frame
from fastconv.layers._arguments import check_data_format, errors_named
from fastconv.layers.layer import Layer, Shape
from fastconv.parameter import Array


class ZeroPadding2D(Layer):
    """(N, H, W, C) → (N, top + H + bottom, left + W + right, C)

    ``padding``: one number, (vertical, horizontal), or ((top, bottom), (left, right)).
    """

    input_rank = 4

    def __init__(
        self,
        padding: int | Pair | tuple[Pair, Pair] = (1, 1),
        data_format: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        check_data_format(data_format, "ZeroPadding2D")
        with errors_named("ZeroPadding2D"):
            amounts = None if isinstance(padding, str) else explicit_padding(padding)
        if amounts is None:
            raise ValueError(f"ZeroPadding2D: padding must be numbers, got {padding!r}")
        self.padding = amounts

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        self.check_input((None, *input_shape))
        height, width, channels = input_shape
        sizes = zip((height, width), self.padding, strict=True)
        return (*(None if n is None else n + sum(around) for n, around in sizes), channels)

    def windows(self) -> tuple[Window, ...]:
        (height, width, _), _ = self.shapes()
        return (frame((height, width), self.padding),)

    def call(self, x: Array, training: bool = False) -> Array:
        self.remember(x.shape)
        return np.pad(x, ((0, 0), *self.padding, (0, 0)))

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        if not input_gradient:
            return None
        ((_, height, width, _),) = self.recall()
        (top, _), (left, _) = self.padding
        return dy[:, top : top + height, left : left + width]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "padding": self.padding}
