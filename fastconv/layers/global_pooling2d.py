"""Global pooling: each channel's whole map becomes one number."""

from __future__ import annotations

from math import prod
from typing import Any

from fastconv import ops
from fastconv._geometry import Window, whole_image
from fastconv.layers._arguments import check_data_format
from fastconv.layers.layer import Layer, Shape
from fastconv.parameter import Array


class GlobalPooling2D(Layer):
    """Base of the two: (N, H, W, C) → (N, C), or (N, 1, 1, C) with ``keepdims``."""

    input_rank = 4

    def __init__(self, data_format: str | None = None, keepdims: bool = False, **options: Any) -> None:
        super().__init__(**options)
        check_data_format(data_format, type(self).__name__)
        self.keepdims = bool(keepdims)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        self.check_input((None, *input_shape))
        channels = input_shape[-1]
        return (1, 1, channels) if self.keepdims else (channels,)

    def windows(self) -> tuple[Window, ...]:
        (height, width, _), _ = self.shapes()
        return (whole_image((height, width)),)

    def count_connections(self) -> int:
        """Each output has the whole of its map."""
        input_shape, _ = self.shapes()
        return prod(input_shape)

    def _shape_output(self, y: Array) -> Array:
        return y[:, None, None, :] if self.keepdims else y

    def _unshape_gradient(self, dy: Array) -> Array:
        return dy[:, 0, 0, :] if self.keepdims else dy

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "keepdims": self.keepdims}


class GlobalAveragePooling2D(GlobalPooling2D):
    """y[n,c] = mean over h, w of x[n,h,w,c]"""

    def call(self, x: Array, training: bool = False) -> Array:
        self.remember(x.shape)
        return self._shape_output(ops.global_avg_pool2d(x))

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        if not input_gradient:
            return None
        (input_shape,) = self.recall()
        return ops.global_avg_pool2d_backward(self._unshape_gradient(dy), input_shape)


class GlobalMaxPooling2D(GlobalPooling2D):
    """y[n,c] = max over h, w of x[n,h,w,c]; the gradient goes to the (first) maximum."""

    def call(self, x: Array, training: bool = False) -> Array:
        y, switches = ops.global_max_pool2d(x)
        self.remember(switches, x.shape)
        return self._shape_output(y)

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        if not input_gradient:
            return None
        switches, input_shape = self.recall()
        return ops.global_max_pool2d_backward(self._unshape_gradient(dy), switches, input_shape)
