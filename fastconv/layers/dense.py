"""The fully connected layer: every output sees every input."""

from __future__ import annotations

from typing import Any

from fastconv import constraints, initializers, ops, regularizers
from fastconv.activations import ActivationLike
from fastconv.constraints import ConstraintLike
from fastconv.initializers import InitializerLike
from fastconv.layers._arguments import whole
from fastconv.layers._input_errors import input_shape_error
from fastconv.layers.activated import ActivatedLayer
from fastconv.layers.layer import Shape
from fastconv.parameter import Array, Parameter
from fastconv.regularizers import RegularizerLike


class Dense(ActivatedLayer):
    """y = φ(x · kernel + bias), along the last axis: (N, ..., in) → (N, ..., units).

    Weights: kernel (in, units), bias (units,). Arguments are as those of ``Conv2D``; constraints have axis 0.
    """

    kernel: Parameter
    bias: Parameter | None

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
        super().__init__(activation, activity_regularizer, **options)
        self.units = whole(units, "Dense: units")
        self.use_bias = bool(use_bias)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)

    def check_input(self, shape: Any) -> None:
        features = self.input_shape[-1] if self.input_shape else "features"
        if len(shape) < 2 or (self.input_shape and shape[-1] != features):
            raise input_shape_error(self, ("N", features), shape)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        self.check_input((None, *input_shape))
        return (*input_shape[:-1], self.units)

    def create_weights(self, input_shape: Shape) -> None:
        self.kernel = self.add_weight(
            (input_shape[-1], self.units),
            self.kernel_initializer,
            name="kernel",
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                (self.units,),
                self.bias_initializer,
                name="bias",
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )

    def call(self, x: Array, training: bool) -> Array:
        z = ops.dense(x, self.kernel.value, None if self.bias is None else self.bias.value)
        return self.activate(z, x)

    def backward_from_logits(self, dz: Array, input_gradient: bool = True) -> Array | None:
        x, _ = self.recall()
        dz = self.with_activity_gradient(dz)
        if self.parameters:
            grads = (self.kernel.grad, None if self.bias is None else self.bias.grad)
            ops.dense_backward_kernel(x, dz, out=grads)
        return ops.dense_backward_data(dz, self.kernel.value) if input_gradient else None

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "units": self.units,
            "use_bias": self.use_bias,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "bias_initializer": initializers.serialize(self.bias_initializer),
            "kernel_regularizer": regularizers.serialize(self.kernel_regularizer),
            "bias_regularizer": regularizers.serialize(self.bias_regularizer),
            "kernel_constraint": constraints.serialize(self.kernel_constraint),
            "bias_constraint": constraints.serialize(self.bias_constraint),
        }
