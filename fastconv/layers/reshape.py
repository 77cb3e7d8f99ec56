"""The same numbers in another shape."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from fastconv._core.checks import is_whole
from fastconv._core.geometry import Window, image_size, whole_image
from fastconv.layers.layer import Layer, Shape
from fastconv.parameter import Array


class Reshape(Layer):
    """(N, ...) → (N, *target_shape), in memory order. One size may be -1: it is whatever is left over."""

    def __init__(self, target_shape: Sequence[int], **options: Any) -> None:
        super().__init__(**options)
        sizes = [] if is_whole(target_shape) else list(target_shape)
        fits = all(is_whole(n) and (n > 0 or n == -1) for n in sizes) and sizes.count(-1) < 2
        if is_whole(target_shape) or not fits:
            raise ValueError(
                f"Reshape: target_shape is sizes of at least 1, one of which may be -1; got {target_shape!r}"
            )
        self.target_shape = tuple(map(int, sizes))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        if None in input_shape:  # what is open decides what is left over
            return tuple(None if n == -1 else n for n in self.target_shape)
        total = math.prod(input_shape)
        known = math.prod(n for n in self.target_shape if n != -1)
        open_sized = -1 in self.target_shape
        if total % known or (total != known and not open_sized):
            raise ValueError(
                f"{self}: the {total} numbers of an example {input_shape} do not fit into {self.target_shape}"
            )
        return tuple(total // known if n == -1 else n for n in self.target_shape)

    def windows(self) -> tuple[Window, ...]:
        """As ``Flatten``, where it makes a vector of a map."""
        before, after = map(image_size, self.shapes())
        if before is not None and after is None:
            return (whole_image(before),)
        return super().windows()

    def call(self, x: Array, training: bool = False) -> Array:
        self.remember(x.shape)
        return x.reshape(len(x), *self.compute_output_shape(x.shape[1:]))

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        if not input_gradient:
            return None
        (input_shape,) = self.recall()
        return dy.reshape(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "target_shape": self.target_shape}
