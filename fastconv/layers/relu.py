"""The rectifier, with Keras' three adjustments."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import ops
from fastconv.activations import ActivationFunction, leaky_relu
from fastconv.layers.layer import Layer
from fastconv.parameter import Array


class ReLU(Layer):
    """y = x above ``threshold``, ``negative_slope`` · (x − threshold) below, and never more than
    ``max_value``.

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
        for name, value in (
            ("max_value", max_value),
            ("negative_slope", negative_slope),
            ("threshold", threshold),
        ):
            if (value is not None and value < 0) or (value is None and name != "max_value"):
                raise ValueError(f"ReLU: {name} must not be negative, got {value!r}")
        self.max_value, self.negative_slope, self.threshold = max_value, negative_slope, threshold

    @property
    def _plain(self) -> bool:
        """A rectifier with a kink at 0 and no ceiling, whose derivative its output tells."""
        return self.max_value is None and self.threshold == 0

    @property
    def as_activation(self) -> ActivationFunction | None:
        """For ``Dense(10, activation=ReLU(negative_slope=0.1))``; None with a ceiling or a threshold."""
        return leaky_relu.with_parameters(negative_slope=self.negative_slope) if self._plain else None

    def call(self, x: Array, training: bool) -> Array:
        if self._plain:
            y = ops.activation(x, "leaky_relu", self.negative_slope)
            self.remember(y)
            return y
        self.remember(x)
        y = np.where(x >= self.threshold, x, self.negative_slope * (x - self.threshold))
        return y if self.max_value is None else np.minimum(y, self.max_value)

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        if not input_gradient:
            return None
        if self._plain:
            (y,) = self.recall()
            return ops.activation_backward(dy, y, "leaky_relu", self.negative_slope)
        (x,) = self.recall()
        dx = np.where(x >= self.threshold, dy, self.negative_slope * dy)
        return dx if self.max_value is None else np.where(x < self.max_value, dx, 0 * dy)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "max_value": self.max_value,
            "negative_slope": self.negative_slope,
            "threshold": self.threshold,
        }
