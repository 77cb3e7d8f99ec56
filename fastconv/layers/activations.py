"""Activation functions as layers of their own."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastconv import constraints, initializers, ops, regularizers
from fastconv._core.checks import is_whole
from fastconv._core.geometry import Window
from fastconv.activations import ActivationFunction, ActivationLike, elu, leaky_relu, relu, softmax
from fastconv.activations.activation_function import ShapedRelu
from fastconv.constraints import ConstraintLike
from fastconv.initializers import InitializerLike
from fastconv.layers._arguments import errors_named, not_negative, whole
from fastconv.layers._axes import axes_within
from fastconv.layers._input_errors import input_shape_error
from fastconv.layers.layer import Layer, Shape
from fastconv.layers.weighted import ActivatedLayer
from fastconv.parameter import Array, Parameter
from fastconv.regularizers import RegularizerLike

if TYPE_CHECKING:
    from fastconv.engine.lower import Builder, Tensor


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

    def lower(self, builder: Builder, x: Tensor) -> Tensor:
        return builder.activate(x, self.activation)


class ELU(Activation):
    """y = x where x ≥ 0, ``alpha`` · (e^x − 1) elsewhere.

    Clevert, Unterthiner & Hochreiter 2016, *Fast and accurate deep network learning by exponential linear
    units*.
    """

    def __init__(self, alpha: float = 1.0, **options: Any) -> None:
        super().__init__(self._function(alpha), **options)

    @staticmethod
    def _function(alpha: float) -> ActivationFunction:
        return elu.with_parameters(alpha=not_negative(alpha, "ELU: alpha"))

    @property
    def alpha(self) -> float:
        """May be assigned at any time."""
        return float(self.activation.alpha)  # type: ignore[arg-type]

    @alpha.setter
    def alpha(self, alpha: float) -> None:
        self.activation = self._function(alpha)


class LeakyReLU(Activation):
    """y = x where x ≥ 0, ``negative_slope`` · x elsewhere.

    As a layer its slope is 0.3, as a function, ``activation="leaky_relu"``, 0.2 (Keras); ``alpha=`` is its
    old name. Maas et al. 2013, *Rectifier nonlinearities improve neural network acoustic models*.
    """

    def __init__(self, negative_slope: float = 0.3, **options: Any) -> None:
        if "alpha" in options:
            warnings.warn("LeakyReLU: alpha is called negative_slope now", stacklevel=2)
            negative_slope = options.pop("alpha")
        super().__init__(self._function(negative_slope), **options)

    @staticmethod
    def _function(negative_slope: float) -> ActivationFunction:
        return leaky_relu.with_parameters(
            negative_slope=not_negative(negative_slope, "LeakyReLU: negative_slope")
        )

    @property
    def negative_slope(self) -> float:
        """May be assigned at any time."""
        return float(self.activation.alpha)  # type: ignore[arg-type]

    @negative_slope.setter
    def negative_slope(self, negative_slope: float) -> None:
        self.activation = self._function(negative_slope)


class ReLU(Layer):
    """y = x for x > ``threshold``, but at most ``max_value``; ``negative_slope`` · (x − threshold) elsewhere.

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
        self.max_value, self.negative_slope, self.threshold = max_value, negative_slope, threshold
        if isinstance(function := self.as_activation, ShapedRelu):  # the three are numbers
            self.max_value, self.threshold = function.max_value, function.threshold
        self.negative_slope = float(negative_slope)

    @property
    def as_activation(self) -> ActivationFunction:
        """For ``Dense(10, activation=ReLU(negative_slope=0.1))``."""
        return relu.with_parameters(
            negative_slope=self.negative_slope, max_value=self.max_value, threshold=self.threshold
        )

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def call(self, x: Array, training: bool = False) -> Array:
        function = self.as_activation
        y = function(x)
        self.remember(function, x if function.needs_input else y)
        return y

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        function, kept = self.recall()
        return function.backward(dy, kept) if input_gradient else None

    def lower(self, builder: Builder, x: Tensor) -> Tensor:
        return builder.activate(x, self.as_activation)


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

    def lower(self, builder: Builder, x: Tensor) -> Tensor:
        if self.alpha.shape == x.shape:
            return builder.prelu(x, self.alpha)
        if self.alpha.shape != (*(1,) * (len(x.shape) - 1), x.channels):
            builder.cut(f"shared_axes={self.shared_axes} leave more than a slope for each channel")
        above = builder.activate(x, relu)  # y = max(x, 0) + α · (x − max(x, 0))
        below = builder.elementwise(x, above, "subtract")
        return builder.elementwise(above, builder.depthwise(below, self.alpha, None), "add")


class Softmax(Layer):
    """y_i = exp(x_i) / Σj exp(x_j), the sum running along ``axis``, or along all of several axes together."""

    def __init__(self, axis: int | Sequence[int] = -1, **options: Any) -> None:
        super().__init__(**options)
        axes = [axis] if is_whole(axis) else list(axis) if np.iterable(axis) else []
        if not axes or not all(is_whole(a) and a != 0 for a in axes):
            raise ValueError(
                f"Softmax: axis must be a whole number, or several, and not the batch axis 0; got {axis!r}"
            )
        self.axis: int | list[int] = int(axes[0]) if is_whole(axis) else [int(a) for a in axes]  # type: ignore[arg-type]

    @property
    def output_activation(self) -> str | None:
        return "softmax" if self.axis == -1 else None

    @property
    def as_activation(self) -> ActivationFunction | None:
        """For ``Dense(10, activation=Softmax())``; None along another axis than the last."""
        return softmax if self.axis == -1 else None

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        self._axes(1 + len(input_shape))
        return input_shape

    def _axes(self, rank: int) -> list[int]:
        return axes_within(self, self.axis, rank)

    def call(self, x: Array, training: bool = False) -> Array:
        if self.axis == -1:
            y = softmax(x)
            self.remember(y)
            return y
        y = softmax(self._in_rows(x))
        self.remember(y)
        return self._out_of_rows(y, x.shape)

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        return self.to_logits(dy) if input_gradient else None

    def to_logits(self, dy: Array) -> Array:
        (y,) = self.recall()
        if self.axis == -1:
            return softmax.backward(dy, y)
        return self._out_of_rows(softmax.backward(self._in_rows(dy), y), dy.shape)

    def _in_rows(self, x: Array) -> Array:
        """x with its axes of the sum together as the last one."""
        moved = self._moved_last(x)
        kept = moved.shape[: x.ndim - len(self._axes(x.ndim))]
        return moved.reshape(*kept, math.prod(moved.shape[len(kept) :]))

    def _out_of_rows(self, rows: Array, shape: tuple[int, ...]) -> Array:
        """The way back, to an array of ``shape``."""
        axes = self._axes(len(shape))
        last = range(len(shape) - len(axes), len(shape))
        moved = np.broadcast_to(np.empty((), rows.dtype), shape)
        return np.moveaxis(rows.reshape(self._moved_last(moved).shape), last, axes)

    def _moved_last(self, x: Array) -> Array:
        axes = self._axes(x.ndim)
        return np.moveaxis(x, axes, range(x.ndim - len(axes), x.ndim))

    def backward_from_logits(self, dz: Array, input_gradient: bool = True) -> Array | None:
        return dz if input_gradient else None

    def lower(self, builder: Builder, x: Tensor) -> Tensor:
        if self._axes(1 + len(x.shape)) != [len(x.shape)]:
            builder.cut(f"axis={self.axis} is not the last one")
        return builder.activate(x, softmax)

    def windows(self) -> tuple[Window, ...]:
        rank = len(self.shapes()[0])
        if rank > 1 and (rank == 2 or self._axes(rank + 1) != [rank]):
            raise ValueError(f"{self}: along axis {self.axis} its sum mixes pixels of the image")
        return super().windows()
