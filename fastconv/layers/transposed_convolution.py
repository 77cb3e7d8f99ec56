"""Transposed convolutions: the way back through a convolution, as layers."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

from fastconv import ops
from fastconv._core.geometry import Axis, Pair, Window
from fastconv._core.geometry import transposed as transposed_axes
from fastconv.activations import ActivationLike
from fastconv.constraints import ConstraintLike
from fastconv.initializers import InitializerLike
from fastconv.layers._arguments import errors_named, whole
from fastconv.layers.convolution import Convolution, known_algorithm
from fastconv.layers.layer import Shape
from fastconv.layers.spatial import Sizes
from fastconv.parameter import Array
from fastconv.regularizers import RegularizerLike

if TYPE_CHECKING:
    from fastconv.engine.lower import Builder, Tensor


class _Transposed(Convolution):
    """What ``Conv1DTranspose`` and ``Conv2DTranspose`` share."""

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sizes,
        strides: int | Sizes = 1,
        padding: str = "valid",
        output_padding: int | Sizes | None = None,
        data_format: str | None = None,
        dilation_rate: int | Sizes = 1,
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
        name = type(self).__name__
        super().__init__(
            kernel_size, strides, padding, data_format, dilation_rate,
            activation, use_bias, kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer,
            activity_regularizer, kernel_constraint, bias_constraint, **options,
        )  # fmt: skip
        self.filters = whole(filters, f"{name}: filters")
        if self.padding not in ("valid", "same"):
            raise ValueError(f'{name}: padding must be "valid" or "same"; got {padding!r}')
        with errors_named(name):
            self.output_padding = (
                None if output_padding is None else self._sizes(output_padding, "output_padding", 0)
            )
        self.algorithm = known_algorithm(algorithm)

    @property
    def _how(self) -> dict[str, Any]:
        output_padding = None if self.output_padding is None else self._pair(self.output_padding)
        if output_padding is not None and self.rank == 1:
            output_padding = (0, output_padding[1])
        return {**self._sliding, "output_padding": output_padding, "algorithm": self.algorithm}

    def output_channels(self, channels: int) -> int:
        return self.filters

    def kernel_shape(self, channels: int) -> Sizes:
        return (*self.kernel_size, self.filters, channels)

    def _axes(self, image: Pair) -> tuple[Axis, Axis]:
        how = {name: value for name, value in self._how.items() if name != "algorithm"}
        with errors_named(self):
            return transposed_axes(image, self._pair(self.kernel_size), **how)

    def _output_size(self, image: Pair) -> Pair:
        rows, columns = self._axes(image)
        return rows.output, columns.output

    def windows(self) -> tuple[Window, ...]:
        self.shapes()
        raise ValueError(f"{self} spreads its input out: which pixels an output sees depends on its place")

    def count_multiply_adds(self) -> int:
        """Each number of the kernel once for each place of the input."""
        (*places, _), _ = self.shapes()
        return prod(places) * self.kernel.size

    def convolve(self, x: Array) -> Array:
        return ops.conv2d_transpose(x, self._image_kernel(self.kernel.value), self.bias_value, **self._how)

    def kernel_gradient(self, x: Array, dz: Array, out: tuple[Array, Array | None]) -> None:
        ops.conv2d_transpose_backward_kernel(x, dz, self._pair(self.kernel_size), **self._how, out=out)

    def data_gradient(self, dz: Array, shape: Shape) -> Array:
        return ops.conv2d_transpose_backward_data(
            dz, self._image_kernel(self.kernel.value), shape, **self._how
        )

    def lower(self, builder: Builder, x: Tensor) -> Tensor:
        how = self._pair(self.kernel_size), self._pair(self.strides), self._pair(self.dilation_rate)
        z = builder.conv_transposed(
            x, self.kernel, self.bias, self._axes(x.image), *how, self.filters, self.algorithm
        )
        return builder.activate(z, self.activation)


class Conv2DTranspose(_Transposed):
    """Every x[n,i,j] lays its kernel on y, at i·s_h, j·s_w; what overlaps is added up: the way back through
    ``Conv2D`` as a layer, with which decoders enlarge what pooling made small.

    (N, H, W, C) → (N, H', W', filters) with H' = H · s_h for ``padding="same"`` and (H − 1) · s_h + max(KH,
    s_h) for "valid" (no dilation). Weights: kernel (KH, KW, filters, C), bias (filters,). ``output_padding``
    sets H' to (H − 1) · s_h + KH + output_padding, for "same" less 2 · ⌊KH / 2⌋. Other arguments as those of
    ``Conv2D``.

    Zeiler et al. 2010, *Deconvolutional networks*; Dumoulin & Visin 2016, *A guide to convolution arithmetic
    for deep learning*, chapter 4.
    """

    input_rank = 4


class Conv1DTranspose(_Transposed):
    """``Conv2DTranspose`` along a sequence: (N, L, C) → (N, L', filters). Weights: kernel (K, filters, C),
    bias (filters,).
    """

    rank = 1
    input_rank = 3
