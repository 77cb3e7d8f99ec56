"""An activation function as a layer of its own."""

from __future__ import annotations

from typing import Any

from fastconv.activations import ActivationFunction, ActivationLike
from fastconv.layers._arguments import errors_named
from fastconv.layers.activated import ActivatedLayer
from fastconv.layers.layer import Shape
from fastconv.parameter import Array


class Activation(ActivatedLayer):
    """y = φ(x), ``activation`` being a name such as "tanh", or one of ``fastconv.activations``.

    y has the shape of x, but for "glu", which halves its last axis.
    """

    _may_change_shape = True

    def __init__(self, activation: ActivationLike, **options: Any) -> None:
        super().__init__(activation, **options)

    @property
    def as_activation(self) -> ActivationFunction | None:
        """For ``Dense(10, activation=LeakyReLU(0.1))``; None for a layer that has a penalty on y as well."""
        return self.activation if self.activity_regularizer is None else None

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        if self.activation.keeps_shape:
            return input_shape
        with errors_named(self):
            batch, *shape = self.activation.output_shape((2, *input_shape))
            if batch != 2:
                raise ValueError("the batch cannot be halved, choose another axis")
        return tuple(shape)

    def call(self, x: Array, training: bool = False) -> Array:
        y = self.activation(x)
        self.remember(x if self.activation.needs_input else y)
        return y

    def backward_from_logits(self, dz: Array, input_gradient: bool = True) -> Array | None:
        return self.with_activity_gradient(dz) if input_gradient else None
