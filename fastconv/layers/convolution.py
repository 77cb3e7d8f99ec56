"""Convolutions: the same small weights slide over the whole image, or along a sequence."""

from __future__ import annotations

from math import prod
from typing import Any

from fastconv import constraints, initializers, ops, regularizers
from fastconv._errors import unknown_name
from fastconv._geometry import Axis, Padding, Pair, Window, explicit_padding, pair, window
from fastconv._geometry import transposed as transposed_axes
from fastconv.activations import ActivationLike
from fastconv.constraints import ConstraintLike
from fastconv.initializers import InitializerLike
from fastconv.layers._arguments import check_data_format, errors_named, whole
from fastconv.layers._connections import Connections, ConnectionsLike
from fastconv.layers._input_errors import warn_if_channels_first
from fastconv.layers.layer import Shape
from fastconv.layers.weighted import WeightedLayer
from fastconv.ops.depthwise import (
    depthwise_conv2d,
    depthwise_conv2d_backward_data,
    depthwise_conv2d_backward_kernel,
)
from fastconv.ops.transposed import (
    conv2d_transpose,
    conv2d_transpose_backward_data,
    conv2d_transpose_backward_kernel,
)
from fastconv.parameter import Array, Parameter
from fastconv.regularizers import RegularizerLike

Sizes = tuple[int, ...]


class Convolution(WeightedLayer):
    """Base of all convolutions: a window of ``kernel_size`` that moves by ``strides``, in one direction or two.

    A sequence (N, L, C) is an image of one row, (N, 1, L, C): that is how those of ``rank`` 1 are computed. A
    subclass says in ``kernel_shape`` which weights it has, and computes on images in ``convolve``,
    ``kernel_gradient`` and ``data_gradient``.
    """

    rank = 2

    def __init__(
        self,
        kernel_size: int | Sizes,
        strides: int | Sizes,
        padding: Padding,
        data_format: str | None,
        dilation_rate: int | Sizes,
        **weighted: Any,
    ) -> None:
        super().__init__(**weighted)
        name = type(self).__name__
        check_data_format(data_format, name)
        with errors_named(name):
            self.kernel_size = self._sizes(kernel_size, "kernel_size")
            self.strides = self._sizes(strides, "strides")
            self.dilation_rate = self._sizes(dilation_rate, "dilation_rate")
            self.padding = self._checked_padding(padding)

    def _sizes(self, value: int | Sizes, argument: str, minimum: int = 1) -> Sizes:
        """One whole number for each direction."""
        if self.rank == 2:
            return pair(value, argument, minimum)
        (size,) = value if isinstance(value, (list, tuple)) and len(value) == 1 else (value,)
        return (whole(size, argument, minimum),)

    def _checked_padding(self, padding: Padding) -> Any:
        if self.rank == 2:
            return explicit_padding(padding) or str(padding).lower()
        if isinstance(padding, str):
            if padding.lower() not in ("valid", "same", "causal"):
                raise unknown_name("padding", padding, ["valid", "same", "causal"])
            return padding.lower()
        return pair(padding, "padding", 0)

    # ---- sequences as images of one row

    def _images(self, x: Array) -> Array:
        return x if self.rank == 2 else x[:, None]

    def _as_given(self, y: Array) -> Array:
        return y if self.rank == 2 else y[:, 0]

    def _pair(self, sizes: Sizes) -> Pair:
        return sizes if self.rank == 2 else (1, sizes[0])  # type: ignore[return-value]

    @property
    def _image_padding(self) -> Padding:
        if self.rank == 2 or self.padding in ("valid", "same"):
            return self.padding  # type: ignore[no-any-return]
        if self.padding == "causal":
            return (0, 0), ((self.kernel_size[0] - 1) * self.dilation_rate[0], 0)
        return (0, 0), self.padding

    def _image_kernel(self, kernel: Array) -> Array:
        return kernel if self.rank == 2 else kernel[None]

    @property
    def _sliding(self) -> dict[str, Any]:
        """Strides, padding and dilation, as ``ops`` take them."""
        return {
            "strides": self._pair(self.strides),
            "padding": self._image_padding,
            "dilation_rate": self._pair(self.dilation_rate),
        }

    # ---- shapes

    def expected_input(self) -> tuple[int | str, ...]:
        places = ("H", "W") if self.rank == 2 else ("L",)
        return ("N", *places, self.input_shape[-1] if self.input_shape else "C")

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        self.check_input((None, *input_shape))
        *places, channels = input_shape
        sizes = self._output_size(self._pair(tuple(places)))
        return (*sizes[2 - self.rank :], self.output_channels(channels))

    def _output_size(self, image: Pair) -> Pair:
        return self._window(image).output_size

    def output_channels(self, channels: int) -> int:
        """How many channels come out; ValueError for so many that do not suit."""
        raise NotImplementedError

    def _window(self, image: Pair) -> Window:
        with errors_named(self):
            return window(image, self._pair(self.kernel_size), **self._sliding)

    def windows(self) -> tuple[Window, ...]:
        (*places, _), _ = self.shapes()
        return (self._window(self._pair(tuple(places))),)

    # ---- forward and backward

    def kernel_shape(self, channels: int) -> Sizes:
        """The shape of the weights for so many channels."""
        raise NotImplementedError

    def create_weights(self, input_shape: Shape) -> None:
        if self.rank == 2:
            warn_if_channels_first(self, input_shape)
        channels = input_shape[-1]
        self.add_kernel_and_bias(self.kernel_shape(channels), self.output_channels(channels))

    def convolve(self, x: Array) -> Array:
        """z, of images."""
        raise NotImplementedError

    def kernel_gradient(self, x: Array, dz: Array, out: tuple[Array, Array | None]) -> None:
        """Fill the gradients of kernel and bias."""
        raise NotImplementedError

    def data_gradient(self, dz: Array, shape: Shape) -> Array:
        """dx, for images x of this shape."""
        raise NotImplementedError

    def call(self, x: Array, training: bool) -> Array:
        return self.activate(self._as_given(self.convolve(self._images(x))), x)

    def backward_from_logits(self, dz: Array, input_gradient: bool = True) -> Array | None:
        x, _ = self.recall()
        dz, x = self._images(self.with_activity_gradient(dz)), self._images(x)
        if self.parameters:
            dkernel, dbias = self.gradients
            self.kernel_gradient(x, dz, (self._image_kernel(dkernel), dbias))
        return self._as_given(self.data_gradient(dz, x.shape)) if input_gradient else None

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "dilation_rate": self.dilation_rate,
        }


class _Filters(Convolution):
    """What ``Conv1D`` and ``Conv2D`` share: filters that see all channels, or those of their group."""

    def __init__(self, filters: int, groups: int, algorithm: str, **options: Any) -> None:
        name = type(self).__name__
        super().__init__(**options)
        self.filters = whole(filters, f"{name}: filters")
        self.groups = whole(groups, f"{name}: groups")
        if self.filters % self.groups:
            raise ValueError(f"{name}: {self.filters} filters cannot be split into {self.groups} equal groups")
        if algorithm not in ops.ALGORITHMS:
            raise unknown_name("algorithm", algorithm, ops.ALGORITHMS)
        self.algorithm = algorithm

    def output_channels(self, channels: int) -> int:
        if channels % self.groups:
            raise ValueError(
                f"{self}: {channels} input channels cannot be split into {self.groups} equal groups"
            )
        return self.filters

    def kernel_shape(self, channels: int) -> Sizes:
        return (*self.kernel_size, channels // self.groups, self.filters)

    @property
    def _how(self) -> dict[str, Any]:
        return {**self._sliding, "groups": self.groups, "algorithm": self.algorithm}

    def convolve(self, x: Array) -> Array:
        return ops.conv2d(x, self._image_kernel(self.kernel.value), self.bias_value, **self._how)

    def kernel_gradient(self, x: Array, dz: Array, out: tuple[Array, Array | None]) -> None:
        ops.conv2d_backward_kernel(x, dz, self._pair(self.kernel_size), **self._how, out=out)

    def data_gradient(self, dz: Array, shape: Shape) -> Array:
        return ops.conv2d_backward_data(dz, self._image_kernel(self.kernel.value), shape, **self._how)

    def get_config(self) -> dict[str, Any]:
        own = {"filters": self.filters, "groups": self.groups, "algorithm": self.algorithm}
        return {**super().get_config(), **own}


class Conv2D(_Filters):
    """y[n,i,j,k] = φ( bias[k] + Σu Σv Σc x[n, i·s_h+u·d_h, j·s_w+v·d_w, c] · kernel[u,v,c,k] )

    (N, H, W, C) → (N, H', W', filters). Weights: kernel (KH, KW, C / groups, filters), bias (filters,). With
    ``connections`` the sum goes over the maps that filter k sees, and the kernel is (KH, KW, number of
    connections): of a dense kernel it would be ``dense[:, :, table]``, the connections sorted by input map,
    then by filter. Initializers take each filter for one of a convolution of so many maps as it sees.

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
    connections : beyond Keras, which input maps each filter sees: a table, an array (C, filters) of booleans,
        or the list of each filter's maps, ``[[0, 1, 2], [1, 2, 3], ...]``. None: all of them
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
        connections: ConnectionsLike | None = None,
        algorithm: str = "auto",
        **options: Any,
    ) -> None:
        super().__init__(
            filters,
            groups,
            algorithm,
            kernel_size=kernel_size,
            strides=strides,
            padding=padding,
            data_format=data_format,
            dilation_rate=dilation_rate,
            activation=activation,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            bias_regularizer=bias_regularizer,
            activity_regularizer=activity_regularizer,
            kernel_constraint=kernel_constraint,
            bias_constraint=bias_constraint,
            **options,
        )
        self.connections: Connections | None = None
        self.table: Array | None = None
        """Whether filter k sees map c: booleans (C, filters), once built; None without ``connections``."""
        if connections is not None:
            self.connections = self._connections(connections)

    def _connections(self, given: ConnectionsLike) -> Connections:
        if self.groups != 1:
            raise ValueError(
                "Conv2D: groups and connections both say what a filter sees: write the groups into the "
                "connections"
            )
        if self.algorithm != "auto":
            raise ValueError(
                f"Conv2D: algorithm={self.algorithm!r} is for filters that see all maps; connections have "
                "one of their own"
            )
        with errors_named("Conv2D"):
            return Connections(given, self.filters)

    def create_weights(self, input_shape: Shape) -> None:
        if self.connections is None:
            super().create_weights(input_shape)
            return
        warn_if_channels_first(self, input_shape)
        with errors_named(self):
            self.table = self.connections.table(input_shape[-1])
        start = self.connections.start(self.kernel_initializer, self.kernel_size, self.table)
        self.add_kernel_and_bias(start.shape, self.filters, start)

    def convolve(self, x: Array) -> Array:
        if self.table is None:
            return super().convolve(x)
        return ops.conv2d_connected(x, self.kernel.value, self.table, self.bias_value, **self._sliding)

    def kernel_gradient(self, x: Array, dz: Array, out: tuple[Array, Array | None]) -> None:
        if self.table is None:
            super().kernel_gradient(x, dz, out)
        else:
            size, how = self.kernel_size, self._sliding
            ops.conv2d_connected_backward_kernel(x, dz, self.table, size, **how, out=out)

    def data_gradient(self, dz: Array, shape: Shape) -> Array:
        if self.table is None:
            return super().data_gradient(dz, shape)
        return ops.conv2d_connected_backward_data(dz, self.kernel.value, self.table, shape, **self._sliding)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "connections": None if self.connections is None else self.connections.maps}


class Conv1D(_Filters):
    """y[n,i,k] = φ( bias[k] + Σu Σc x[n, i·s + u·d, c] · kernel[u,c,k] )

    (N, L, C) → (N, L', filters): convolution along a sequence. Weights: kernel (K, C / groups, filters), bias
    (filters,). Arguments as those of ``Conv2D``; ``padding`` may be "causal" too, zeros in front so that no output
    sees what comes after it, or a pair (before, after).
    """

    rank = 1
    input_rank = 3

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sizes,
        strides: int | Sizes = 1,
        padding: Padding = "valid",
        data_format: str | None = None,
        dilation_rate: int | Sizes = 1,
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
            filters,
            groups,
            algorithm,
            kernel_size=kernel_size,
            strides=strides,
            padding=padding,
            data_format=data_format,
            dilation_rate=dilation_rate,
            activation=activation,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            bias_regularizer=bias_regularizer,
            activity_regularizer=activity_regularizer,
            kernel_constraint=kernel_constraint,
            bias_constraint=bias_constraint,
            **options,
        )


class _Depthwise(Convolution):
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
            kernel_size,
            strides,
            padding,
            data_format,
            dilation_rate,
            activation=activation,
            use_bias=use_bias,
            kernel_initializer=depthwise_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=depthwise_regularizer,
            bias_regularizer=bias_regularizer,
            activity_regularizer=activity_regularizer,
            kernel_constraint=depthwise_constraint,
            bias_constraint=bias_constraint,
            **options,
        )
        self.depth_multiplier = whole(depth_multiplier, f"{type(self).__name__}: depth_multiplier")

    def output_channels(self, channels: int) -> int:
        return channels * self.depth_multiplier

    def kernel_shape(self, channels: int) -> Sizes:
        return (*self.kernel_size, channels, self.depth_multiplier)

    def convolve(self, x: Array) -> Array:
        return depthwise_conv2d(x, self._image_kernel(self.kernel.value), self.bias_value, **self._sliding)

    def kernel_gradient(self, x: Array, dz: Array, out: tuple[Array, Array | None]) -> None:
        depthwise_conv2d_backward_kernel(x, dz, self._pair(self.kernel_size), **self._sliding, out=out)

    def data_gradient(self, dz: Array, shape: Shape) -> Array:
        return depthwise_conv2d_backward_data(dz, self._image_kernel(self.kernel.value), shape, **self._sliding)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        for what in ("initializer", "regularizer", "constraint"):  # the kernel's have names of their own
            config[f"depthwise_{what}"] = config.pop(f"kernel_{what}")
        return {**config, "depth_multiplier": self.depth_multiplier}


class DepthwiseConv2D(_Depthwise):
    """y[n,i,j,c·M+m] = φ( bias[c·M+m] + Σu Σv x[n, i·s_h+u·d_h, j·s_w+v·d_w, c] · kernel[u,v,c,m] )

    (N, H, W, C) → (N, H', W', C·M), M being ``depth_multiplier``: every channel by itself, with M filters of its own.
    Weights: kernel (KH, KW, C, M), bias (C·M,). Arguments as those of ``Conv2D``.

    Howard et al. 2017, *MobileNets: efficient convolutional neural networks for mobile vision applications*,
    section 3.1.
    """

    input_rank = 4


class DepthwiseConv1D(_Depthwise):
    """y[n,i,c·M+m] = φ( bias[c·M+m] + Σu x[n, i·s+u·d, c] · kernel[u,c,m] ): ``DepthwiseConv2D`` along a sequence.

    (N, L, C) → (N, L', C·M). Weights: kernel (K, C, M), bias (C·M,). ``padding`` as in ``Conv1D``.
    """

    rank = 1
    input_rank = 3


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
            kernel_size,
            strides,
            padding,
            data_format,
            dilation_rate,
            activation=activation,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            bias_regularizer=bias_regularizer,
            activity_regularizer=activity_regularizer,
            kernel_constraint=kernel_constraint,
            bias_constraint=bias_constraint,
            **options,
        )
        self.filters = whole(filters, f"{name}: filters")
        if self.padding not in ("valid", "same"):
            raise ValueError(f'{name}: padding must be "valid" or "same"; got {padding!r}')
        with errors_named(name):
            self.output_padding = None if output_padding is None else self._sizes(output_padding, "output_padding", 0)
        if algorithm not in ops.ALGORITHMS:
            raise unknown_name("algorithm", algorithm, ops.ALGORITHMS)
        self.algorithm = algorithm

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
        return conv2d_transpose(x, self._image_kernel(self.kernel.value), self.bias_value, **self._how)

    def kernel_gradient(self, x: Array, dz: Array, out: tuple[Array, Array | None]) -> None:
        conv2d_transpose_backward_kernel(x, dz, self._pair(self.kernel_size), **self._how, out=out)

    def data_gradient(self, dz: Array, shape: Shape) -> Array:
        return conv2d_transpose_backward_data(dz, self._image_kernel(self.kernel.value), shape, **self._how)

    def get_config(self) -> dict[str, Any]:
        own = {"filters": self.filters, "output_padding": self.output_padding, "algorithm": self.algorithm}
        return {**super().get_config(), **own}


class Conv2DTranspose(_Transposed):
    """Every x[n,i,j] lays its kernel on y, at i·s_h, j·s_w; what overlaps is added up: the way back through ``Conv2D``
    as a layer, with which decoders enlarge what pooling made small.

    (N, H, W, C) → (N, H', W', filters) with H' = H · s_h for ``padding="same"`` and (H − 1) · s_h + max(KH, s_h) for
    "valid" (no dilation). Weights: kernel (KH, KW, filters, C), bias (filters,). ``output_padding`` sets H' to
    (H − 1) · s_h + KH + output_padding, for "same" less 2 · ⌊KH / 2⌋. Other arguments as those of ``Conv2D``.

    Zeiler et al. 2010, *Deconvolutional networks*; Dumoulin & Visin 2016, *A guide to convolution arithmetic for deep
    learning*, chapter 4.
    """

    input_rank = 4


class Conv1DTranspose(_Transposed):
    """``Conv2DTranspose`` along a sequence: (N, L, C) → (N, L', filters). Weights: kernel (K, filters, C), bias
    (filters,).
    """

    rank = 1
    input_rank = 3


class _Separable(Convolution):
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
        name = type(self).__name__
        super().__init__(
            kernel_size,
            strides,
            padding,
            data_format,
            dilation_rate,
            activation=activation,
            use_bias=use_bias,
            kernel_initializer=depthwise_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=depthwise_regularizer,
            bias_regularizer=bias_regularizer,
            activity_regularizer=activity_regularizer,
            kernel_constraint=depthwise_constraint,
            bias_constraint=bias_constraint,
            **options,
        )
        self.filters = whole(filters, f"{name}: filters")
        self.depth_multiplier = whole(depth_multiplier, f"{name}: depth_multiplier")
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

    def call(self, x: Array, training: bool) -> Array:
        images = self._images(x)
        between = depthwise_conv2d(images, self._image_kernel(self.depthwise_kernel.value), None, **self._sliding)
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
        dbetween = ops.conv2d_backward_data(dz, self._image_kernel(self.pointwise_kernel.value), between.shape)
        if learns:
            out = (self._image_kernel(self.depthwise_kernel.grad), None)
            depthwise_conv2d_backward_kernel(images, dbetween, self._pair(self.kernel_size), **self._sliding, out=out)
        if not input_gradient:
            return None
        kernel = self._image_kernel(self.depthwise_kernel.value)
        return self._as_given(depthwise_conv2d_backward_data(dbetween, kernel, images.shape, **self._sliding))

    def count_multiply_adds(self) -> int:
        """Each number of the two kernels once for each place of the output."""
        _, (*places, _) = self.shapes()
        return prod(places) * (self.depthwise_kernel.size + self.pointwise_kernel.size)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        for what in ("initializer", "regularizer", "constraint"):
            config[f"depthwise_{what}"] = config.pop(f"kernel_{what}")
        return {
            **config,
            "filters": self.filters,
            "depth_multiplier": self.depth_multiplier,
            "pointwise_initializer": initializers.serialize(self.pointwise_initializer),
            "pointwise_regularizer": regularizers.serialize(self.pointwise_regularizer),
            "pointwise_constraint": constraints.serialize(self.pointwise_constraint),
        }


class SeparableConv2D(_Separable):
    """A depthwise convolution, each channel by itself, then one of 1×1, which mixes the channels; φ and the bias come
    last.

    (N, H, W, C) → (N, H', W', filters). Weights: depthwise_kernel (KH, KW, C, M), pointwise_kernel
    (1, 1, C·M, filters), bias (filters,); M is ``depth_multiplier``. Other arguments as those of ``Conv2D``.

    Chollet 2017, *Xception: deep learning with depthwise separable convolutions*.
    """

    input_rank = 4


class SeparableConv1D(_Separable):
    """``SeparableConv2D`` along a sequence: (N, L, C) → (N, L', filters). Weights: depthwise_kernel (K, C, M),
    pointwise_kernel (1, C·M, filters), bias (filters,). ``padding`` as in ``Conv1D``.
    """

    rank = 1
    input_rank = 3
