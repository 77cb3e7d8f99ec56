"""What the two pooling layers share: a window that slides over each channel by itself."""

from __future__ import annotations

from math import prod
from typing import Any

from fastconv._geometry import Padding, Pair, Window, closed, explicit_padding, opened, pair, window
from fastconv._repr import call_of
from fastconv.layers._arguments import check_data_format, errors_named
from fastconv.layers.layer import Layer, Shape


class Pooling2D(Layer):
    """Base of MaxPooling2D and AveragePooling2D: (N, H, W, C) → (N, H', W', C)."""

    input_rank = 4

    def __init__(
        self,
        pool_size: int | Pair = (2, 2),
        strides: int | Pair | None = None,
        padding: Padding = "valid",
        data_format: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        check_data_format(data_format, type(self).__name__)
        with errors_named(type(self).__name__):
            self.pool_size = pair(pool_size, "pool_size")
            self.strides = self.pool_size if strides is None else pair(strides, "strides")
            self.padding = explicit_padding(padding) or str(padding).lower()

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        self.check_input((None, *input_shape))
        height, width, channels = input_shape
        image = (height, width)
        return (*opened(self._window(closed(image)).output_size, image), channels)

    def _window(self, image: Pair) -> Window:
        with errors_named(self):
            return window(image, self.pool_size, self.strides, self.padding, size_name="pool_size")

    def windows(self) -> tuple[Window, ...]:
        (height, width, _), _ = self.shapes()
        return (self._window((height, width)),)

    def count_connections(self) -> int:
        """Each output has its window."""
        _, output_shape = self.shapes()
        return prod(output_shape) * prod(self.pool_size)

    def __repr__(self) -> str:
        always = {"name": self.name, "pool_size": self.pool_size}
        return call_of(self, always, usual={"strides": self.pool_size})

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "pool_size": self.pool_size,
            "strides": self.strides,
            "padding": self.padding,
        }
