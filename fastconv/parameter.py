"""A parameter of a layer: an array of weights and the gradient of the loss with respect to it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[Any]


class Parameter:
    """Weights of one layer (a kernel, a bias, ...) with their gradient.

    ``value`` and ``grad`` are float32 arrays that live as long as the parameter: assigning to them copies
    *into* the array, so that whoever holds a reference (an optimizer, a view of one filter) sees the new
    numbers.

    name        "kernel", "bias", ...: unique within its layer
    path        "conv2d_1/kernel": the layer's name and this one
    trainable   False for numbers that no optimizer should touch
    constraint  a function of the value that the optimizer applies after each step; None for none
    regularizer a ``regularizers.Regularizer`` whose penalty on the value is part of the loss; None for none
    """

    def __init__(
        self,
        value: ArrayLike,
        name: str = "parameter",
        *,
        path: str | None = None,
        trainable: bool = True,
        constraint: Any = None,
        regularizer: Any = None,
    ) -> None:
        self._value = np.array(value, dtype=np.float32, order="C")
        self._grad = np.zeros_like(self._value)
        self.name = name
        self.path = path or name
        self.trainable = trainable
        self.constraint = constraint
        self.regularizer = regularizer

    @property
    def value(self) -> Array:
        return self._value

    @value.setter
    def value(self, new: ArrayLike) -> None:
        self._copy_into(self._value, new, "value")

    @property
    def grad(self) -> Array:
        return self._grad

    @grad.setter
    def grad(self, new: ArrayLike) -> None:
        self._copy_into(self._grad, new, "gradient")

    def _copy_into(self, target: Array, new: ArrayLike, what: str) -> None:
        source = np.asarray(new)
        if source.shape != self.shape:  # NumPy alone would broadcast silently
            raise ValueError(f"{self.path}: the {what} has shape {self.shape}, got {source.shape}")
        target[...] = source

    @property
    def shape(self) -> tuple[int, ...]:
        return self._value.shape

    @property
    def size(self) -> int:
        return self._value.size

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._value.dtype

    def numpy(self) -> Array:
        """A copy of the value."""
        return self._value.copy()

    def assign(self, new: ArrayLike) -> None:
        """The same as ``parameter.value = new``."""
        self.value = new

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.array(self._value, dtype=dtype, copy=True if copy is None else copy)

    def __repr__(self) -> str:
        return f"<Parameter {self.path} {self.shape}>"
