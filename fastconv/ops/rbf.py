"""Squared distances from prototypes, and their gradients."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from fastconv import _kernels, reference
from fastconv.ops import _door
from fastconv.ops._door import Array


def rbf(x: ArrayLike, prototypes: ArrayLike) -> Array:
    """y[n,i] = Σj (x[n,j] − prototypes[i,j])²

    x is (N, features), ``prototypes`` (units, features): a row for each output. Returns y (N, units). Raises
    ValueError where shapes do not fit.
    """
    x, prototypes = _checked(x, prototypes)
    if _door.on_reference():
        return reference.rbf(x, prototypes)
    y = np.zeros((len(x), len(prototypes)), np.float32)
    if y.size and x.size:
        _kernels.rbf(x, prototypes, y)
    return y


def rbf_backward_data(dy: ArrayLike, x: ArrayLike, prototypes: ArrayLike) -> Array:
    """dx[n,j] = Σi 2 dy[n,i] · (x[n,j] − prototypes[i,j]), of the shape of x."""
    x, prototypes = _checked(x, prototypes)
    dy = _checked_gradient(dy, x, prototypes)
    if _door.on_reference():
        return reference.rbf_backward_data(dy, x, prototypes)
    dx = np.zeros_like(x)
    if dx.size and dy.size:
        _kernels.rbf_backward_data(dy, x, prototypes, dx)
    return dx


def rbf_backward_kernel(
    dy: ArrayLike, x: ArrayLike, prototypes: ArrayLike, out: Array | None = None
) -> Array:
    """dprototypes[i,j] = Σn 2 dy[n,i] · (prototypes[i,j] − x[n,j]); ``out`` is an array to write it to."""
    x, prototypes = _checked(x, prototypes)
    dy = _checked_gradient(dy, x, prototypes)
    if _door.on_reference():
        return reference.rbf_backward_kernel(dy, x, prototypes, out)
    dprototypes = _door.output(out, "out", prototypes.shape)
    if dprototypes.size and dy.size:
        _kernels.rbf_backward_kernel(dy, x, prototypes, dprototypes)
    else:
        dprototypes[...] = 0
    return dprototypes


def _checked(x: ArrayLike, prototypes: ArrayLike) -> tuple[Array, Array]:
    x = _door.array(x, "x", "N, features")
    prototypes = _door.array(prototypes, "prototypes", "units, features")
    if x.shape[1] != prototypes.shape[1]:
        raise ValueError(
            f"x {x.shape} has {x.shape[1]} features, the prototypes {prototypes.shape} have "
            f"{prototypes.shape[1]}: both have a row for each thing, (N, features) and (units, features)"
        )
    return x, prototypes


def _checked_gradient(dy: ArrayLike, x: Array, prototypes: Array) -> Array:
    dy = _door.array(dy, "dy")
    _door.check_shape(dy, "dy", (len(x), len(prototypes)), "what rbf returns for these arguments")
    return dy
