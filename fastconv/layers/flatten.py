"""From feature maps to one vector per example."""

from __future__ import annotations

import math
from typing import Any

from fastconv._core.geometry import Window, image_size, whole_image
from fastconv.layers._arguments import check_data_format
from fastconv.layers.layer import Layer, Shape
from fastconv.parameter import Array


class Flatten(Layer):
    """(N, H, W, C) → (N, H·W·C), in memory order: the channel runs fastest."""

    def __init__(self, data_format: str | None = None, **options: Any) -> None:
        super().__init__(**options)
        check_data_format(data_format, "Flatten")

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (None if None in input_shape else math.prod(input_shape),)

    def windows(self) -> tuple[Window, ...]:
        """Together the outputs see the whole map."""
        image = image_size(self.shapes()[0])
        return () if image is None else (whole_image(image),)

    def call(self, x: Array, training: bool = False) -> Array:
        self.remember(x.shape)
        return x.reshape(len(x), math.prod(x.shape[1:]))

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        if not input_gradient:
            return None
        (input_shape,) = self.recall()
        return dy.reshape(input_shape)
