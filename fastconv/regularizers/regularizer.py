"""The base class of regularizers."""

from __future__ import annotations

from typing import Any

from fastconv._config import configuration
from fastconv._core.checks import is_real
from fastconv._core.configuration import call_of
from fastconv.parameter import Array


class Regularizer:
    """A penalty that is added to the loss: a number made of an array of weights, or of a layer's outputs.

    One of your own overrides ``__call__``, the penalty, and ``gradient``, its derivative; and ``get_config``
    where its constructor takes arguments.

    >>> class Cubes(Regularizer):
    ...     def __call__(self, x):
    ...         return 0.01 * np.sum(np.abs(x) ** 3)
    ...
    ...     def gradient(self, x):
    ...         return 0.03 * x * np.abs(x)
    """

    def __call__(self, x: Array) -> float:
        """The penalty on x."""
        raise NotImplementedError(f"{type(self).__name__} must define __call__(x), the penalty")

    def gradient(self, x: Array) -> Array:
        """d penalty / d x, in the shape of x."""
        raise NotImplementedError(f"{type(self).__name__} must define gradient(x), the penalty's derivative")

    def penalize(self, x: Array, grad: Array, scale: float = 1.0) -> float:
        """Add ``scale`` times the gradient to ``grad``, in place, and return the penalty (not scaled)."""
        grad += scale * self.gradient(x)
        return float(self(x))

    def get_config(self) -> dict[str, Any]:
        return configuration(self, Regularizer)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Regularizer:
        return cls(**config)

    def __repr__(self) -> str:
        return call_of(self)


def factor(name: str, value: Any) -> float:
    """``value`` as a finite number of at least 0, or ValueError."""
    if not is_real(value) or not 0 <= value < float("inf"):
        raise ValueError(f"{name} must be a finite number, 0 or more; got {value!r}")
    return float(value)
