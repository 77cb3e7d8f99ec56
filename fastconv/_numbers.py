"""What counts as a number in an argument: Python's, NumPy's, or an array of just one without axes."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np


def is_whole(value: Any) -> bool:
    """Whether ``value`` is a whole number, and not True or False."""
    try:
        operator.index(value)
    except TypeError:
        return False
    return not isinstance(value, (bool, np.bool_)) and np.ndim(value) == 0


def is_real(value: Any) -> bool:
    """Whether ``value`` is a real number, and not True or False; NaN and infinity are."""
    if isinstance(value, np.ndarray):
        return value.ndim == 0 and value.dtype.kind in "iuf"
    return isinstance(value, (int, float, np.number)) and not isinstance(value, (bool, np.complexfloating))
