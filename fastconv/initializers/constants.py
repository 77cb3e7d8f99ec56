"""Starts that are not random."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastconv.initializers.initializer import Initializer
from fastconv.parameter import Array


class Zeros(Initializer):
    """All zeros: the usual start of biases."""

    def __call__(self, shape: Sequence[int]) -> Array:
        return np.zeros(shape, np.float32)


class Ones(Initializer):
    """All ones."""

    def __call__(self, shape: Sequence[int]) -> Array:
        return np.ones(shape, np.float32)


class Constant(Initializer):
    """Every weight ``value``; an array is broadcast to the shape."""

    def __init__(self, value: Any = 0.0) -> None:
        self.value = value

    def __call__(self, shape: Sequence[int]) -> Array:
        return np.full(shape, self.value, np.float32)


class Identity(Initializer):
    """``gain`` on the diagonal of a matrix, 0 elsewhere: a dense layer that passes its input on."""

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = gain

    def __call__(self, shape: Sequence[int]) -> Array:
        if len(shape) != 2:
            raise ValueError(
                f"Identity makes matrices, such as the kernel of Dense; got shape {tuple(shape)}"
            )
        return np.float32(self.gain) * np.eye(*shape, dtype=np.float32)
