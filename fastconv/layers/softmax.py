"""Scores to probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv._geometry import Window
from fastconv.activations import ActivationFunction, softmax
from fastconv.layers.layer import Layer
from fastconv.parameter import Array


class Softmax(Layer):
    """y_i = exp(x_i) / Σj exp(x_j), the sum running along ``axis``."""

    def __init__(self, axis: int = -1, **options: Any) -> None:
        super().__init__(**options)
        if not hasattr(axis, "__index__") or axis == 0:
            raise ValueError(f"Softmax: axis must be one whole number and not the batch axis 0, got {axis!r}")
        self.axis = int(axis)

    @property
    def output_activation(self) -> str | None:  # type: ignore[override]
        return "softmax" if self.axis == -1 else None

    @property
    def as_activation(self) -> ActivationFunction | None:
        """For ``Dense(10, activation=Softmax())``; None along another axis than the last."""
        return softmax if self.axis == -1 else None

    def call(self, x: Array, training: bool) -> Array:
        y = softmax(np.moveaxis(x, self.axis, -1))
        self.remember(y)
        return np.moveaxis(y, -1, self.axis)

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        (y,) = self.recall()
        dx = softmax.backward(np.moveaxis(dy, self.axis, -1), y)
        return np.moveaxis(dx, -1, self.axis) if input_gradient else None

    def backward_from_logits(self, dz: Array, input_gradient: bool = True) -> Array | None:
        return dz if input_gradient else None

    def windows(self) -> tuple[Window, ...]:
        rank = len(self.shapes()[0])
        if rank > 1 and (rank == 2 or self.axis not in (-1, rank)):
            raise ValueError(f"{self}: along axis {self.axis} its sum mixes pixels of the image")
        return super().windows()

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}
