"""The leaky rectifier that learns its slopes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastconv import constraints, initializers, ops, regularizers
from fastconv._core.checks import is_whole
from fastconv.constraints import ConstraintLike
from fastconv.initializers import InitializerLike
from fastconv.layers._arguments import whole
from fastconv.layers._input_errors import input_shape_error
from fastconv.layers.layer import Layer, Shape
from fastconv.parameter import Array, Parameter
from fastconv.regularizers import RegularizerLike


class PReLU(Layer):
    """y = x where x ≥ 0, α · x elsewhere, with a learned α for every number of an example.

    Weights: alpha, of the input's shape, with 1 along the ``shared_axes``. Axes are counted with the batch:
    ``shared_axes=[1, 2]`` gives one slope for each channel of images (N, H, W, C).

    He, Zhang, Ren & Sun 2015, *Delving deep into rectifiers*.
    """

    alpha: Parameter

    def __init__(
        self,
        alpha_initializer: InitializerLike = "zeros",
        alpha_regularizer: RegularizerLike | None = None,
        alpha_constraint: ConstraintLike | None = None,
        shared_axes: int | Sequence[int] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.alpha_initializer = initializers.get(alpha_initializer)
        self.alpha_regularizer = regularizers.get(alpha_regularizer)
        self.alpha_constraint = constraints.get(alpha_constraint)
        axes: Any = [shared_axes] if is_whole(shared_axes) else shared_axes
        self.shared_axes = (
            None if axes is None else [whole(axis, "PReLU: each of shared_axes") for axis in axes]
        )

    def check_input(self, shape: Sequence[int | None]) -> None:
        if self.input_shape is not None:
            expected = (1, *self.input_shape)
            along = [i for i in range(1, len(expected)) if i not in (self.shared_axes or ())]
            if len(shape) != len(expected) or any(shape[i] != expected[i] for i in along):
                raise input_shape_error(self, ("N", *self.input_shape), shape)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        beyond = [axis for axis in self.shared_axes or () if axis > len(input_shape)]
        if beyond:
            raise ValueError(
                f"{self}: shared_axes has {beyond[0]}, but its input {(None, *input_shape)} has axes "
                f"1 to {len(input_shape)}, after the batch"
            )
        return input_shape

    def create_weights(self, input_shape: Shape) -> None:
        shared = self.shared_axes or ()
        shape = tuple(1 if axis in shared else size for axis, size in enumerate(input_shape, 1))
        self.alpha = self.add_weight(
            shape,
            self.alpha_initializer,
            name="alpha",
            regularizer=self.alpha_regularizer,
            constraint=self.alpha_constraint,
        )

    def call(self, x: Array, training: bool = False) -> Array:
        self.remember(x)
        return ops.prelu(x, self.alpha.value)

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        (x,) = self.recall()
        dx, dalpha = ops.prelu_backward(dy, x, self.alpha.value)
        if self.parameters:
            self.alpha.grad = dalpha
        return dx if input_gradient else None

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "alpha_initializer": initializers.serialize(self.alpha_initializer),
            "alpha_regularizer": regularizers.serialize(self.alpha_regularizer),
            "alpha_constraint": constraints.serialize(self.alpha_constraint),
            "shared_axes": self.shared_axes,
        }
