"""Two arrays, number by number.

                      y             da                db

    add               a + b         dy                dy
    subtract          a − b         dy                −dy
    multiply          a · b         dy · b            dy · a
    divide            a / b         dy / b            −dy · a / b²
    average           (a + b) / 2   dy / 2            dy / 2
    maximum, minimum  either        dy where a is y   dy where b is y     half to each where a = b

An array of fewer axes, or with axes of size 1, is repeated along them (NumPy's broadcasting). Each copy has a
gradient, and they add up.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastconv.reference import ieee

Array = NDArray[np.float64]
Index = tuple[int, ...]


def elementwise(a: ArrayLike, b: ArrayLike, operation: str) -> Array:
    """The operation on each pair of numbers."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    y = np.empty(np.broadcast_shapes(a.shape, b.shape))
    for index, of_a, of_b in pairs(a.shape, b.shape):
        y[index] = value(float(a[of_a]), float(b[of_b]), operation)
    return y


def elementwise_backward(
    dy: ArrayLike, a: ArrayLike, b: ArrayLike, operation: str, needs: tuple[bool, bool] = (True, True)
) -> tuple[Array | None, Array | None]:
    """da and db, each the sum over the copies of a number."""
    dy, a, b = (np.asarray(x, np.float64) for x in (dy, a, b))
    da, db = np.zeros(a.shape), np.zeros(b.shape)
    for index, of_a, of_b in pairs(a.shape, b.shape):
        to_a, to_b = slopes(float(a[of_a]), float(b[of_b]), operation)
        da[of_a] += float(dy[index]) * to_a
        db[of_b] += float(dy[index]) * to_b
    return (da if needs[0] else None), (db if needs[1] else None)


def pairs(a: Index, b: Index) -> Iterator[tuple[Index, Index, Index]]:
    """An index of the result, and those of the numbers of a and b that it is made of."""
    shape = np.broadcast_shapes(a, b)
    for index in np.ndindex(shape):
        of_a, of_b = (
            tuple(i if n > 1 else 0 for i, n in zip(index[len(shape) - len(own) :], own, strict=True))
            for own in (a, b)
        )
        yield index, of_a, of_b


def value(a: float, b: float, operation: str) -> float:
    if operation == "add":
        return a + b
    if operation == "subtract":
        return a - b
    if operation == "multiply":
        return a * b
    if operation == "divide":
        return ieee.divide(a, b)
    if operation == "average":
        return (a + b) / 2
    if math.isnan(a) or math.isnan(b):
        return math.nan
    return max(a, b) if operation == "maximum" else min(a, b)


def slopes(a: float, b: float, operation: str) -> tuple[float, float]:
    """The derivatives by a and by b."""
    if operation == "add":
        return 1.0, 1.0
    if operation == "subtract":
        return 1.0, -1.0
    if operation == "multiply":
        return b, a
    if operation == "divide":
        return ieee.divide(1.0, b), -ieee.divide(ieee.divide(a, b), b)
    if operation == "average":
        return 0.5, 0.5
    if a == b:
        return 0.5, 0.5
    y = value(a, b, operation)
    return float(a == y), float(b == y)
