"""From pixel values to the range a network likes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastconv.layers.layer import Layer, Shape
from fastconv.parameter import Array


class Rescaling(Layer):
    """y = x · scale + offset; ``Rescaling(1/255)`` takes bytes to [0, 1], ``Rescaling(1/127.5, offset=-1)``
    to [-1, 1].

    ``scale`` and ``offset`` are numbers, or one number per channel.
    """

    def __init__(
        self, scale: float | Sequence[float], offset: float | Sequence[float] = 0.0, **options: Any
    ) -> None:
        super().__init__(**options)
        self.scale, self.offset = scale, offset

    @property
    def takes_bytes(self) -> bool:
        """Whether it makes small numbers of 0 to 255, as ``Rescaling(1/255)`` does and a mere shift of
        numbers in [0, 1] does not.
        """
        return bool(np.max(np.abs(self.scale)) < 0.1)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def call(self, x: Array, training: bool = False) -> Array:
        scale, offset = np.asarray(self.scale, x.dtype), np.asarray(self.offset, x.dtype)
        self.remember(scale)
        return x * scale + offset

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        (scale,) = self.recall()
        return dy * scale if input_gradient else None

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "scale": np.asarray(self.scale).tolist(),
            "offset": np.asarray(self.offset).tolist(),
        }
