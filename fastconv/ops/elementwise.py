"""Two arrays, number by number, with NumPy's broadcasting; and the gradients of both."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from fastconv import _kernels, reference
from fastconv._core.checks import unknown_name
from fastconv.ops import _door
from fastconv.ops._door import Array

ELEMENTWISE = tuple(_kernels.ELEMENTWISE)

Shape = tuple[int, ...]
Steps = tuple[int, int, int]


def elementwise(a: ArrayLike, b: ArrayLike, operation: str) -> Array:
    """y = a + b, a − b, a · b, a / b, (a + b) / 2, max(a, b) or min(a, b)

    Parameters
    ----------
    a, b : arrays of shapes that NumPy broadcasts against each other, as (N, H, W, C) and (N, 1, 1, C)
    operation : "add", "subtract", "multiply", "divide", "average", "maximum" or "minimum"; the last two
        are NaN where a or b is

    Returns y of the common shape. Raises ValueError where there is none.
    """
    a, b, shape = _operands(a, b, operation)
    if _door.on_reference():
        return reference.elementwise(a, b, operation)
    y = _door.empty(shape)
    if y.size:
        axes, a, b = _spread(a, b, shape)
        kind, steps = _kernels.ELEMENTWISE[operation], (axes.a_steps, axes.b_steps)
        _kernels.elementwise(
            kind, axes.sizes, a.reshape(-1), steps[0], b.reshape(-1), steps[1], y.reshape(-1)
        )
    return y


def elementwise_backward(
    dy: ArrayLike, a: ArrayLike, b: ArrayLike, operation: str, needs: tuple[bool, bool] = (True, True)
) -> tuple[Array | None, Array | None]:
    """(da, db), of the shapes of a and b: summed over the axes along which they were repeated.

    dy is the gradient of ``elementwise(a, b, operation)``. Where a = b is the maximum or the minimum, half of
    it goes to each. ``needs`` says which of the two are wanted; the other is None.
    """
    a, b, shape = _operands(a, b, operation)
    if not isinstance(needs, (tuple, list)) or len(needs) != 2:
        raise ValueError(f"needs must be a pair of booleans, for a and for b; got {needs!r}")
    dy = _door.array(dy, "dy")
    _door.check_shape(dy, "dy", shape, "that of a and b, broadcast")
    if _door.on_reference():
        return reference.elementwise_backward(dy, a, b, operation, needs)
    if not dy.size:
        da, db = (
            np.zeros(x.shape, np.float32) if need else None for x, need in zip((a, b), needs, strict=True)
        )
        return da, db
    axes, a_spread, b_spread = _spread(a, b, shape)
    kind = _kernels.ELEMENTWISE[operation]
    gradients: list[Array | None] = []
    for second, (x, spread) in enumerate([(a, a_spread), (b, b_spread)]):
        if not needs[second]:
            gradients.append(None)
            continue
        dx = _door.empty(spread.shape)
        given = (dy.reshape(-1), a_spread.reshape(-1), axes.a_steps, b_spread.reshape(-1), axes.b_steps)
        _kernels.elementwise_backward(kind, second, axes.sizes, *given, dx.reshape(-1))
        gradients.append(_summed(dx, x.shape))
    return gradients[0], gradients[1]


def _operands(a: ArrayLike, b: ArrayLike, operation: str) -> tuple[Array, Array, Shape]:
    if operation not in ELEMENTWISE:
        raise unknown_name("operation", operation, ELEMENTWISE)
    a, b = _door.array(a, "a"), _door.array(b, "b")
    try:
        return a, b, np.broadcast_shapes(a.shape, b.shape)
    except ValueError:
        raise ValueError(
            f"a of shape {a.shape} and b of shape {b.shape} do not broadcast: from the last axis on, sizes "
            "must be equal or 1"
        ) from None


class _Axes(NamedTuple):
    sizes: tuple[int, int, int]
    a_steps: Steps
    b_steps: Steps
    written_out: bool  # the operands first, for there were more axes than three


def _spread(a: Array, b: Array, shape: Shape) -> tuple[_Axes, Array, Array]:
    """The three axes of C, and a and b as they are to be there."""
    axes = _axes(a.shape, b.shape)
    if axes.written_out:
        a, b = (np.ascontiguousarray(np.broadcast_to(x, shape)) for x in (a, b))
    return axes, a, b


@lru_cache(maxsize=256)
def _axes(a: Shape, b: Shape) -> _Axes:
    """(outer, rows, width), and the steps of a and b: 0 along axes on which an operand is repeated.

    Neighbouring axes along which both step, or one is repeated, are joined.
    """
    shape = np.broadcast_shapes(a, b)
    sizes, a_whole, b_whole = _joined(a, b, shape)
    written_out = len(sizes) > 3
    if written_out:
        sizes, a_whole, b_whole = _joined(shape, shape, shape)
    missing = 3 - len(sizes)
    outer, rows, width = whole = [1] * missing + sizes
    steps = [_steps(whole, [True] * missing + there) for there in (a_whole, b_whole)]
    return _Axes((outer, rows, width), steps[0], steps[1], written_out)


def _joined(a: Shape, b: Shape, shape: Shape) -> tuple[list[int], list[bool], list[bool]]:
    """Sizes of the joined axes, and of each whether a and b have it."""
    a, b = ((1,) * (len(shape) - len(x)) + x for x in (a, b))
    sizes: list[int] = []
    a_whole: list[bool] = []
    b_whole: list[bool] = []
    for n, of_a, of_b in zip(shape, a, b, strict=True):
        if n == 1:
            continue
        if sizes and (a_whole[-1], b_whole[-1]) == (of_a == n, of_b == n):
            sizes[-1] *= n
        else:
            sizes.append(n)
            a_whole.append(of_a == n)
            b_whole.append(of_b == n)
    return sizes, a_whole, b_whole


def _steps(sizes: list[int], whole: list[bool]) -> Steps:
    """Elements from one index to the next; 0 along an axis that is not there."""
    present = [n if there else 1 for n, there in zip(sizes, whole, strict=True)]
    outer, rows, width = (math.prod(present[i + 1 :]) * there for i, there in enumerate(whole))
    return outer, rows, width


def _summed(dx: Array, shape: Shape) -> Array:
    """``dx`` in the shape of its operand; summed in double precision where that had to be written out."""
    if dx.size == math.prod(shape):
        return dx.reshape(shape)
    padded = (1,) * (dx.ndim - len(shape)) + shape
    axes = tuple(i for i, (n, kept) in enumerate(zip(dx.shape, padded, strict=True)) if n != kept)
    return dx.sum(axes, dtype=np.float64).astype(np.float32).reshape(shape)
