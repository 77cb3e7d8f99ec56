"""No weight below 0."""

from __future__ import annotations

import numpy as np

from fastconv.constraints.constraint import Constraint
from fastconv.parameter import Array


class NonNeg(Constraint):
    """w ← max(w, 0)"""

    def __call__(self, w: Array) -> Array:
        return np.maximum(w, 0)
