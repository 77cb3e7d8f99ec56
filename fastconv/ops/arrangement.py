"""Arrays put together, cut apart, cropped, their axes reordered; and products along an axis."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from fastconv import reference
from fastconv._core.geometry import Padding, Pair, sides
from fastconv.ops import _door
from fastconv.ops._door import Array
from fastconv.ops.dense import dense


def concatenate(arrays: Sequence[ArrayLike], axis: int = -1) -> Array:
    """The arrays one after another along ``axis``; their other axes are of the same sizes.

    The gradient is ``split``. Raises ValueError where shapes do not fit, or there is no array.
    """
    given = [_door.array(array, f"arrays[{i}]") for i, array in enumerate(arrays)]
    if not given:
        raise ValueError("arrays must hold at least one array to concatenate")
    ndim = given[0].ndim
    axis = _axis(axis, ndim, "the arrays")
    fitting = {(a.ndim, a.shape[:axis], a.shape[axis + 1 :]) for a in given}
    if len(fitting) > 1:
        shapes = ", ".join(str(a.shape) for a in given)
        raise ValueError(
            f"arrays to concatenate along axis {axis} must agree in all other axes; got shapes {shapes}"
        )
    if _door.on_reference():
        return reference.concatenate(given, axis)
    shape = list(given[0].shape)
    shape[axis] = sum(a.shape[axis] for a in given)
    return np.concatenate(given, axis, out=_door.empty(tuple(shape)))


def split(x: ArrayLike, sizes: Sequence[int], axis: int = -1) -> list[Array]:
    """x cut along ``axis`` into parts of these sizes, x's together: the gradient of ``concatenate``."""
    x = _door.array(x, "x")
    axis = _axis(axis, x.ndim, f"x, of shape {x.shape},")
    sizes = _whole(sizes, "sizes")
    if sum(sizes) != x.shape[axis] or min(sizes, default=0) < 0:
        raise ValueError(f"sizes {sizes} must add up to {x.shape[axis]}, the size of x along axis {axis}")
    if _door.on_reference():
        return reference.split(x, sizes, axis)
    ends = np.cumsum(sizes)
    return [np.array(part, order="C") for part in np.split(x, ends[:-1], axis)]


def crop2d(x: ArrayLike, cropping: Padding = 1) -> Array:
    """The images without some rows and columns at their edges.

    x is (N, H, W, C); ``cropping`` a number, (rows, columns), or ((top, bottom), (left, right)).
    Raises ValueError where nothing would be left.
    """
    x = _door.array(x, "x", "N, H, W, C")
    (top, bottom), (left, right) = _cropping(x.shape, cropping)
    if _door.on_reference():
        return reference.crop2d(x, cropping)
    return np.array(x[:, top : x.shape[1] - bottom, left : x.shape[2] - right], order="C")


def crop2d_backward(dy: ArrayLike, input_shape: tuple[int, int, int, int], cropping: Padding = 1) -> Array:
    """dx of ``input_shape``: dy, and zeros around it."""
    dy, shape = _door.array(dy, "dy", "N, H, W, C"), _door.image_shape(input_shape)
    (top, bottom), (left, right) = _cropping(shape, cropping)
    expected = (shape[0], shape[1] - top - bottom, shape[2] - left - right, shape[3])
    _door.check_shape(dy, "dy", expected, "what crop2d returns for these arguments")
    if _door.on_reference():
        return reference.crop2d_backward(dy, shape, cropping)
    dx = np.zeros(shape, np.float32)
    dx[:, top : shape[1] - bottom, left : shape[2] - right] = dy
    return dx


def permute(x: ArrayLike, order: Sequence[int]) -> Array:
    """y with axis i of x's axis order[i], as ``numpy.transpose``, but written out.

    The gradient is ``permute(dy, inverse)``, with ``inverse[order[i]] = i``.
    """
    x = _door.array(x, "x")
    order = tuple(_whole(order, "order"))
    if sorted(order) != list(range(x.ndim)):
        raise ValueError(
            f"order must hold each of the {x.ndim} axes of x once, 0 to {x.ndim - 1}; got {order}"
        )
    if _door.on_reference():
        return reference.permute(x, order)
    return np.array(x.transpose(order), order="C")


def dot(a: ArrayLike, b: ArrayLike, axes: int | Pair = -1) -> Array:
    """Products of a (N, ...) and b (N, ...), example by example, summed along an axis of each.

    y[n, i..., j...] = Σc a[n, i..., c] · b[n, c, j...], for ``axes`` a number or (axis of a, axis of b),
    where c may stand at any place but the first. y has the axes of a and then those of b that are left, as in
    Keras' Dot; and (N, 1) where none is left. Raises ValueError where shapes do not fit.
    """
    a, b, axis_a, axis_b = _factors(a, b, axes)
    if _door.on_reference():
        return reference.dot(a, b, (axis_a, axis_b))
    rows, columns, shape = _matrices(a, b, axis_a, axis_b)
    y = _door.empty((a.shape[0], rows.shape[1], columns.shape[2]))
    for n in range(a.shape[0]):
        y[n] = dense(rows[n], columns[n])
    return y.reshape(shape)


def dot_backward(dy: ArrayLike, a: ArrayLike, b: ArrayLike, axes: int | Pair = -1) -> tuple[Array, Array]:
    """(da, db), for y[n, i..., j...] = Σc a[n, i..., c] · b[n, c, j...]

    da[n, i..., c] = Σj dy[n, i..., j...] · b[n, c, j...]
    db[n, c, j...] = Σi a[n, i..., c] · dy[n, i..., j...]
    """
    a, b, axis_a, axis_b = _factors(a, b, axes)
    rows, columns, shape = _matrices(a, b, axis_a, axis_b)
    dy = _door.array(dy, "dy")
    _door.check_shape(dy, "dy", shape, "what dot returns for these arguments")
    if _door.on_reference():
        return reference.dot_backward(dy, a, b, (axis_a, axis_b))
    gradient = dy.reshape(a.shape[0], rows.shape[1], columns.shape[2])
    da, db = _door.empty(rows.shape), _door.empty(columns.shape)
    for n in range(a.shape[0]):
        da[n] = dense(gradient[n], columns[n].T)
        db[n] = dense(rows[n].T, gradient[n])
    sizes_a, sizes_b = (
        [m for i, m in enumerate(x.shape) if i != axis] for x, axis in ((a, axis_a), (b, axis_b))
    )
    da = np.moveaxis(da.reshape(*sizes_a, a.shape[axis_a]), -1, axis_a)
    db = np.moveaxis(db.reshape(sizes_b[0], b.shape[axis_b], *sizes_b[1:]), 1, axis_b)
    return np.ascontiguousarray(da), np.ascontiguousarray(db)


# ---- what they share ----------------------------------------------------------------------------


def _whole(given: Sequence[int], name: str) -> list[int]:
    if isinstance(given, str) or not all(hasattr(n, "__index__") for n in given):
        raise ValueError(f"{name} must hold whole numbers; got {given!r}")
    return [int(n) for n in given]


def _axis(axis: int, ndim: int, whose: str) -> int:
    if not hasattr(axis, "__index__") or not -ndim <= axis < ndim:
        raise ValueError(
            f"axis must be one of the {ndim} axes of {whose} {-ndim} to {ndim - 1}; got {axis!r}"
        )
    return int(axis) % ndim


def _cropping(shape: tuple[int, ...], cropping: Padding) -> tuple[Pair, Pair]:
    amounts = sides(cropping, "cropping")
    if sum(amounts[0]) >= shape[1] or sum(amounts[1]) >= shape[2]:
        raise ValueError(f"cropping {amounts} leaves nothing of images of {shape[1]}x{shape[2]} pixels")
    return amounts


def _factors(a: ArrayLike, b: ArrayLike, axes: int | Pair) -> tuple[Array, Array, int, int]:
    a, b = _door.array(a, "a"), _door.array(b, "b")
    if min(a.ndim, b.ndim) < 2 or a.shape[0] != b.shape[0]:
        raise ValueError(
            f"a and b must have a batch axis of the same size, and others; got {a.shape} and {b.shape}"
        )
    pair_of = axes if isinstance(axes, (tuple, list)) else (axes, axes)
    if len(pair_of) != 2:
        raise ValueError(f"axes must be a number or a pair; got {axes!r}")
    axis_a = _axis(pair_of[0], a.ndim, f"a, of shape {a.shape},")
    axis_b = _axis(pair_of[1], b.ndim, f"b, of shape {b.shape},")
    if not axis_a * axis_b:
        raise ValueError(f"axes={axes!r} must not name the batch axis, which is 0")
    if a.shape[axis_a] != b.shape[axis_b]:
        raise ValueError(
            f"a of shape {a.shape} and b of shape {b.shape} must be of the same size along axes {axis_a} and "
            f"{axis_b}; got {a.shape[axis_a]} and {b.shape[axis_b]}"
        )
    return a, b, axis_a, axis_b


def _matrices(a: Array, b: Array, axis_a: int, axis_b: int) -> tuple[Array, Array, tuple[int, ...]]:
    """a as (N, rows, c), b as (N, c, columns), and the shape of their product."""
    rows, columns = np.moveaxis(a, axis_a, -1), np.moveaxis(b, axis_b, 1)
    left = rows.shape[1:-1] + columns.shape[2:]
    shape = (a.shape[0], *(left or (1,)))
    sizes = math.prod(rows.shape[1:-1]), math.prod(columns.shape[2:])
    return (
        np.ascontiguousarray(rows).reshape(a.shape[0], sizes[0], a.shape[axis_a]),
        np.ascontiguousarray(columns).reshape(a.shape[0], b.shape[axis_b], sizes[1]),
        shape,
    )
