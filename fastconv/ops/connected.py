"""Convolution by filters that see only some of the maps, and its two gradients."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from fastconv import _kernels, reference
from fastconv._core.geometry import Padding, Pair, is_sparse, meeting, pair, window
from fastconv.ops import _door
from fastconv.ops._door import Array
from fastconv.ops.convolution import conv2d, conv2d_backward_data, conv2d_backward_kernel


def conv2d_connected(
    x: ArrayLike,
    kernel: ArrayLike,
    connections: ArrayLike,
    bias: ArrayLike | None = None,
    strides: int | Pair = 1,
    padding: Padding = "valid",
    dilation_rate: int | Pair = 1,
) -> Array:
    """y[n,h,w,k] = bias[k] + Σ x[n, h·s + kh·d − pad, w·s + kw·d − pad, c] · kernel[kh,kw,(c,k)]

    over the maps c that filter k is connected to; nothing is multiplied for the others.

    Parameters
    ----------
    x : (N, H, W, C_in)
    kernel : (KH, KW, number of connections): a dense kernel's weights where the table has a connection,
        ``dense[:, :, connections]``
    connections : the table (C_in, C_out) of booleans: whether filter k sees map c
    bias, strides, padding, dilation_rate : as in ``conv2d``

    Returns y (N, H_out, W_out, C_out). Raises ValueError where shapes do not fit.
    """
    x = _door.array(x, "x", "N, H, W, C")
    kernel = _door.array(kernel, "kernel", "KH, KW, connections")
    table = _checked(connections, x.shape[3], "x")
    maps, filters = _connection_list(table)
    _check_kernel(kernel, maps.size)
    C_out = table.shape[1]
    if bias is not None:
        bias = _door.array(bias, "bias")
        _door.check_shape(bias, "bias", (C_out,), "one number for each filter of connections")
    view = window(x.shape[1:3], kernel.shape[:2], strides, padding, dilation_rate)
    if _door.on_reference():
        return reference.conv2d_connected(x, kernel, table, bias, strides, padding, dilation_rate)
    y = _door.empty((x.shape[0], *view.output_size, C_out))
    if not y.size:
        return y
    view, taps = meeting(view, x.shape[1:3])
    if is_sparse(view, x.shape[1:3]):
        for k, e in _of_each_filter(filters):
            bias_k = None if bias is None else bias[k : k + 1]
            y[..., k] = conv2d(
                x[..., maps[e]], kernel[:, :, e, None], bias_k, strides, padding, dilation_rate
            )[..., 0]
    else:
        _kernels.conv2d_connected(x, np.ascontiguousarray(kernel[taps]), bias, maps, filters, view, y)
    return y


def conv2d_connected_backward_data(
    dy: ArrayLike,
    kernel: ArrayLike,
    connections: ArrayLike,
    input_shape: tuple[int, int, int, int],
    strides: int | Pair = 1,
    padding: Padding = "valid",
    dilation_rate: int | Pair = 1,
) -> Array:
    """dx, the gradient of the input: every dy sent back over the connections it came by.

    dy is (N, H_out, W_out, C_out), ``input_shape`` the (N, H, W, C_in) of x; the rest as in
    ``conv2d_connected``. The gradient of a map that no filter sees is 0.
    """
    dy = _door.array(dy, "dy", "N, H, W, C")
    kernel = _door.array(kernel, "kernel", "KH, KW, connections")
    shape = _door.image_shape(input_shape)
    table = _checked(connections, shape[3], "input_shape")
    maps, filters = _connection_list(table)
    _check_kernel(kernel, maps.size)
    view = window(shape[1:3], kernel.shape[:2], strides, padding, dilation_rate)
    _door.check_dy(dy, (shape[0], *view.output_size, table.shape[1]), "conv2d_connected")
    if _door.on_reference():
        return reference.conv2d_connected_backward_data(
            dy, kernel, table, shape, strides, padding, dilation_rate
        )
    if not (dy.size and math.prod(shape)):
        return np.zeros(shape, np.float32)
    view, taps = meeting(view, shape[1:3])
    if is_sparse(view, shape[1:3]):
        dx = np.zeros(shape, np.float32)
        for k, e in _of_each_filter(filters):
            dx[..., maps[e]] += conv2d_backward_data(
                dy[..., k : k + 1],
                kernel[:, :, e, None],
                (*shape[:3], e.size),
                strides,
                padding,
                dilation_rate,
            )
    else:
        dx = _door.empty(shape)
        part = np.ascontiguousarray(kernel[taps])
        _kernels.conv2d_connected_backward_data(dy, part, maps, filters, view, dx)
    return dx


def conv2d_connected_backward_kernel(
    x: ArrayLike,
    dy: ArrayLike,
    connections: ArrayLike,
    kernel_size: int | Pair,
    strides: int | Pair = 1,
    padding: Padding = "valid",
    dilation_rate: int | Pair = 1,
    out: tuple[Array | None, Array | None] = (None, None),
) -> tuple[Array, Array]:
    """(dkernel, dbias): of the connections there are, (KH, KW, number of connections), and (C_out,).

    x is (N, H, W, C_in), dy (N, H_out, W_out, C_out); the rest as in ``conv2d_connected``. ``out`` are
    float32 arrays to write them to, None for new ones.
    """
    x = _door.array(x, "x", "N, H, W, C")
    dy = _door.array(dy, "dy", "N, H, W, C")
    size = pair(kernel_size, "kernel_size")
    table = _checked(connections, x.shape[3], "x")
    maps, filters = _connection_list(table)
    view = window(x.shape[1:3], size, strides, padding, dilation_rate)
    _door.check_dy(dy, (x.shape[0], *view.output_size, table.shape[1]), "conv2d_connected")
    if _door.on_reference():
        return reference.conv2d_connected_backward_kernel(
            x, dy, table, size, strides, padding, dilation_rate, out
        )
    dkernel, dbias = _door.outputs(out, (*size, maps.size), (table.shape[1],))
    if not (dy.size and x.size):
        dkernel[...] = 0
        dbias[...] = dy.sum((0, 1, 2))
        return dkernel, dbias
    view, taps = meeting(view, x.shape[1:3])
    if is_sparse(view, x.shape[1:3]):
        for k, e in _of_each_filter(filters):
            how = (size, strides, padding, dilation_rate)
            dkernel_k, dbias[k : k + 1] = conv2d_backward_kernel(x[..., maps[e]], dy[..., k : k + 1], *how)
            dkernel[:, :, e] = dkernel_k[..., 0]
    else:
        met = dkernel
        if view.size != size:
            dkernel[...] = 0
            met = _door.empty((*view.size, maps.size))
        _kernels.conv2d_connected_backward_kernel(x, dy, maps, filters, view, met, dbias)
        if met is not dkernel:
            dkernel[taps] = met
    return dkernel, dbias


def _of_each_filter(filters: Array) -> list[tuple[int, Array]]:
    """Each filter and the numbers of its connections: a convolution of its own. For windows that see few of
    the pixels between their first and their last, all of which the kernel would lay out.
    """
    return [(int(k), np.flatnonzero(filters == k)) for k in np.unique(filters)]


def _connection_list(table: Array) -> tuple[Array, Array]:
    """(map, filter) of every connection, sorted by map, then by filter: the kernel's order."""
    maps, filters = np.nonzero(table)
    return np.ascontiguousarray(maps, np.int64), np.ascontiguousarray(filters, np.int64)


def _checked(connections: ArrayLike, C_in: int, name: str) -> Array:
    """The table as booleans (C_in, C_out)."""
    table = np.asarray(connections)
    whole = table.dtype == bool or (table.dtype.kind in "iuf" and np.isin(table, (0, 1)).all())
    if table.ndim != 2 or not whole:
        raise ValueError(
            "connections must be a table (input channels, filters) of booleans, or of 0 and 1; "
            f"got {table.dtype} of shape {table.shape}"
        )
    if table.shape[0] != C_in:
        raise ValueError(
            f"connections {table.shape} is a table for {table.shape[0]} input channels, {name} has {C_in}"
        )
    table = table.astype(bool, copy=False)
    blind = np.flatnonzero(~table.any(axis=0))
    if blind.size or not table.size:
        which = f"filter {blind[0]} has none" if blind.size else "it is empty"
        raise ValueError(f"connections must give every filter at least one input channel; {which}")
    return table


def _check_kernel(kernel: Array, count: int) -> None:
    if kernel.shape[2] != count or min(kernel.shape) < 1:
        raise ValueError(
            f"kernel must have shape (KH, KW, {count}), a weight for each of the {count} connections of the "
            f"table; got {kernel.shape}. Of a dense kernel it is kernel[:, :, connections]"
        )
