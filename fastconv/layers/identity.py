"""Layers that pass their input on as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastconv import regularizers
from fastconv.layers.layer import Layer, Shape
from fastconv.parameter import Array

if TYPE_CHECKING:
    from fastconv.engine.lower import Builder, Tensor


class Identity(Layer):
    """y = x: a place in a graph with a name."""

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def call(self, x: Array, training: bool = False) -> Array:
        return x

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        return dy if input_gradient else None

    def lower(self, builder: Builder, x: Tensor) -> Tensor:
        return x

    def windows(self) -> tuple[()]:
        self.shapes()
        return ()


class ActivityRegularization(Layer):
    """y = x; the loss grows by (l1 · Σ|x| + l2 · Σ x²) / N."""

    activity_regularizer: regularizers.Regularizer | None = None

    def __init__(self, l1: float = 0.0, l2: float = 0.0, **options: Any) -> None:
        super().__init__(**options)
        self.activity_regularizer = penalty = regularizers.L1L2(l1, l2)
        self.l1, self.l2 = penalty.l1, penalty.l2

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def call(self, x: Array, training: bool = False) -> Array:
        self.remember(x)
        return x

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        (x,) = self.recall()
        return dy + self.activity_gradient(x) if input_gradient else None
