"""Penalties on the magnitudes of numbers, on their squares, and on both."""

from __future__ import annotations

import numpy as np

from fastconv import ops
from fastconv.parameter import Array
from fastconv.regularizers.regularizer import Regularizer, factor


class L1L2(Regularizer):
    """l1 · Σ|x| + l2 · Σ x²

    ℓ1 pulls every weight towards 0 with the same force, so that many end there; ℓ2 pulls in proportion, so
    that large ones shrink most. The derivative of |x| is taken as 0 at x = 0.
    """

    def __init__(self, l1: float | None = 0.0, l2: float | None = 0.0) -> None:
        self.l1 = factor("l1", 0.0 if l1 is None else l1)
        self.l2 = factor("l2", 0.0 if l2 is None else l2)

    def __call__(self, x: Array) -> float:
        return ops.l1_l2_penalty(x, self.l1, self.l2)

    def gradient(self, x: Array) -> Array:
        grad = np.zeros_like(np.asarray(x))
        ops.l1_l2_penalty(x, self.l1, self.l2, grad)
        return grad

    def penalize(self, x: Array, grad: Array, scale: float = 1.0) -> float:
        return ops.l1_l2_penalty(x, self.l1, self.l2, grad, scale)


class L1(L1L2):
    """l1 · Σ|x|"""

    def __init__(self, l1: float | None = 0.01) -> None:
        super().__init__(l1=0.01 if l1 is None else l1)


class L2(L1L2):
    """l2 · Σ x²"""

    def __init__(self, l2: float | None = 0.01) -> None:
        super().__init__(l2=0.01 if l2 is None else l2)
