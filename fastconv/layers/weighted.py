"""Layers with a kernel and a bias."""

from __future__ import annotations

from math import prod
from typing import Any

from fastconv import constraints, initializers, regularizers
from fastconv.activations import ActivationLike
from fastconv.constraints import ConstraintLike
from fastconv.initializers import InitializerLike
from fastconv.layers.activated import ActivatedLayer
from fastconv.parameter import Array, Parameter
from fastconv.regularizers import RegularizerLike


class WeightedLayer(ActivatedLayer):
    """Base of layers y = φ(x ∗ kernel + bias), whatever ∗ is: how weights begin, are penalized and held.

    ``create_weights`` calls ``add_kernel_and_bias``.
    """

    kernel: Parameter
    bias: Parameter | None

    def __init__(
        self,
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
        self.use_bias = bool(use_bias)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)

    def add_kernel_and_bias(
        self, kernel_shape: tuple[int, ...], units: int | None = None, start: Array | None = None
    ) -> None:
        """Make the kernel, and a bias for each of the units, or None without ``use_bias``.

        There are as many units as the kernel's last axis is long, where ``units`` does not say otherwise, and
        ``start`` is the kernel's where the initializer alone cannot make it.
        """
        self.kernel = self.add_weight(
            kernel_shape,
            self.kernel_initializer if start is None else start,
            name="kernel",
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                kernel_shape[-1:] if units is None else (units,),
                self.bias_initializer,
                name="bias",
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )

    @property
    def bias_value(self) -> Array | None:
        return None if self.bias is None else self.bias.value

    @property
    def gradients(self) -> tuple[Array, Array | None]:
        """The arrays for the gradients of kernel and bias."""
        return self.kernel.grad, None if self.bias is None else self.bias.grad

    def count_multiply_adds(self) -> int:
        """Each number of the kernel once for each place of the output."""
        _, (*places, _) = self.shapes()
        return prod(places) * self.kernel.size

    def count_connections(self) -> int:
        """Each weight, biases among them, once for each place of the output."""
        _, (*places, _) = self.shapes()
        return prod(places) * self.count_params()

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "use_bias": self.use_bias,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "bias_initializer": initializers.serialize(self.bias_initializer),
            "kernel_regularizer": regularizers.serialize(self.kernel_regularizer),
            "bias_regularizer": regularizers.serialize(self.bias_regularizer),
            "kernel_constraint": constraints.serialize(self.kernel_constraint),
            "bias_constraint": constraints.serialize(self.bias_constraint),
        }
