"""Batch normalisation: every channel to mean 0 and variance 1, then to what is learned."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Any

from fastconv import initializers, ops
from fastconv._core.changes import change
from fastconv._core.checks import is_whole, unsupported_argument
from fastconv.constraints import ConstraintLike
from fastconv.initializers import InitializerLike
from fastconv.layers._affine import AffineNormalization
from fastconv.layers._arguments import not_negative, refuse_unless_none
from fastconv.layers._axes import axes_within, channels_at, channels_last, known_sizes
from fastconv.layers._input_errors import input_shape_error
from fastconv.layers.layer import Shape
from fastconv.parameter import Array, Parameter
from fastconv.regularizers import RegularizerLike

if TYPE_CHECKING:
    from fastconv.engine.lower import Builder, Tensor


class BatchNormalization(AffineNormalization):
    """y = γ · (x − mean) / √(variance + ε) + β, for each channel: (N, ..., C) → (N, ..., C)

    In training mean and variance are those of the batch, over all axes but ``axis``, and are remembered in
    moving averages:

        moving_mean = momentum · moving_mean + (1 − momentum) · mean, and likewise the (biased) variance

    In a step of ``fit`` or ``train_on_batch`` they move together with the weights, when the optimizer has
    stepped; in a ``forward`` of your own at once.

    In inference these moving averages take their place. So they do, and stay as they are, in a layer with
    ``trainable=False``, whatever ``training`` says: a frozen layer computes what it computed before (Keras).

    Weights: gamma, beta (C,), learned; moving_mean, moving_variance (C,), not trainable.

    Parameters
    ----------
    axis : the channels' axis, counted with the batch. The last one is the fastest: others are moved there and
        back
    momentum : how much of the moving averages a step keeps
    epsilon : ε, which keeps a constant channel from a division by zero
    center, scale : whether there is a β, a γ

    Raises ValueError for an empty batch in training. A batch of one vector has variance 0, and its y is β.

    Ioffe & Szegedy 2015, *Batch normalization*, section 3.
    """

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
        super().__init__(
            epsilon, center, scale, beta_initializer, gamma_initializer, beta_regularizer, gamma_regularizer,
            beta_constraint, gamma_constraint, **options,
        )  # fmt: skip
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
        self.moving_mean_initializer = initializers.get(moving_mean_initializer)
        self.moving_variance_initializer = initializers.get(moving_variance_initializer)

    def _axis(self, rank: int) -> int:
        """The channels' axis of inputs with so many axes, from 1 on."""
        return rank - 1 if self.axis == -1 and rank > 1 else axes_within(self, self.axis, rank)[0]

    def check_input(self, shape: Sequence[int | None]) -> None:
        if len(shape) < 2:
            raise input_shape_error(self, ("N", "C"), shape)
        axis = self._axis(len(shape))
        if self.input_shape is None:
            return
        features = self.input_shape[self._axis(1 + len(self.input_shape)) - 1]
        if shape[axis] != features:
            behind = len(shape) - 1 - axis
            before = axis - 1 if behind else 0  # before channels that are last there may be any number
            raise input_shape_error(self, ("N", *["..."] * before, features, *["..."] * behind), shape)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        self._axis(1 + len(input_shape))
        return input_shape

    def create_weights(self, input_shape: Shape) -> None:
        shape = known_sizes(self, [self._axis(1 + len(input_shape))], input_shape)
        self.add_gamma_and_beta(shape)
        self.moving_mean = self.add_weight(
            shape, self.moving_mean_initializer, name="moving_mean", trainable=False
        )
        self.moving_variance = self.add_weight(
            shape, self.moving_variance_initializer, name="moving_variance", trainable=False
        )

    def call(self, x: Array, training: bool = False) -> Array:
        of_batch = training and self.trainable
        if of_batch and not len(x):
            raise ValueError(f"{self}: an empty batch has no mean to learn from")
        axis = self._axis(x.ndim)
        x = channels_last(x, axis)
        if of_batch:
            mean, variance = ops.moments(x)
        else:
            mean, variance = self.moving_mean.numpy(), self.moving_variance.numpy()
        y = ops.batch_norm(x, mean, variance, self.gamma_value, self.beta_value, self.epsilon)
        self.remember(x, mean, variance, of_batch, axis)
        if of_batch:  # last, when nothing more can fail
            self._move(mean, variance)
        return channels_at(y, axis)

    def _move(self, mean: Array, variance: Array) -> None:
        averages = self.moving_mean, self.moving_variance
        added = mean * (1.0 - self.momentum), variance * (1.0 - self.momentum)

        def move() -> None:
            for average, new in zip(averages, added, strict=True):
                value = average.value
                value *= self.momentum
                value += new

        change(averages, move)

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        x, mean, variance, of_batch, axis = self.recall()
        dy = channels_last(dy, axis)
        dgamma: Array | None = None
        dbeta: Array | None = None
        if self.parameters or of_batch:
            dgamma, dbeta = ops.batch_norm_backward_weights(dy, x, mean, variance, self.epsilon)
        self.keep_gradients(dgamma, dbeta)
        if not input_gradient:
            return None
        if not of_batch:  # mean and variance are constants
            dgamma = dbeta = None
        dx = ops.batch_norm_backward_data(
            dy, x, mean, variance, self.gamma_value, dgamma, dbeta, self.epsilon
        )
        return channels_at(dx, axis)

    def lower(self, builder: Builder, x: Tensor) -> Tensor:
        if self._axis(1 + len(x.shape)) != len(x.shape):
            builder.cut(f"axis={self.axis} is not the last one")
        return builder.batch_norm(
            x,
            self.gamma,
            self.beta,
            self.moving_mean,
            self.moving_variance,
            self.epsilon,
            self.momentum,
            training=builder.training and self.trainable,
        )

    def count_multiply_adds(self) -> int:
        """One for each number, for in ``predict`` it is x · scale + shift."""
        _, output_shape = self.shapes()
        return prod(output_shape)

    def count_connections(self) -> int:
        """Each number has one input and the shift."""
        _, output_shape = self.shapes()
        return 2 * prod(output_shape)
