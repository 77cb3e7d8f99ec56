"""The middle of the image."""

from __future__ import annotations

from typing import Any

from fastconv._core.geometry import Window
from fastconv.layers._arguments import check_data_format, errors_named, whole
from fastconv.layers._boxes import central_box, cut, cut_backward, cut_windows
from fastconv.layers.layer import Layer, Shape
from fastconv.parameter import Array


class CenterCrop(Layer):
    """(N, H, W, C) → (N, height, width, C): the box in the middle, while training and while not.

    Of images smaller than the box, the largest part in the middle that has the box's shape is resized.
    """

    input_rank = 4

    def __init__(self, height: int, width: int, data_format: str | None = None, **options: Any) -> None:
        super().__init__(**options)
        check_data_format(data_format, "CenterCrop")
        self.height, self.width = whole(height, "CenterCrop: height"), whole(width, "CenterCrop: width")

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        self.check_input((None, *input_shape))
        return self.height, self.width, input_shape[-1]

    def windows(self) -> tuple[Window, ...]:
        (H, W, _), _ = self.shapes()
        with errors_named(self):
            return cut_windows(
                (H, W), central_box((H, W), (self.height, self.width)), (self.height, self.width)
            )

    def call(self, x: Array, training: bool = False) -> Array:
        size = self.height, self.width
        box = central_box((x.shape[1], x.shape[2]), size)
        self.remember(x.shape, box)
        return cut(x, box, size)

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        input_shape, box = self.recall()
        return cut_backward(dy, box, input_shape) if input_gradient else None

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "height": self.height, "width": self.width}
