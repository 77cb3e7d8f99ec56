"""Layers whose every unit sees the whole input: weighted sums, and distances from prototypes."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

from fastconv import initializers, ops
from fastconv._core.geometry import Window
from fastconv.activations import ActivationLike
from fastconv.constraints import ConstraintLike
from fastconv.initializers import InitializerLike
from fastconv.layers._arguments import whole
from fastconv.layers._input_errors import input_shape_error
from fastconv.layers.layer import Layer, Shape
from fastconv.layers.weighted import WeightedLayer
from fastconv.parameter import Array
from fastconv.regularizers import RegularizerLike

if TYPE_CHECKING:
    from fastconv.engine.lower import Builder, Tensor


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
            activation, use_bias, kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer,
            activity_regularizer, kernel_constraint, bias_constraint, **options,
        )  # fmt: skip
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

    def lower(self, builder: Builder, x: Tensor) -> Tensor:
        return builder.activate(builder.dense(x, self.kernel, self.bias, self.units), self.activation)

    def windows(self) -> tuple[Window, ...]:
        if len(self.shapes()[0]) == 2:
            raise ValueError(f"{self} mixes the pixels of a row: give the images a channel axis, (H, W, 1)")
        return super().windows()


class RBF(Layer):
    """y[n,i] = Σj (x[n,j] − prototypes[i,j])²: (N, features) → (N, units), Euclidean radial basis functions.

    Row i of the weight ``prototypes`` (units, features) is the input that unit i is waiting for. Of these
    outputs the smallest is the answer: the loss that suits them is ``losses.MaximumAPosteriori``, and
    ``metrics=["accuracy"]`` looks for the smallest behind this layer.

    Parameters
    ----------
    units : number of classes
    prototypes : an array (units, features), such as pictures of the classes in −1 and 1, or an initializer;
        "random_signs" draws codes
    train_prototypes : whether they learn. As in the paper they do not: prototypes that learn with a loss that
        only asks for small distances all end up in one place

    LeCun et al. 1998, *Gradient-based learning applied to document recognition*, section II-B, equation (7).
    """

    input_rank = 2
    suitable_loss = "maximum_a_posteriori"

    def __init__(
        self,
        units: int,
        prototypes: InitializerLike = "random_signs",
        train_prototypes: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.units = whole(units, "RBF: units")
        self.prototypes_initializer = initializers.get(prototypes)
        self.train_prototypes = bool(train_prototypes)

    def check_input(self, shape: Any) -> None:
        features = self.input_shape[-1] if self.input_shape else "features"
        if len(shape) != 2 or (self.input_shape and shape[-1] != features):
            raise input_shape_error(self, ("N", features), shape)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        self.check_input((None, *input_shape))
        return (self.units,)

    def create_weights(self, input_shape: Shape) -> None:
        shape = (self.units, input_shape[-1])
        try:
            self.prototypes = self.add_weight(
                shape, self.prototypes_initializer, name="prototypes", trainable=self.train_prototypes
            )
        except ValueError as error:
            raise ValueError(f"{self}: prototypes are (units, features) = {shape}: {error}") from error

    def call(self, x: Array, training: bool = False) -> Array:
        self.remember(x)
        return ops.rbf(x, self.prototypes.value)

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        (x,) = self.recall()
        if self.parameters:
            ops.rbf_backward_kernel(dy, x, self.prototypes.value, out=self.prototypes.grad)
        return ops.rbf_backward_data(dy, x, self.prototypes.value) if input_gradient else None

    def count_multiply_adds(self) -> int:
        """A square for each number of each prototype."""
        return prod(self._prototypes_shape())

    def count_connections(self) -> int:
        """Each unit has all inputs; there is no bias."""
        return prod(self._prototypes_shape())

    def _prototypes_shape(self) -> Shape:
        (features,), _ = self.shapes()
        return self.units, features

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "units": self.units,
            "prototypes": initializers.serialize(self.prototypes_initializer),
            "train_prototypes": self.train_prototypes,
        }
