"""An activation function as a layer of its own."""

from __future__ import annotations

from typing import Any

from fastconv.activations import ActivationFunction
from fastconv.layers.activated import ActivatedLayer
from fastconv.parameter import Array


class Activation(ActivatedLayer):
    """y = φ(x), ``activation`` being a name such as "tanh"."""

    def __init__(self, activation: str | ActivationFunction, **options: Any) -> None:
        super().__init__(activation, **options)

    def call(self, x: Array, training: bool) -> Array:
        y = self.activation(x)
        self.remember(y)
        return y

    def backward_from_logits(self, dz: Array, input_gradient: bool = True) -> Array | None:
        return self.with_activity_gradient(dz) if input_gradient else None
