"""The layer that does nothing."""

from __future__ import annotations

from typing import Any

from fastconv.layers.layer import Layer
from fastconv.parameter import Array


class Identity(Layer):
    """y = x: a place in a graph with a name."""

    def call(self, x: Array, training: bool = False) -> Array:
        return x

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        return dy if input_gradient else None

    def windows(self) -> tuple[()]:
        self.shapes()
        return ()

    def get_config(self) -> dict[str, Any]:
        return super().get_config()
