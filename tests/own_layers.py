"""Layers as a user would write them, without a ``lower``."""

from __future__ import annotations

from typing import Any

from fastconv.layers import Layer


class Shifted(Layer):
    """A user's layer that learns."""

    def create_weights(self, input_shape: Any) -> None:
        self.shift = self.add_weight(input_shape[-1:], "ones", name="shift")

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def call(self, x: Any, training: bool = False) -> Any:
        self.remember(x)
        return x * self.shift.value

    def backward(self, dy: Any, input_gradient: bool = True) -> Any:
        (x,) = self.recall()
        self.shift.grad = (dy * x).reshape(-1, x.shape[-1]).sum(0)
        return dy * self.shift.value if input_gradient else None
