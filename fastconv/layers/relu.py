"""The rectifier, with Keras' three adjustments."""

from __future__ import annotations

from typing import Any

from fastconv.activations import relu
from fastconv.activations.activation_function import ActivationFunction, ShapedRelu
from fastconv.layers.layer import Layer, Shape
from fastconv.parameter import Array


class ReLU(Layer):
    """y = x for x > ``threshold``, but at most ``max_value``; ``negative_slope`` · (x − threshold) elsewhere.

    With its defaults the plain rectifier max(x, 0).
    """

    def __init__(
        self,
        max_value: float | None = None,
        negative_slope: float = 0.0,
        threshold: float = 0.0,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.max_value, self.negative_slope, self.threshold = max_value, negative_slope, threshold
        if isinstance(function := self.as_activation, ShapedRelu):  # the three are numbers
            self.max_value, self.threshold = function.max_value, function.threshold
        self.negative_slope = float(negative_slope)

    @property
    def as_activation(self) -> ActivationFunction:
        """For ``Dense(10, activation=ReLU(negative_slope=0.1))``."""
        return relu.with_parameters(
            negative_slope=self.negative_slope, max_value=self.max_value, threshold=self.threshold
        )

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def call(self, x: Array, training: bool = False) -> Array:
        function = self.as_activation
        y = function(x)
        self.remember(function, x if function.needs_input else y)
        return y

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        function, kept = self.recall()
        return function.backward(dy, kept) if input_gradient else None

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "max_value": self.max_value,
            "negative_slope": self.negative_slope,
            "threshold": self.threshold,
        }
