"""Floating point as IEEE 754 has it: 1/0 is infinity, 0/0 is NaN, exp(1000) is infinity.

Python raises an exception in these cases; a network that diverges needs the number, as the C kernels give it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable


def divide(a: float, b: float) -> float:
    if b != 0:
        return a / b
    return math.nan if a == 0 or math.isnan(a) else math.copysign(math.inf, a) * math.copysign(1.0, b)


def exp(x: float) -> float:
    try:
        return math.exp(x)
    except OverflowError:
        return math.inf


def sqrt(x: float) -> float:
    return math.nan if x < 0 else math.sqrt(x)


def maximum(values: Iterable[float]) -> float:
    """The largest value; NaN where there is one (Python's ``max`` depends on the order then)."""
    largest = -math.inf
    for value in values:
        if math.isnan(value):
            return value
        largest = max(largest, value)
    return largest
