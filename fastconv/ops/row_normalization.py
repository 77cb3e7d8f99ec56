"""Layer, group, root mean square and unit normalisation: every example by its own mean and size."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from fastconv import _kernels, reference
from fastconv.ops import _door
from fastconv.ops._door import Array

Axes = int | tuple[int, ...]


def layer_norm(
    x: ArrayLike,
    gamma: ArrayLike | None = None,
    beta: ArrayLike | None = None,
    epsilon: float = 1e-3,
    axis: Axes = -1,
) -> tuple[Array, Array, Array]:
    """(y, mean, inverse): y = γ · (x − mean) · inverse + β, inverse = 1 / √(variance + ε)

    Parameters
    ----------
    x : of any shape
    gamma, beta : of the sizes of x along ``axis``, in the order of the axes; 1 and 0 where None
    axis : over which mean and variance are taken, a number or several

    mean and inverse have the shape of x without these axes. Raises ValueError where shapes do not fit, or
    there is nothing to take the mean of. (Ba, Kiros & Hinton 2016, *Layer normalization*.)
    """
    x, axes = _with_axes(x, axis)
    gamma, beta = _weights(x, axes, gamma=gamma, beta=beta)
    if _door.on_reference():
        return reference.layer_norm(x, gamma, beta, epsilon, axes)
    y, mean, inverse = _forward("layer", x, axes, gamma, beta, epsilon)
    return y, mean, inverse


def layer_norm_backward(
    dy: ArrayLike,
    x: ArrayLike,
    mean: ArrayLike,
    inverse: ArrayLike,
    gamma: ArrayLike | None = None,
    axis: Axes = -1,
) -> tuple[Array, Array, Array]:
    """(dx, dγ, dβ), with g = dy · γ, x̂ = (x − mean) · inverse and averages over ``axis``:

    dx = inverse · (g − average g − x̂ · average g·x̂), dγ = Σ dy · x̂, dβ = Σ dy

    ``mean`` and ``inverse`` are what ``layer_norm`` returned.
    """
    dy, x, axes = _gradient(dy, x, axis)
    (gamma,) = _weights(x, axes, gamma=gamma)
    mean, inverse = _statistics(x, axes, mean=mean, inverse=inverse)
    if _door.on_reference():
        return reference.layer_norm_backward(dy, x, mean, inverse, gamma, axes)
    return _backward("layer", dy, x, axes, mean, inverse, gamma)


def rms_norm(
    x: ArrayLike, scale: ArrayLike | None = None, epsilon: float = 1e-6, axis: Axes = -1
) -> tuple[Array, Array]:
    """(y, inverse): y = scale · x · inverse, inverse = 1 / √(average x² + ε)

    Arguments as in ``layer_norm``. (Zhang & Sennrich 2019, *Root mean square layer normalization*.)
    """
    x, axes = _with_axes(x, axis)
    (scale,) = _weights(x, axes, scale=scale)
    if _door.on_reference():
        return reference.rms_norm(x, scale, epsilon, axes)
    y, _, inverse = _forward("rms", x, axes, scale, None, epsilon)
    return y, inverse


def rms_norm_backward(
    dy: ArrayLike, x: ArrayLike, inverse: ArrayLike, scale: ArrayLike | None = None, axis: Axes = -1
) -> tuple[Array, Array]:
    """(dx, dscale), with g = dy · scale: dx = inverse · (g − x · inverse² · average g·x), dscale = Σ dy · x ·
    inverse

    ``inverse`` is what ``rms_norm`` returned.
    """
    dy, x, axes = _gradient(dy, x, axis)
    (scale,) = _weights(x, axes, scale=scale)
    (inverse,) = _statistics(x, axes, inverse=inverse)
    if _door.on_reference():
        return reference.rms_norm_backward(dy, x, inverse, scale, axes)
    dx, dscale, _ = _backward("rms", dy, x, axes, None, inverse, scale)
    return dx, dscale


def unit_norm(x: ArrayLike, axis: Axes = -1, epsilon: float = 1e-12) -> tuple[Array, Array]:
    """(y, inverse): y = x · inverse, of length 1 along ``axis``; inverse = 1 / max(√Σx², ε)"""
    x, axes = _with_axes(x, axis)
    if _door.on_reference():
        return reference.unit_norm(x, axes, epsilon)
    y, _, inverse = _forward("unit", x, axes, None, None, epsilon)
    return y, inverse


def unit_norm_backward(
    dy: ArrayLike, x: ArrayLike, inverse: ArrayLike, axis: Axes = -1, epsilon: float = 1e-12
) -> Array:
    """dx = inverse · (dy − x · inverse² · Σ dy·x); inverse · dy where ε was larger than the length of x

    ``inverse`` is what ``unit_norm`` returned.
    """
    dy, x, axes = _gradient(dy, x, axis)
    (inverse,) = _statistics(x, axes, inverse=inverse)
    if _door.on_reference():
        return reference.unit_norm_backward(dy, x, inverse, axes, epsilon)
    return _backward("unit", dy, x, axes, None, inverse, None, epsilon)[0]


def group_norm(
    x: ArrayLike,
    groups: int,
    gamma: ArrayLike | None = None,
    beta: ArrayLike | None = None,
    epsilon: float = 1e-3,
) -> tuple[Array, Array, Array]:
    """(y, mean, inverse) as in ``layer_norm``, of each group of C / groups channels over all pixels of an
    image.

    Parameters
    ----------
    x : (N, ..., C)
    groups : divides C; 1 is layer normalisation of whole images, C is instance normalisation
    gamma, beta : (C,); 1 and 0 where None

    mean and inverse are (N, groups). Raises ValueError where shapes do not fit, or images have no pixels.
    (Wu & He 2018, *Group normalization*.)
    """
    x = _images(x, groups)
    gamma, beta = _channels(x, gamma=gamma, beta=beta)
    if _door.on_reference():
        return reference.group_norm(x, groups, gamma, beta, epsilon)
    y = _door.empty(x.shape)
    mean, inverse = (np.empty((x.shape[0], groups), np.float32) for _ in range(2))
    if x.size:
        how = (groups, gamma, beta, _door.number(epsilon, "epsilon"))
        _kernels.group_norm(_pixels(x), *how, _pixels(y), mean, inverse)
    return y, mean, inverse


def group_norm_backward(
    dy: ArrayLike,
    x: ArrayLike,
    mean: ArrayLike,
    inverse: ArrayLike,
    gamma: ArrayLike | None = None,
) -> tuple[Array, Array, Array]:
    """(dx, dγ, dβ) as in ``layer_norm_backward``, averages over all numbers of a group.

    ``mean`` and ``inverse`` (N, groups) are what ``group_norm`` returned.
    """
    inverse = _door.array(inverse, "inverse", "N, groups")
    groups = inverse.shape[1]
    x, dy = _images(x, groups), _door.array(dy, "dy")
    _door.check_shape(dy, "dy", x.shape, "that of x")
    mean = _door.array(mean, "mean")
    for name, given in {"mean": mean, "inverse": inverse}.items():
        _door.check_shape(given, name, (x.shape[0], groups), "a number for each image and group")
    (gamma,) = _channels(x, gamma=gamma)
    if _door.on_reference():
        return reference.group_norm_backward(dy, x, mean, inverse, gamma)
    C, dx = x.shape[-1], _door.empty(x.shape)
    dgamma, dbeta = np.zeros(C, np.float32), np.zeros(C, np.float32)
    if x.size:
        _kernels.group_norm_backward(
            _pixels(dy), _pixels(x), mean, inverse, gamma, _pixels(dx), dgamma, dbeta
        )
    return dx, dgamma, dbeta


# ---- what they share ----------------------------------------------------------------------------


def _with_axes(x: ArrayLike, axis: Axes) -> tuple[Array, tuple[int, ...]]:
    """x, and the axes in ascending order, not negative."""
    x = _door.array(x, "x")
    given = axis if isinstance(axis, (tuple, list)) else (axis,)
    if not given or not all(hasattr(a, "__index__") and -x.ndim <= a < x.ndim for a in given):
        raise ValueError(f"axis={axis!r} must name axes of x, which has shape {x.shape}")
    axes = tuple(sorted(int(a) % x.ndim for a in given))
    if len(set(axes)) < len(axes):
        raise ValueError(f"axis={axis!r} names an axis of x {x.shape} twice")
    if 0 in (x.shape[a] for a in axes):
        raise ValueError(f"x of shape {x.shape} has nothing to normalise along axis={axis!r}")
    return x, axes


def _gradient(dy: ArrayLike, x: ArrayLike, axis: Axes) -> tuple[Array, Array, tuple[int, ...]]:
    x, axes = _with_axes(x, axis)
    dy = _door.array(dy, "dy")
    _door.check_shape(dy, "dy", x.shape, "that of x")
    return dy, x, axes


def _weights(x: Array, axes: tuple[int, ...], **given: ArrayLike | None) -> list[Array | None]:
    return _shaped(tuple(x.shape[a] for a in axes), "the sizes of x along axis", given)


def _statistics(x: Array, axes: tuple[int, ...], **given: ArrayLike) -> list[Array]:
    shape = tuple(n for a, n in enumerate(x.shape) if a not in axes)
    return _shaped(shape, "that of x without axis", given)  # type: ignore[return-value, arg-type]


def _channels(x: Array, **given: ArrayLike | None) -> list[Array | None]:
    return _shaped((x.shape[-1],), "one number for each channel of x", given)


def _shaped(shape: tuple[int, ...], why: str, given: dict[str, ArrayLike | None]) -> list[Array | None]:
    """Each as an array of this shape, or None."""
    result: list[Array | None] = []
    for name, value in given.items():
        array = None if value is None else _door.array(value, name)
        if array is not None:
            _door.check_shape(array, name, shape, why)
        result.append(array)
    return result


def _forward(
    kind: str,
    x: Array,
    axes: tuple[int, ...],
    gamma: Array | None,
    beta: Array | None,
    epsilon: float,
) -> tuple[Array, Array, Array]:
    order = _order(x.ndim, axes)
    rows = _rows(x, axes, order)
    shape = tuple(x.shape[a] for a in order[: x.ndim - len(axes)])
    y = _door.empty(rows.shape)
    mean, inverse = np.empty(rows.shape[0], np.float32), np.empty(rows.shape[0], np.float32)
    if rows.size:
        how = (_kernels.ROW_NORMS[kind], rows, _flat(gamma), _flat(beta), _door.number(epsilon, "epsilon"))
        _kernels.row_norm(*how, y, mean if kind == "layer" else None, inverse)
    return _back(y, x.shape, order), mean.reshape(shape), inverse.reshape(shape)


def _backward(
    kind: str,
    dy: Array,
    x: Array,
    axes: tuple[int, ...],
    mean: Array | None,
    inverse: Array,
    gamma: Array | None,
    epsilon: float = 1.0,
) -> tuple[Array, Array, Array]:
    order, sizes = _order(x.ndim, axes), tuple(x.shape[a] for a in axes)
    dy_rows, x_rows = _rows(dy, axes, order), _rows(x, axes, order)
    dx = _door.empty(x_rows.shape)
    dgamma, dbeta = (np.zeros(x_rows.shape[1], np.float32) for _ in range(2))
    if x.size:
        wanted = {"layer": (dgamma, dbeta), "rms": (dgamma, None), "unit": (None, None)}[kind]
        given = (_flat(mean), _flat(inverse), _flat(gamma), _door.number(epsilon, "epsilon"))
        _kernels.row_norm_backward(_kernels.ROW_NORMS[kind], dy_rows, x_rows, *given, dx, *wanted)
    return _back(dx, x.shape, order), dgamma.reshape(sizes), dbeta.reshape(sizes)


def _order(ndim: int, axes: tuple[int, ...]) -> tuple[int, ...]:
    """The axes of x with those that are normalised last."""
    return (*(a for a in range(ndim) if a not in axes), *axes)


def _rows(x: Array, axes: tuple[int, ...], order: tuple[int, ...]) -> Array:
    """x as (rows, W); a copy where the axes are not the last."""
    width = 1
    for a in axes:
        width *= x.shape[a]
    return np.ascontiguousarray(x.transpose(order)).reshape(-1, width)


def _back(rows: Array, shape: tuple[int, ...], order: tuple[int, ...]) -> Array:
    """The way back from ``_rows``."""
    moved = rows.reshape([shape[a] for a in order])
    return np.ascontiguousarray(moved.transpose(np.argsort(order)))


def _flat(array: Array | None) -> Array | None:
    return None if array is None else array.reshape(-1)


def _images(x: ArrayLike, groups: int) -> Array:
    x = _door.array(x, "x")
    if x.ndim < 2:
        raise ValueError(f"x must have at least 2 axes (N, ..., C); got shape {x.shape}")
    if groups < 1 or x.shape[-1] % groups:
        raise ValueError(f"groups={groups} must divide the {x.shape[-1]} channels of x evenly")
    if x.shape[0] and x.shape[-1] and not x.size:
        raise ValueError(f"images without pixels have no mean; got x of shape {x.shape}")
    return x


def _pixels(x: Array) -> Array:
    return x.reshape(x.shape[0], -1, x.shape[-1])
