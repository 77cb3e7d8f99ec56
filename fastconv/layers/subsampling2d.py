"""Subsampling: pooling with a coefficient and a bias that each map learns."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from fastconv import initializers, ops
from fastconv._core.checks import unsupported_argument
from fastconv._core.geometry import Pair
from fastconv.activations import ActivationLike
from fastconv.initializers import InitializerLike
from fastconv.layers.layer import Shape
from fastconv.layers.pooling import Pooling
from fastconv.layers.weighted import ActivatedLayer
from fastconv.parameter import Array
from fastconv.regularizers import RegularizerLike

if TYPE_CHECKING:
    from fastconv.engine.lower import Builder, Tensor


class Subsampling2D(Pooling, ActivatedLayer):
    """y[n,i,j,c] = φ( coefficient[c] · Σu Σv x[n, i·s_h+u, j·s_w+v, c] + bias[c] )

    (N, H, W, C) → (N, H', W', C). Weights: coefficient (C,), bias (C,): two numbers to learn for each map.
    With a small coefficient a unit blurs its input, with a large one and a sigmoid it is a noisy "or" or
    "and", as the bias has it.

    Parameters
    ----------
    pool_size : the window, a whole number or (vertical, horizontal)
    strides : steps of the window; ``pool_size`` where None
    activation : φ, such as "scaled_tanh"
    coefficient_initializer : None starts as average pooling, with 1 / (window's pixels)

    Pixels of padding would count as zeros in some sums and not in others: ``padding`` is "valid", and a
    ZeroPadding2D in front of the layer pads.

    LeCun et al. 1998, *Gradient-based learning applied to document recognition*, section II-B: S2 and S4.
    """

    def __init__(
        self,
        pool_size: int | Pair = (2, 2),
        strides: int | Pair | None = None,
        padding: str = "valid",
        data_format: str | None = None,
        activation: ActivationLike = None,
        coefficient_initializer: InitializerLike | None = None,
        bias_initializer: InitializerLike = "zeros",
        activity_regularizer: RegularizerLike | None = None,
        **options: Any,
    ) -> None:
        super().__init__(
            pool_size,
            strides,
            padding,
            data_format,
            activation=activation,
            activity_regularizer=activity_regularizer,
            **options,
        )
        if self.padding != "valid":
            raise unsupported_argument(
                "Subsampling2D", f"padding={padding!r}", "put a ZeroPadding2D in front of it"
            )
        self.coefficient_initializer = initializers.get(coefficient_initializer)
        self.bias_initializer = initializers.get(bias_initializer)

    def create_weights(self, input_shape: Shape) -> None:
        channels = input_shape[-1:]
        average = initializers.Constant(1 / prod(self.pool_size))
        self.coefficient = self.add_weight(
            channels, self.coefficient_initializer or average, name="coefficient"
        )
        self.bias = self.add_weight(channels, self.bias_initializer, name="bias")

    def call(self, x: Array, training: bool = False) -> Array:
        mean = ops.avg_pool2d(x, *self._sliding)
        z = self._scaled(mean, self.bias.value)
        return self.activate(z, x.shape, mean)

    def _scaled(self, a: Array, shift: Array | None = None) -> Array:
        """coefficient · window's pixels · a + shift: what turns the mean of a window into its sum's share.

        It is a batch normalisation of mean 0 and variance 1.
        """
        scale = self.coefficient.value * prod(self.pool_size)
        return ops.batch_norm(a, *_standard(a.shape[-1]), gamma=scale, beta=shift, epsilon=0.0)

    def lower(self, builder: Builder, x: Tensor) -> Tensor:
        total = builder.scale(builder.avg_pool(x, self._window(x.image)), prod(self.pool_size))
        z = builder.depthwise(total, self.coefficient, self.bias)
        return builder.activate(z, self.activation)

    def backward_from_logits(self, dz: Array, input_gradient: bool = True) -> Array | None:
        input_shape, mean, _ = self.recall()
        dz = self.with_activity_gradient(dz)
        if self.parameters:
            standard = _standard(mean.shape[-1])
            by_mean, dbias = ops.batch_norm_backward_weights(dz, mean, *standard, epsilon=0.0)
            self.coefficient.grad, self.bias.grad = by_mean * prod(self.pool_size), dbias
        if not input_gradient:
            return None
        return ops.avg_pool2d_backward(self._scaled(dz), input_shape, *self._sliding)

    def count_multiply_adds(self) -> int:
        """One for each sum."""
        _, output_shape = self.shapes()
        return prod(output_shape)

    def count_connections(self) -> int:
        """Each output has its window and the bias."""
        _, output_shape = self.shapes()
        return prod(output_shape) * (prod(self.pool_size) + 1)


def _standard(channels: int) -> tuple[Array, Array]:
    """Mean 0 and variance 1."""
    return np.zeros(channels, np.float32), np.ones(channels, np.float32)
