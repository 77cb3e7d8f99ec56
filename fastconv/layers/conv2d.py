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
from fastconv.layers._connections import Connections, ConnectionsLike
from fastconv.layers._input_errors import warn_if_channels_first
from fastconv.layers.layer import Shape
from fastconv.layers.weighted import WeightedLayer
from fastconv.parameter import Array
from fastconv.regularizers import RegularizerLike


class Conv2D(WeightedLayer):
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
        if self.connections is not None:
            with errors_named(self):
                self.table = self.connections.table(input_shape[-1])
            start = self.connections.start(self.kernel_initializer, self.kernel_size, self.table)
            self.add_kernel_and_bias(start.shape, self.filters, start)
            return
        kernel_shape = (*self.kernel_size, input_shape[-1] // self.groups, self.filters)
        self.add_kernel_and_bias(kernel_shape)

    def call(self, x: Array, training: bool = False) -> Array:
        if self.table is not None:
            how = (self.strides, self.padding, self.dilation_rate)
            z = ops.conv2d_connected(x, self.kernel.value, self.table, self.bias_value, *how)
            return self.activate(z, x)
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
        if self.table is not None:
            return self._backward_connected(x, dz, self.table, input_gradient)
        how = (self.strides, self.padding, self.dilation_rate, self.groups, self.algorithm)
        if self.parameters:
            ops.conv2d_backward_kernel(x, dz, self.kernel_size, *how, out=self.gradients)
        return ops.conv2d_backward_data(dz, self.kernel.value, x.shape, *how) if input_gradient else None

    def _backward_connected(self, x: Array, dz: Array, table: Array, input_gradient: bool) -> Array | None:
        how = (self.strides, self.padding, self.dilation_rate)
        if self.parameters:
            ops.conv2d_connected_backward_kernel(x, dz, table, self.kernel_size, *how, out=self.gradients)
        if not input_gradient:
            return None
        return ops.conv2d_connected_backward_data(dz, self.kernel.value, table, x.shape, *how)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "dilation_rate": self.dilation_rate,
            "groups": self.groups,
            "connections": None if self.connections is None else self.connections.maps,
            "algorithm": self.algorithm,
        }
