"""Batch normalisation: every channel to mean 0 and variance 1, then to what is learned."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from fastconv import constraints, initializers, ops, regularizers
from fastconv._errors import unsupported_argument
from fastconv._numbers import is_whole
from fastconv.constraints import ConstraintLike
from fastconv.initializers import InitializerLike
from fastconv.layers._arguments import not_negative, refuse_unless_none
from fastconv.layers._input_errors import input_shape_error
from fastconv.layers.layer import Layer, Shape
from fastconv.parameter import Array, Parameter
from fastconv.regularizers import RegularizerLike


class BatchNormalization(Layer):
    """y = γ · (x − mean) / √(variance + ε) + β, for each channel: (N, ..., C) → (N, ..., C)

    In training mean and variance are those of the batch, over all axes but the last, and are remembered in
    moving averages:

        moving_mean = momentum · moving_mean + (1 − momentum) · mean, and likewise the (biased) variance

    In inference these moving averages take their place. So they do, and stay as they are, in a layer with
    ``trainable=False``, whatever ``training`` says: a frozen layer computes what it computed before (Keras).

    Weights: gamma, beta (C,), learned; moving_mean, moving_variance (C,), not trainable.

    Parameters
    ----------
    axis : the channels' axis, always the last one: -1
    momentum : how much of the moving averages a step keeps
    epsilon : ε, which keeps a constant channel from a division by zero
    center, scale : whether there is a β, a γ

    Raises ValueError for an empty batch in training. A batch of one vector has variance 0, and its y is β.

    Ioffe & Szegedy 2015, *Batch normalization*, section 3.
    """

    gamma: Parameter | None
    beta: Parameter | None
    moving_mean: Parameter
    moving_variance: Parameter

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: InitializerLike = "zeros",
        gamma_initializer: InitializerLike = "ones",
        moving_mean_initializer: InitializerLike = "zeros",
        moving_variance_initializer: InitializerLike = "ones",
        beta_regularizer: RegularizerLike | None = None,
        gamma_regularizer: RegularizerLike | None = None,
        beta_constraint: ConstraintLike | None = None,
        gamma_constraint: ConstraintLike | None = None,
        renorm: bool = False,
        renorm_clipping: None = None,
        renorm_momentum: float = 0.99,
        synchronized: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        refuse_unless_none(
            "BatchNormalization",
            renorm=renorm or None,
            renorm_clipping=renorm_clipping,
            synchronized=synchronized or None,
        )
        if renorm_momentum != 0.99:
            raise unsupported_argument("BatchNormalization", "renorm_momentum")
        if not is_whole(axis):
            raise ValueError(f"BatchNormalization: axis must be one whole number, got {axis!r}")
        self.axis = int(axis)
        self.momentum = not_negative(momentum, "BatchNormalization: momentum")
        if self.momentum > 1:
            raise ValueError(f"BatchNormalization: momentum is a share, between 0 and 1; got {momentum!r}")
        self.epsilon = not_negative(epsilon, "BatchNormalization: epsilon")
        self.center, self.scale = bool(center), bool(scale)
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)
        self.moving_mean_initializer = initializers.get(moving_mean_initializer)
        self.moving_variance_initializer = initializers.get(moving_variance_initializer)
        self.beta_regularizer = regularizers.get(beta_regularizer)
        self.gamma_regularizer = regularizers.get(gamma_regularizer)
        self.beta_constraint = constraints.get(beta_constraint)
        self.gamma_constraint = constraints.get(gamma_constraint)

    def check_input(self, shape: Sequence[int | None]) -> None:
        features = self.input_shape[-1] if self.input_shape else "C"
        if len(shape) < 2 or (self.input_shape and shape[-1] != features):
            raise input_shape_error(self, ("N", features), shape)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        if self.axis not in (-1, len(input_shape)):
            raise ValueError(
                f"{self}: axis={self.axis} is not supported, only the last one, axis=-1: channels are last "
                "here. Move them there with np.moveaxis"
            )
        return input_shape

    def create_weights(self, input_shape: Shape) -> None:
        shape = input_shape[-1:]
        self.gamma = self.beta = None
        if self.scale:
            self.gamma = self.add_weight(
                shape,
                self.gamma_initializer,
                name="gamma",
                regularizer=self.gamma_regularizer,
                constraint=self.gamma_constraint,
            )
        if self.center:
            self.beta = self.add_weight(
                shape,
                self.beta_initializer,
                name="beta",
                regularizer=self.beta_regularizer,
                constraint=self.beta_constraint,
            )
        self.moving_mean = self.add_weight(
            shape, self.moving_mean_initializer, name="moving_mean", trainable=False
        )
        self.moving_variance = self.add_weight(
            shape, self.moving_variance_initializer, name="moving_variance", trainable=False
        )

    def call(self, x: Array, training: bool = False) -> Array:
        of_batch = training and self.trainable
        if of_batch:
            if not len(x):
                raise ValueError(f"{self}: an empty batch has no mean to learn from")
            mean, variance = ops.moments(x)
        else:
            mean, variance = self.moving_mean.numpy(), self.moving_variance.numpy()
        y = ops.batch_norm(x, mean, variance, _value(self.gamma), _value(self.beta), self.epsilon)
        self.remember(x, mean, variance, of_batch)
        if of_batch:  # last, when nothing more can fail
            moved = self._moved(self.moving_mean, mean), self._moved(self.moving_variance, variance)
            self.moving_mean.value, self.moving_variance.value = moved
        return y

    def _moved(self, average: Parameter, new: Array) -> Array:
        return average.value * self.momentum + new * (1.0 - self.momentum)

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        x, mean, variance, of_batch = self.recall()
        dgamma: Array | None = None
        dbeta: Array | None = None
        if self.parameters or of_batch:
            dgamma, dbeta = ops.batch_norm_backward_weights(dy, x, mean, variance, self.epsilon)
        if self.parameters:
            for weight, gradient in ((self.gamma, dgamma), (self.beta, dbeta)):
                if weight is not None and gradient is not None:
                    weight.grad = gradient
        if not input_gradient:
            return None
        if not of_batch:  # mean and variance are constants
            dgamma = dbeta = None
        gamma = _value(self.gamma)
        return ops.batch_norm_backward_data(dy, x, mean, variance, gamma, dgamma, dbeta, self.epsilon)

    def count_multiply_adds(self) -> int:
        """One for each number, for in ``predict`` it is x · scale + shift."""
        _, output_shape = self.shapes()
        return prod(output_shape)

    def count_connections(self) -> int:
        """Each number has one input and the shift."""
        _, output_shape = self.shapes()
        return 2 * prod(output_shape)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "axis": self.axis,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "center": self.center,
            "scale": self.scale,
            "beta_initializer": initializers.serialize(self.beta_initializer),
            "gamma_initializer": initializers.serialize(self.gamma_initializer),
            "moving_mean_initializer": initializers.serialize(self.moving_mean_initializer),
            "moving_variance_initializer": initializers.serialize(self.moving_variance_initializer),
            "beta_regularizer": regularizers.serialize(self.beta_regularizer),
            "gamma_regularizer": regularizers.serialize(self.gamma_regularizer),
            "beta_constraint": constraints.serialize(self.beta_constraint),
            "gamma_constraint": constraints.serialize(self.gamma_constraint),
        }


def _value(parameter: Parameter | None) -> Array | None:
    return None if parameter is None else parameter.value
