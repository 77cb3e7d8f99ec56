"""Convolution: the same small weights slide over the whole image."""

from __future__ import annotations

from typing import Any

from fastconv import ops
from fastconv._errors import unknown_name
from fastconv._geometry import Padding, Pair, Window, explicit_padding, pair, window
from fastconv.activations import ActivationLike
from fastconv.constraints import ConstraintLike
from fastconv.initializers import InitializerLike
from fastconv.layers._arguments import check_data_format, errors_named, whole
from fastconv.layers._input_errors import warn_if_channels_first
from fastconv.layers.layer import Shape
from fastconv.layers.weighted import WeightedLayer
from fastconv.parameter import Array
from fastconv.regularizers import RegularizerLike


class Conv2D(WeightedLayer):
    """y[n,i,j,k] = φ( bias[k] + Σu Σv Σc x[n, i·s_h+u·d_h, j·s_w+v·d_w, c] · kernel[u,v,c,k] )

    (N, H, W, C) → (N, H', W', filters). Weights: kernel (KH, KW, C / groups, filters), bias (filters,).

    Parameters
    ----------
    filters : number of output channels
    kernel_size, strides, dilation_rate : a whole number or (vertical, horizontal)
    padding : "valid" (none), "same" (as much as keeps H' = ⌈H / stride⌉), or, beyond Keras, zeros in
        numbers: one number, (vertical, horizontal) or ((top, bottom), (left, right))
    groups : channels and filters are split into this many groups that do not see each other
    activation : φ, a name such as "relu"
    kernel_regularizer, bias_regularizer, activity_regularizer : penalties on weights and on y, such as "l2"
    kernel_constraint, bias_constraint : such as ``constraints.MaxNorm(1.0, axis=[0, 1, 2])``
    algorithm : beyond Keras, how it is computed: "auto", "naive", "im2col", "direct" or "winograd"; the
        results are the same up to rounding

    LeCun et al. 1998, *Gradient-based learning applied to document recognition*, section II.
    """

    input_rank = 4

    def __init__(
        self,
        filters: int,
        kernel_size: int | Pair,
        strides: int | Pair = (1, 1),
        padding: Padding = "valid",
        data_format: str | None = None,
        dilation_rate: int | Pair = (1, 1),
        groups: int = 1,
        activation: ActivationLike = None,
        use_bias: bool = True,
        kernel_initializer: InitializerLike = "glorot_uniform",
        bias_initializer: InitializerLike = "zeros",
        kernel_regularizer: RegularizerLike | None = None,
        bias_regularizer: RegularizerLike | None = None,
        activity_regularizer: RegularizerLike | None = None,
        kernel_constraint: ConstraintLike | None = None,
        bias_constraint: ConstraintLike | None = None,
        *,
        algorithm: str = "auto",
        **options: Any,
    ) -> None:
        super().__init__(
            activation,
            use_bias,
            kernel_initializer,
            bias_initializer,
            kernel_regularizer,
            bias_regularizer,
            activity_regularizer,
            kernel_constraint,
            bias_constraint,
            **options,
        )
        check_data_format(data_format, "Conv2D")
        self.filters = whole(filters, "Conv2D: filters")
        self.groups = whole(groups, "Conv2D: groups")
        with errors_named("Conv2D"):
            self.kernel_size = pair(kernel_size, "kernel_size")
            self.strides = pair(strides, "strides")
            self.dilation_rate = pair(dilation_rate, "dilation_rate")
            self.padding = explicit_padding(padding) or str(padding).lower()
        if self.filters % self.groups:
            raise ValueError(
                f"Conv2D: {self.filters} filters cannot be split into {self.groups} equal groups"
            )
        if algorithm not in ops.ALGORITHMS:
            raise unknown_name("algorithm", algorithm, ops.ALGORITHMS)
        self.algorithm = algorithm

    def expected_input(self) -> tuple[int | str, ...]:
        return ("N", "H", "W", self.input_shape[-1] if self.input_shape else "C")

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        self.check_input((None, *input_shape))
        *image, channels = input_shape
        if channels % self.groups:
            raise ValueError(
                f"{self}: {channels} input channels cannot be split into {self.groups} equal groups"
            )
        return (*self._window((image[0], image[1])).output_size, self.filters)

    def _window(self, image: Pair) -> Window:
        with errors_named(self):
            return window(image, self.kernel_size, self.strides, self.padding, self.dilation_rate)

    def windows(self) -> tuple[Window, ...]:
        (height, width, _), _ = self.shapes()
        return (self._window((height, width)),)

    def create_weights(self, input_shape: Shape) -> None:
        warn_if_channels_first(self, input_shape)
        kernel_shape = (*self.kernel_size, input_shape[-1] // self.groups, self.filters)
        self.add_kernel_and_bias(kernel_shape)

    def call(self, x: Array, training: bool) -> Array:
        z = ops.conv2d(
            x,
            self.kernel.value,
            self.bias_value,
            self.strides,
            self.padding,
            self.dilation_rate,
            self.groups,
            algorithm=self.algorithm,
        )
        return self.activate(z, x)

    def backward_from_logits(self, dz: Array, input_gradient: bool = True) -> Array | None:
        x, _ = self.recall()
        dz = self.with_activity_gradient(dz)
        how = (self.strides, self.padding, self.dilation_rate, self.groups, self.algorithm)
        if self.parameters:
            ops.conv2d_backward_kernel(x, dz, self.kernel_size, *how, out=self.gradients)
        return ops.conv2d_backward_data(dz, self.kernel.value, x.shape, *how) if input_gradient else None

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "dilation_rate": self.dilation_rate,
            "groups": self.groups,
            "algorithm": self.algorithm,
        }
