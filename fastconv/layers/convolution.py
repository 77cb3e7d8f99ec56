"""Convolutions: the same small weights slide over the whole image, or along a sequence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastconv import ops
from fastconv._core.checks import unknown_name
from fastconv._core.geometry import Padding, Pair, Window, window
from fastconv.activations import ActivationLike
from fastconv.constraints import ConstraintLike
from fastconv.initializers import InitializerLike
from fastconv.layers._arguments import check_data_format, errors_named, whole
from fastconv.layers._connections import Connections, ConnectionsLike
from fastconv.layers._input_errors import warn_if_channels_first
from fastconv.layers.layer import Shape
from fastconv.layers.spatial import Sizes, Spatial
from fastconv.layers.weighted import WeightedLayer
from fastconv.parameter import Array
from fastconv.regularizers import RegularizerLike

if TYPE_CHECKING:
    from fastconv.engine.lower import Builder, Tensor


class Convolution(Spatial, WeightedLayer):
    """Base of all convolutions: a window of ``kernel_size`` that moves by ``strides``.

    A subclass says in ``kernel_shape`` which weights it has, and computes on images in ``convolve``,
    ``kernel_gradient`` and ``data_gradient``.
    """

    def __init__(
        self,
        kernel_size: int | Sizes,
        strides: int | Sizes,
        padding: Padding,
        data_format: str | None,
        dilation_rate: int | Sizes,
        *weighted: Any,
        **options: Any,
    ) -> None:
        super().__init__(*weighted, **options)
        name = type(self).__name__
        check_data_format(data_format, name)
        with errors_named(name):
            self.kernel_size = self._sizes(kernel_size, "kernel_size")
            self.strides = self._sizes(strides, "strides")
            self.dilation_rate = self._sizes(dilation_rate, "dilation_rate")
            self.padding = self._checked_padding(padding)

    def _named_paddings(self) -> list[str]:
        return super()._named_paddings() + (["causal"] if self.rank == 1 else [])

    @property
    def _image_padding(self) -> Padding:
        if self.rank == 1 and self.padding == "causal":
            return (0, 0), ((self.kernel_size[0] - 1) * self.dilation_rate[0], 0)
        return super()._image_padding

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
        return (*self._open_sizes(places, self._output_size), self.output_channels(channels))

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

    def call(self, x: Array, training: bool = False) -> Array:
        return self.activate(self._as_given(self.convolve(self._images(x))), x)

    def backward_from_logits(self, dz: Array, input_gradient: bool = True) -> Array | None:
        x, _ = self.recall()
        dz, x = self._images(self.with_activity_gradient(dz)), self._images(x)
        if self.parameters:
            dkernel, dbias = self.gradients
            self.kernel_gradient(x, dz, (self._image_kernel(dkernel), dbias))
        return self._as_given(self.data_gradient(dz, x.shape)) if input_gradient else None


class _Filters(Convolution):
    """What ``Conv1D`` and ``Conv2D`` share: filters that see all channels, or those of their group."""

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
            kernel_size, strides, padding, data_format, dilation_rate,
            activation, use_bias, kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer,
            activity_regularizer, kernel_constraint, bias_constraint, **options,
        )  # fmt: skip
        name = type(self).__name__
        self.filters = whole(filters, f"{name}: filters")
        self.groups = whole(groups, f"{name}: groups")
        if self.filters % self.groups:
            raise ValueError(
                f"{name}: {self.filters} filters cannot be split into {self.groups} equal groups"
            )
        self.algorithm = known_algorithm(algorithm)

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

    def lower(self, builder: Builder, x: Tensor) -> Tensor:
        view = self._window(x.image)
        z = builder.conv(x, self.kernel, self.bias, view, self.filters, self.groups, self.algorithm)
        return builder.activate(z, self.activation)


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
            filters, kernel_size, strides, padding, data_format, dilation_rate, groups,
            activation, use_bias, kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer,
            activity_regularizer, kernel_constraint, bias_constraint, algorithm=algorithm,
            **options,
        )  # fmt: skip
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
        start = self.connections.start(self.kernel_initializer, self._pair(self.kernel_size), self.table)
        self.add_kernel_and_bias(start.shape, self.filters, start)

    def convolve(self, x: Array) -> Array:
        if self.table is None:
            return super().convolve(x)
        return ops.conv2d_connected(x, self.kernel.value, self.table, self.bias_value, **self._sliding)

    def kernel_gradient(self, x: Array, dz: Array, out: tuple[Array, Array | None]) -> None:
        if self.table is None:
            super().kernel_gradient(x, dz, out)
        else:
            size, how = self._pair(self.kernel_size), self._sliding
            ops.conv2d_connected_backward_kernel(x, dz, self.table, size, **how, out=out)

    def data_gradient(self, dz: Array, shape: Shape) -> Array:
        if self.table is None:
            return super().data_gradient(dz, shape)
        return ops.conv2d_connected_backward_data(dz, self.kernel.value, self.table, shape, **self._sliding)

    def lower(self, builder: Builder, x: Tensor) -> Tensor:
        if self.table is not None:
            builder.cut("filters that see some of the maps (connections)")
        return super().lower(builder, x)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "connections": None if self.connections is None else self.connections.maps,
        }


class Conv1D(_Filters):
    """y[n,i,k] = φ( bias[k] + Σu Σc x[n, i·s + u·d, c] · kernel[u,c,k] )

    (N, L, C) → (N, L', filters): convolution along a sequence. Weights: kernel (K, C / groups, filters), bias
    (filters,). Arguments as those of ``Conv2D``; ``padding`` may be "causal" too, zeros in front so that no
    output sees what comes after it, or a pair (before, after).
    """

    rank = 1
    input_rank = 3


def known_algorithm(name: str) -> str:
    """The name if there is such an algorithm, else ValueError."""
    if name not in ops.ALGORITHMS:
        raise unknown_name("algorithm", name, ops.ALGORITHMS)
    return name
