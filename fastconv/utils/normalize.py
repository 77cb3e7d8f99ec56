"""Arrays divided by their norm."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from fastconv.parameter import Array


def normalize(x: ArrayLike, axis: int = -1, order: float = 2) -> Array:
    """x / ‖x‖, the norm of that order taken along ``axis``; vectors of zeros stay as they are."""
    array = np.asarray(x)
    norms = np.linalg.norm(array, order, axis, keepdims=True)
    return array / np.where(norms == 0, 1, norms)
