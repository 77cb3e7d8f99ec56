"""Convolutions of each channel by itself, and those followed by one that mixes the channels."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

from fastconv import constraints, initializers, ops, regularizers
from fastconv._core.geometry import Padding
from fastconv.activations import ActivationLike
from fastconv.constraints import ConstraintFunction, ConstraintLike
from fastconv.initializers import InitializerFunction, InitializerLike
from fastconv.layers._arguments import whole
from fastconv.layers.convolution import Convolution
from fastconv.layers.layer import Shape
from fastconv.layers.spatial import Sizes
from fastconv.parameter import Array, Parameter
from fastconv.regularizers import Regularizer, RegularizerLike

if TYPE_CHECKING:
    from fastconv.engine.lower import Builder, Tensor


class _EachChannel(Convolution):
    """Base of convolutions of each channel by itself, with ``depth_multiplier`` filters of its own: their
    weights are the kernel of ``Convolution``, and called depthwise in arguments.
    """

    def __init__(self, depth_multiplier: int, *convolution: Any, **options: Any) -> None:
        super().__init__(*convolution, **options)
        self.depth_multiplier = whole(depth_multiplier, f"{type(self).__name__}: depth_multiplier")

    @property
    def depthwise_initializer(self) -> InitializerFunction | None:
        return self.kernel_initializer

    @property
    def depthwise_regularizer(self) -> Regularizer | None:
        return self.kernel_regularizer

    @property
    def depthwise_constraint(self) -> ConstraintFunction | None:
        return self.kernel_constraint

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        for what in ("initializer", "regularizer", "constraint"):
            del config[f"kernel_{what}"]
        return config


class _Depthwise(_EachChannel):
    """What ``DepthwiseConv1D`` and ``DepthwiseConv2D`` share."""

    def __init__(
        self,
        kernel_size: int | Sizes,
        strides: int | Sizes = 1,
        padding: Padding = "valid",
        depth_multiplier: int = 1,
        data_format: str | None = None,
        dilation_rate: int | Sizes = 1,
        activation: ActivationLike = None,
        use_bias: bool = True,
        depthwise_initializer: InitializerLike = "glorot_uniform",
        bias_initializer: InitializerLike = "zeros",
        depthwise_regularizer: RegularizerLike | None = None,
        bias_regularizer: RegularizerLike | None = None,
        activity_regularizer: RegularizerLike | None = None,
        depthwise_constraint: ConstraintLike | None = None,
        bias_constraint: ConstraintLike | None = None,
        **options: Any,
    ) -> None:
        super().__init__(
            depth_multiplier, kernel_size, strides, padding, data_format, dilation_rate,
            activation, use_bias, depthwise_initializer, bias_initializer, depthwise_regularizer,
            bias_regularizer, activity_regularizer, depthwise_constraint, bias_constraint, **options,
        )  # fmt: skip

    def output_channels(self, channels: int) -> int:
        return channels * self.depth_multiplier

    def kernel_shape(self, channels: int) -> Sizes:
        return (*self.kernel_size, channels, self.depth_multiplier)

    def convolve(self, x: Array) -> Array:
        return ops.depthwise_conv2d(
            x, self._image_kernel(self.kernel.value), self.bias_value, **self._sliding
        )

    def kernel_gradient(self, x: Array, dz: Array, out: tuple[Array, Array | None]) -> None:
        ops.depthwise_conv2d_backward_kernel(x, dz, self._pair(self.kernel_size), **self._sliding, out=out)

    def data_gradient(self, dz: Array, shape: Shape) -> Array:
        return ops.depthwise_conv2d_backward_data(
            dz, self._image_kernel(self.kernel.value), shape, **self._sliding
        )

    def lower(self, builder: Builder, x: Tensor) -> Tensor:
        view = self._window(x.image)
        z = builder.depthwise(x, self.kernel, self.bias, view, self.depth_multiplier)
        return builder.activate(z, self.activation)


class DepthwiseConv2D(_Depthwise):
    """y[n,i,j,c·M+m] = φ( bias[c·M+m] + Σu Σv x[n, i·s_h+u·d_h, j·s_w+v·d_w, c] · kernel[u,v,c,m] )

    (N, H, W, C) → (N, H', W', C·M), M being ``depth_multiplier``: every channel by itself, with M filters of
    its own. Weights: kernel (KH, KW, C, M), bias (C·M,). Arguments as those of ``Conv2D``.

    Howard et al. 2017, *MobileNets: efficient convolutional neural networks for mobile vision applications*,
    section 3.1.
    """

    input_rank = 4


class DepthwiseConv1D(_Depthwise):
    """y[n,i,c·M+m] = φ( bias[c·M+m] + Σu x[n, i·s+u·d, c] · kernel[u,c,m] ): ``DepthwiseConv2D`` along a
    sequence.

    (N, L, C) → (N, L', C·M). Weights: kernel (K, C, M), bias (C·M,). ``padding`` as in ``Conv1D``.
    """

    rank = 1
    input_rank = 3


class _Separable(_EachChannel):
    """What ``SeparableConv1D`` and ``SeparableConv2D`` share: a depthwise convolution, then one of size 1."""

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sizes,
        strides: int | Sizes = 1,
        padding: Padding = "valid",
        data_format: str | None = None,
        dilation_rate: int | Sizes = 1,
        depth_multiplier: int = 1,
        activation: ActivationLike = None,
        use_bias: bool = True,
        depthwise_initializer: InitializerLike = "glorot_uniform",
        pointwise_initializer: InitializerLike = "glorot_uniform",
        bias_initializer: InitializerLike = "zeros",
        depthwise_regularizer: RegularizerLike | None = None,
        pointwise_regularizer: RegularizerLike | None = None,
        bias_regularizer: RegularizerLike | None = None,
        activity_regularizer: RegularizerLike | None = None,
        depthwise_constraint: ConstraintLike | None = None,
        pointwise_constraint: ConstraintLike | None = None,
        bias_constraint: ConstraintLike | None = None,
        **options: Any,
    ) -> None:
        super().__init__(
            depth_multiplier, kernel_size, strides, padding, data_format, dilation_rate,
            activation, use_bias, depthwise_initializer, bias_initializer, depthwise_regularizer,
            bias_regularizer, activity_regularizer, depthwise_constraint, bias_constraint, **options,
        )  # fmt: skip
        self.filters = whole(filters, f"{type(self).__name__}: filters")
        self.pointwise_initializer = initializers.get(pointwise_initializer)
        self.pointwise_regularizer = regularizers.get(pointwise_regularizer)
        self.pointwise_constraint = constraints.get(pointwise_constraint)

    def output_channels(self, channels: int) -> int:
        return self.filters

    def create_weights(self, input_shape: Shape) -> None:
        channels = input_shape[-1]
        between = channels * self.depth_multiplier
        self.depthwise_kernel: Parameter = self.add_weight(
            (*self.kernel_size, channels, self.depth_multiplier),
            self.kernel_initializer,
            name="depthwise_kernel",
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        self.pointwise_kernel: Parameter = self.add_weight(
            (*(1,) * self.rank, between, self.filters),
            self.pointwise_initializer,
            name="pointwise_kernel",
            regularizer=self.pointwise_regularizer,
            constraint=self.pointwise_constraint,
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                (self.filters,),
                self.bias_initializer,
                name="bias",
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )

    def call(self, x: Array, training: bool = False) -> Array:
        images = self._images(x)
        between = ops.depthwise_conv2d(
            images, self._image_kernel(self.depthwise_kernel.value), None, **self._sliding
        )
        z = ops.conv2d(between, self._image_kernel(self.pointwise_kernel.value), self.bias_value)
        return self.activate(self._as_given(z), images, between)

    def backward_from_logits(self, dz: Array, input_gradient: bool = True) -> Array | None:
        images, between, _ = self.recall()
        dz = self._images(self.with_activity_gradient(dz))
        learns = bool(self.parameters)
        if learns:
            dbias = None if self.bias is None else self.bias.grad
            out = (self._image_kernel(self.pointwise_kernel.grad), dbias)
            ops.conv2d_backward_kernel(between, dz, 1, out=out)
        dbetween = ops.conv2d_backward_data(
            dz, self._image_kernel(self.pointwise_kernel.value), between.shape
        )
        if learns:
            out = (self._image_kernel(self.depthwise_kernel.grad), None)
            ops.depthwise_conv2d_backward_kernel(
                images, dbetween, self._pair(self.kernel_size), **self._sliding, out=out
            )
        if not input_gradient:
            return None
        kernel = self._image_kernel(self.depthwise_kernel.value)
        return self._as_given(
            ops.depthwise_conv2d_backward_data(dbetween, kernel, images.shape, **self._sliding)
        )

    def lower(self, builder: Builder, x: Tensor) -> Tensor:
        view = self._window(x.image)
        between = builder.depthwise(x, self.depthwise_kernel, None, view, self.depth_multiplier)
        z = builder.conv(between, self.pointwise_kernel, self.bias, None, self.filters)
        return builder.activate(z, self.activation)

    def count_multiply_adds(self) -> int:
        """Each number of the two kernels once for each place of the output."""
        _, (*places, _) = self.shapes()
        return prod(places) * (self.depthwise_kernel.size + self.pointwise_kernel.size)


class SeparableConv2D(_Separable):
    """A depthwise convolution, each channel by itself, then one of 1×1, which mixes the channels; φ and the
    bias come last.

    (N, H, W, C) → (N, H', W', filters). Weights: depthwise_kernel (KH, KW, C, M), pointwise_kernel
    (1, 1, C·M, filters), bias (filters,); M is ``depth_multiplier``. Other arguments as those of ``Conv2D``.

    Chollet 2017, *Xception: deep learning with depthwise separable convolutions*.
    """

    input_rank = 4


class SeparableConv1D(_Separable):
    """``SeparableConv2D`` along a sequence: (N, L, C) → (N, L', filters). Weights: depthwise_kernel (K, C,
    M), pointwise_kernel (1, C·M, filters), bias (filters,). ``padding`` as in ``Conv1D``.
    """

    rank = 1
    input_rank = 3
