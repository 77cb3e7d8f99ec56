"""Bases of layers that end in an activation function, and of those with a kernel and a bias."""

from __future__ import annotations

from math import prod
from typing import Any

from fastconv import activations, constraints, initializers, regularizers
from fastconv.activations import ActivationFunction, ActivationLike
from fastconv.constraints import ConstraintLike
from fastconv.initializers import InitializerLike
from fastconv.layers.layer import Layer
from fastconv.ops.activations import activate_result
from fastconv.parameter import Array, Parameter
from fastconv.regularizers import Regularizer, RegularizerLike


class ActivatedLayer(Layer):
    """Base of layers y = φ(z): ``z`` is the layer's own arithmetic, ``φ`` its ``activation``.

    Backward goes in two steps, dz = dy ⊙ φ′(z) and then from dz on. ``backward_from_logits`` starts at the
    second, for losses whose gradient with respect to z is simpler than the one with respect to y (softmax
    with cross-entropy: p − t).

    ``call`` ends in ``return self.activate(z, ...)``. ``backward_from_logits`` must begin with
    ``with_activity_gradient``, for ``activity_regularizer`` penalizes y.
    """

    activity_regularizer: Regularizer | None = None

    _may_change_shape = False  # whether y may have another shape than z

    def __init__(
        self,
        activation: activations.ActivationLike,
        activity_regularizer: RegularizerLike | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.activation = activation
        self.activity_regularizer = regularizers.get(activity_regularizer)

    @property
    def activation(self) -> ActivationFunction:
        """φ. May be assigned at any time, as the argument: a name such as "relu", or None for y = z."""
        return self._activation

    @activation.setter
    def activation(self, activation: activations.ActivationLike) -> None:
        function = activations.get(activation)
        if not (function.keeps_shape or self._may_change_shape):
            raise ValueError(
                f"{type(self).__name__}: the activation {function} changes the shape of its input: "
                f'put Activation("{function.name}") behind it'
            )
        self._activation = function

    @property
    def output_activation(self) -> str | None:
        return self.activation.name

    def activate(self, z: Array, *inputs: Any) -> Array:
        """y = φ(z), of a fresh z that nobody else holds: its memory becomes that of y, unless φ′ is made of
        z.

        Remembers ``inputs``, and last what φ′ is made of.
        """
        function = self.activation
        if function.needs_input or type(function) is not activations.ActivationFunction:
            y = function(z)
            self.remember(*inputs, z if function.needs_input else y)
        else:
            y = activate_result(z, function.name, function.alpha)
            self.remember(*inputs, y)
        return y

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        return self.backward_from_logits(self.to_logits(dy), input_gradient)

    def to_logits(self, dy: Array) -> Array:
        *_, kept = self.recall()
        return self.activation.backward(dy, kept)

    def with_activity_gradient(self, dz: Array) -> Array:
        """dz, and what the penalty on the outputs adds to it."""
        if self.activity_regularizer is None:
            return dz
        *_, kept = self.recall()
        y = self.activation(kept) if self.activation.needs_input else kept
        return dz + self.activation.backward(self.activity_gradient(y), kept)


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
