"""How long the weight vector of a unit may be.

    w ← w · desired / (ε + ‖w‖),   ε = 1e-7,   ‖w‖ = √Σ w² along ``axis``

``axis=0`` is right for a dense kernel (in, units), whose columns are the units' vectors. The kernel of a
convolution (KH, KW, C_in, filters) needs ``axis=[0, 1, 2]``.

Srivastava et al. 2014, *Dropout: a simple way to prevent neural networks from overfitting*, section 5.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastconv._core.checks import is_whole
from fastconv.constraints.constraint import Constraint
from fastconv.parameter import Array

Axis = int | Sequence[int]

_EPSILON = 1e-7


class NormConstraint(Constraint):
    """Base of those that change lengths and keep directions: overrides say which length is ``desired``."""

    def __init__(self, axis: Axis = 0) -> None:
        several = np.iterable(axis)
        axes: list[Any] = list(axis) if several else [axis]  # type: ignore[arg-type]
        if not all(map(is_whole, axes)):
            raise ValueError(f"axis must be a whole number or a list of them, as [0, 1, 2]; got {axis!r}")
        self.axis: Axis = [int(a) for a in axes] if several else int(axes[0])

    def desired(self, norms: Array) -> Array:
        """The lengths wanted in place of ``norms``."""
        raise NotImplementedError(f"{type(self).__name__} must define desired(norms)")

    def __call__(self, w: Array) -> Array:
        w = np.asarray(w)
        axes = (self.axis,) if isinstance(self.axis, int) else tuple(self.axis)
        if not all(-w.ndim <= a < w.ndim for a in axes):
            raise ValueError(f"{self!r} needs the axes {list(axes)}, the weights have shape {w.shape}")
        norms = np.sqrt(np.sum(np.square(w), axis=axes, keepdims=True, dtype=np.float64)).astype(w.dtype)
        return w * (self.desired(norms) / (_EPSILON + norms)).astype(w.dtype)


class MaxNorm(NormConstraint):
    """‖w‖ ≤ ``max_value``"""

    def __init__(self, max_value: float = 2, axis: Axis = 0) -> None:
        super().__init__(axis)
        self.max_value = max_value

    def desired(self, norms: Array) -> Array:
        return np.clip(norms, 0, self.max_value)


class UnitNorm(NormConstraint):
    """‖w‖ = 1"""

    def desired(self, norms: Array) -> Array:
        return np.ones_like(norms)


class MinMaxNorm(NormConstraint):
    """``min_value`` ≤ ‖w‖ ≤ ``max_value``, approached by a share ``rate`` of the way in each step."""

    def __init__(
        self, min_value: float = 0.0, max_value: float = 1.0, rate: float = 1.0, axis: Axis = 0
    ) -> None:
        super().__init__(axis)
        if min_value > max_value:
            raise ValueError(f"min_value={min_value!r} is larger than max_value={max_value!r}")
        self.min_value, self.max_value, self.rate = min_value, max_value, rate

    def desired(self, norms: Array) -> Array:
        return self.rate * np.clip(norms, self.min_value, self.max_value) + (1 - self.rate) * norms
