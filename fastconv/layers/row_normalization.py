"""Layer, group, root mean square and unit normalisation: each example by numbers of its own, whatever the
batch.

They compute the same in training and in inference, and work with batches of one.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from fastconv import ops
from fastconv._core.checks import is_whole, unsupported_argument
from fastconv._core.geometry import Window
from fastconv.constraints import ConstraintLike
from fastconv.initializers import InitializerLike
from fastconv.layers._affine import AffineNormalization
from fastconv.layers._arguments import not_negative
from fastconv.layers._axes import axes_within, axis_argument, channels_at, channels_last, known_sizes
from fastconv.layers.layer import Layer, Shape
from fastconv.parameter import Array, Parameter
from fastconv.regularizers import RegularizerLike


class _AlongAxes(Layer):
    """Base of layers that take their statistics over ``axis``: one or several, counted with the batch."""

    axis: int | list[int]
    _over_the_batch = False  # whether the batch may be one of them

    def _axes(self, rank: int) -> tuple[int, ...]:
        """The axes, ascending, for inputs with so many."""
        return tuple(sorted(axes_within(self, self.axis, rank, batch=self._over_the_batch)))

    def check_input(self, shape: Sequence[int | None]) -> None:
        axes = self._axes(len(shape))
        if self.input_shape is None or not self.weights:
            return
        expected = [self.input_shape[a - 1] for a in self._axes(1 + len(self.input_shape))]
        if [shape[a] for a in axes] != expected:
            raise ValueError(
                f"{self} has weights for inputs of size {expected} along axis={self.axis}, got an input of "
                f"shape {tuple(shape)}"
            )

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        self._axes(1 + len(input_shape))
        return input_shape

    def windows(self) -> tuple[Window, ...]:
        rank = len(self.shapes()[0])
        if rank > 1 and self._axes(rank + 1) != (rank,):
            raise ValueError(f"{self}: along axis {self.axis} its statistics mix pixels of the image")
        return super().windows()

    def count_multiply_adds(self) -> int:
        """One for each number: its weight, where there is one."""
        _, output_shape = self.shapes()
        return prod(output_shape) if self.weights else 0


class LayerNormalization(_AlongAxes, AffineNormalization):
    """y = γ · (x − mean) / √(variance + ε) + β, of the numbers along ``axis``, for each place of the other
    axes.

    The shapes of x and y are the same. Weights: gamma, beta, of the sizes along ``axis``.

    Parameters
    ----------
    axis : one axis or several, counted with the batch, which is none of them
    epsilon : ε, which keeps a variance of 0 from a division by zero
    center, scale : whether there is a β, a γ

    Raises TypeError for an axis that is no whole number, ValueError for one that inputs do not have.

    Ba, Kiros & Hinton 2016, *Layer normalization*, section 3.
    """

    def __init__(
        self,
        axis: int | Sequence[int] = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: InitializerLike = "zeros",
        gamma_initializer: InitializerLike = "ones",
        beta_regularizer: RegularizerLike | None = None,
        gamma_regularizer: RegularizerLike | None = None,
        beta_constraint: ConstraintLike | None = None,
        gamma_constraint: ConstraintLike | None = None,
        rms_scaling: bool = False,
        **options: Any,
    ) -> None:
        if rms_scaling:
            raise unsupported_argument("LayerNormalization", "rms_scaling", "use RMSNormalization")
        super().__init__(
            epsilon, center, scale, beta_initializer, gamma_initializer, beta_regularizer, gamma_regularizer,
            beta_constraint, gamma_constraint, **options,
        )  # fmt: skip
        self.axis = axis_argument(axis, "LayerNormalization: axis")

    def create_weights(self, input_shape: Shape) -> None:
        self.add_gamma_and_beta(known_sizes(self, self._axes(1 + len(input_shape)), input_shape))

    def call(self, x: Array, training: bool = False) -> Array:
        axes = self._axes(x.ndim)
        y, mean, inverse = ops.layer_norm(x, self.gamma_value, self.beta_value, self.epsilon, axes)
        self.remember(x, mean, inverse, axes)
        return y

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        x, mean, inverse, axes = self.recall()
        dx, dgamma, dbeta = ops.layer_norm_backward(dy, x, mean, inverse, self.gamma_value, axes)
        self.keep_gradients(dgamma, dbeta)
        return dx if input_gradient else None


class RMSNormalization(_AlongAxes):
    """y = scale · x / √(average x² + ε), of the numbers along ``axis``: as ``LayerNormalization`` without a
    mean.

    The shapes of x and y are the same. Weight: scale, of the sizes along ``axis``.

    Parameters
    ----------
    axis : one axis or several, counted with the batch, which is none of them
    epsilon : ε, which keeps zeros from a division by zero

    Raises TypeError for an axis that is no whole number, ValueError for one that inputs do not have.

    Zhang & Sennrich 2019, *Root mean square layer normalization*, section 4.
    """

    scale: Parameter

    def __init__(self, axis: int | Sequence[int] = -1, epsilon: float = 1e-6, **options: Any) -> None:
        super().__init__(**options)
        self.axis = axis_argument(axis, "RMSNormalization: axis")
        self.epsilon = not_negative(epsilon, "RMSNormalization: epsilon")

    def create_weights(self, input_shape: Shape) -> None:
        sizes = known_sizes(self, self._axes(1 + len(input_shape)), input_shape)
        self.scale = self.add_weight(sizes, "ones", name="scale")

    def call(self, x: Array, training: bool = False) -> Array:
        axes = self._axes(x.ndim)
        y, inverse = ops.rms_norm(x, self.scale.value, self.epsilon, axes)
        self.remember(x, inverse, axes)
        return y

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        x, inverse, axes = self.recall()
        dx, dscale = ops.rms_norm_backward(dy, x, inverse, self.scale.value, axes)
        if self.parameters:
            self.scale.grad = dscale
        return dx if input_gradient else None


class UnitNormalization(_AlongAxes):
    """y = x / max(√Σ x², 1e-12): the numbers along ``axis`` become a vector of length 1; zeros stay zeros.

    The shapes of x and y are the same. There are no weights.

    axis : one axis or several, counted with the batch

    Raises TypeError for an axis that is no whole number, ValueError for one that inputs do not have.
    """

    _over_the_batch = True
    epsilon = 1e-12

    def __init__(self, axis: int | Sequence[int] = -1, **options: Any) -> None:
        super().__init__(**options)
        self.axis = axis_argument(axis, "UnitNormalization: axis")

    def call(self, x: Array, training: bool = False) -> Array:
        axes = self._axes(x.ndim)
        y, inverse = ops.unit_norm(x, axes, self.epsilon)
        self.remember(x, inverse, axes)
        return y

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        x, inverse, axes = self.recall()
        return ops.unit_norm_backward(dy, x, inverse, axes, self.epsilon) if input_gradient else None


class GroupNormalization(AffineNormalization):
    """y = γ · (x − mean) / √(variance + ε) + β, mean and variance of a group of channels over all pixels.

    The shapes of x and y are the same: (N, ..., C), the C channels in ``groups`` of C / groups neighbours.
    Weights: gamma, beta (C,).

    Parameters
    ----------
    groups : divides C. 1 makes one group of all channels, C or -1 a group of each (instance normalization)
    axis : the channels' axis, counted with the batch
    epsilon : ε, which keeps a variance of 0 from a division by zero
    center, scale : whether there is a β, a γ

    Raises ValueError for ``groups`` that do not divide C, and for an axis that inputs do not have.

    Wu & He 2018, *Group normalization*, section 3.
    """

    def __init__(
        self,
        groups: int = 32,
        axis: int = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: InitializerLike = "zeros",
        gamma_initializer: InitializerLike = "ones",
        beta_regularizer: RegularizerLike | None = None,
        gamma_regularizer: RegularizerLike | None = None,
        beta_constraint: ConstraintLike | None = None,
        gamma_constraint: ConstraintLike | None = None,
        **options: Any,
    ) -> None:
        super().__init__(
            epsilon, center, scale, beta_initializer, gamma_initializer, beta_regularizer, gamma_regularizer,
            beta_constraint, gamma_constraint, **options,
        )  # fmt: skip
        if not is_whole(groups) or (groups <= 0 and groups != -1):
            raise ValueError(
                f"GroupNormalization: groups must be a whole number of at least 1, or -1 for a group of each "
                f"channel; got {groups!r}"
            )
        if not is_whole(axis):
            raise ValueError(f"GroupNormalization: axis must be one whole number, got {axis!r}")
        self.groups, self.axis = int(groups), int(axis)

    def _axis(self, rank: int) -> int:
        return axes_within(self, self.axis, rank)[0]

    def check_input(self, shape: Sequence[int | None]) -> None:
        axis = self._axis(len(shape))
        if self.input_shape is None:
            return
        channels = self.input_shape[self._axis(1 + len(self.input_shape)) - 1]
        if shape[axis] != channels:
            raise ValueError(
                f"{self} has weights for {channels} channels along axis={self.axis}, got an input of shape "
                f"{tuple(shape)}"
            )

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        (channels,) = known_sizes(self, [self._axis(1 + len(input_shape))], input_shape)
        if self.groups > channels or channels % max(self.groups, 1):
            raise ValueError(
                f"{self}: groups={self.groups} must divide the {channels} channels of its input evenly"
            )
        return input_shape

    def create_weights(self, input_shape: Shape) -> None:
        channels = input_shape[self._axis(1 + len(input_shape)) - 1]
        if self.groups == -1:
            self.groups = channels
        self.add_gamma_and_beta((channels,))

    def call(self, x: Array, training: bool = False) -> Array:
        axis = self._axis(x.ndim)
        x = channels_last(x, axis)
        y, mean, inverse = ops.group_norm(x, self.groups, self.gamma_value, self.beta_value, self.epsilon)
        self.remember(x, mean, inverse, axis)
        return channels_at(y, axis)

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        x, mean, inverse, axis = self.recall()
        dy = channels_last(dy, axis)
        dx, dgamma, dbeta = ops.group_norm_backward(dy, x, mean, inverse, self.gamma_value)
        self.keep_gradients(dgamma, dbeta)
        return channels_at(dx, axis) if input_gradient else None

    def windows(self) -> tuple[Window, ...]:
        if len(self.shapes()[0]) > 1:
            raise ValueError(f"{self}: its statistics mix pixels of the image")
        return ()

    def count_multiply_adds(self) -> int:
        """One for each number, its weight."""
        _, output_shape = self.shapes()
        return prod(output_shape)
