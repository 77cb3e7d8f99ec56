"""The fully connected layer: every output sees every input."""

from __future__ import annotations

from typing import Any

from fastconv import ops
from fastconv._core.geometry import Window
from fastconv.activations import ActivationLike
from fastconv.constraints import ConstraintLike
from fastconv.initializers import InitializerLike
from fastconv.layers._arguments import whole
from fastconv.layers._input_errors import input_shape_error
from fastconv.layers.layer import Shape
from fastconv.layers.weighted import WeightedLayer
from fastconv.parameter import Array
from fastconv.regularizers import RegularizerLike


class Dense(WeightedLayer):
    """y = φ(x · kernel + bias), along the last axis: (N, ..., in) → (N, ..., units).

    Weights: kernel (in, units), bias (units,). Arguments are as those of ``Conv2D``; constraints have axis 0.
    """

    def __init__(
        self,
        units: int,
        activation: ActivationLike = None,
        use_bias: bool = True,
        kernel_initializer: InitializerLike = "glorot_uniform",
        bias_initializer: InitializerLike = "zeros",
        kernel_regularizer: RegularizerLike | None = None,
        bias_regularizer: RegularizerLike | None = None,
        activity_regularizer: RegularizerLike | None = None,
        kernel_constraint: ConstraintLike | None = None,
        bias_constraint: ConstraintLike | None = None,
        **options: Any,
    ) -> None:
        super().__init__(
            activation,
            use_bias,
            kernel_initializer,
            bias_initializer,
            kernel_regularizer,
            bias_regularizer,
            activity_regularizer,
            kernel_constraint,
            bias_constraint,
            **options,
        )
        self.units = whole(units, "Dense: units")

    def check_input(self, shape: Any) -> None:
        features = self.input_shape[-1] if self.input_shape else "features"
        if len(shape) < 2 or (self.input_shape and shape[-1] != features):
            raise input_shape_error(self, ("N", features), shape)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        self.check_input((None, *input_shape))
        return (*input_shape[:-1], self.units)

    def create_weights(self, input_shape: Shape) -> None:
        self.add_kernel_and_bias((input_shape[-1], self.units))

    def call(self, x: Array, training: bool = False) -> Array:
        z = ops.dense(x, self.kernel.value, self.bias_value)
        return self.activate(z, x)

    def backward_from_logits(self, dz: Array, input_gradient: bool = True) -> Array | None:
        x, _ = self.recall()
        dz = self.with_activity_gradient(dz)
        if self.parameters:
            ops.dense_backward_kernel(x, dz, out=self.gradients)
        return ops.dense_backward_data(dz, self.kernel.value) if input_gradient else None

    def windows(self) -> tuple[Window, ...]:
        if len(self.shapes()[0]) == 2:
            raise ValueError(f"{self} mixes the pixels of a row: give the images a channel axis, (H, W, 1)")
        return super().windows()

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "units": self.units,
        }
