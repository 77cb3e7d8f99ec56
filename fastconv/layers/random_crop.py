"""A part of the image, each time another one."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv._core.geometry import Window
from fastconv.layers._arguments import errors_named, whole
from fastconv.layers._boxes import Box, central_box, cut, cut_backward, cut_windows
from fastconv.layers.augmentation import Augmentation
from fastconv.layers.layer import Shape
from fastconv.parameter import Array


class RandomCrop(Augmentation):
    """(N, H, W, C) → (N, height, width, C): a box at a random place, the same for all images of a batch.

    While not training it is the box in the middle. Of images smaller than the box, always the largest part in
    the middle that has the box's shape is resized.
    """

    def __init__(
        self,
        height: int,
        width: int,
        seed: int | None = None,
        data_format: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(seed, data_format, **options)
        self.height, self.width = whole(height, "RandomCrop: height"), whole(width, "RandomCrop: width")

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        self.check_input((None, *input_shape))
        return self.height, self.width, input_shape[-1]

    def windows(self) -> tuple[Window, ...]:
        (H, W, _), _ = self.shapes()
        with errors_named(self):
            return cut_windows(
                (H, W), central_box((H, W), (self.height, self.width)), (self.height, self.width)
            )

    def roll(self, shape: tuple[int, ...], random: np.random.Generator) -> tuple[Any, ...]:
        _, H, W, _ = shape
        if self.height > H or self.width > W:
            return self.at_rest(shape)
        top, left = random.integers((H - self.height + 1, W - self.width + 1)).tolist()
        return (Box(top, left, self.height, self.width),)

    def at_rest(self, shape: tuple[int, ...]) -> tuple[Any, ...]:
        return (central_box((shape[1], shape[2]), (self.height, self.width)),)

    def apply(self, x: Array, box: Box) -> Array:
        return cut(x, box, (self.height, self.width))

    def apply_backward(self, dy: Array, x: Array, box: Box) -> Array:
        return cut_backward(dy, box, x.shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "height": self.height, "width": self.width}
