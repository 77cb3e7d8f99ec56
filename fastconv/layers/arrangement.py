"""The same numbers in another order, or several times."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastconv import ops
from fastconv._core.checks import is_whole
from fastconv._core.geometry import Window
from fastconv.layers._arguments import whole
from fastconv.layers.layer import Layer, Shape
from fastconv.parameter import Array


class Permute(Layer):
    """y with axis i of x's axis dims[i − 1]: ``Permute((2, 1))`` makes (N, C, L) of (N, L, C).

    ``dims`` holds the axes behind the batch, each once, counted from 1. Raises TypeError where it is no list
    of them, ValueError where it is another one.
    """

    def __init__(self, dims: Sequence[int], **options: Any) -> None:
        super().__init__(**options)
        if not isinstance(dims, (tuple, list)) or not all(map(is_whole, dims)):
            raise TypeError(f"Permute: dims must be a tuple of whole numbers, such as (2, 1); got {dims!r}")
        if sorted(dims) != list(range(1, len(dims) + 1)) or not dims:
            raise ValueError(
                "Permute: dims must hold each axis behind the batch once, counted from 1, such as (2, 1, 3); "
                f"got {dims!r}"
            )
        self.dims = tuple(map(int, dims))

    @property
    def input_rank(self) -> int:  # type: ignore[override]
        return len(self.dims) + 1

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        self.check_input((None, *input_shape))
        return tuple(input_shape[dim - 1] for dim in self.dims)

    def windows(self) -> tuple[Window, ...]:
        self.shapes()
        if self.dims[:2] in ((1,), (1, 2)):
            return ()
        raise ValueError(
            f"{self} moves rows and columns to other axes: its output is no map of places of its input"
        )

    def call(self, x: Array, training: bool = False) -> Array:
        self.remember()
        return ops.permute(x, (0, *self.dims))

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        self.recall()
        if not input_gradient:
            return None
        return ops.permute(dy, [0, *(self.dims.index(axis) + 1 for axis in range(1, len(self.dims) + 1))])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "dims": self.dims}


class RepeatVector(Layer):
    """y[n,i,c] = x[n,c] for i from 0 to n − 1: (N, C) → (N, n, C); the gradients of the copies are added.

    Raises TypeError where ``n`` is no whole number, ValueError where it is less than 1.
    """

    input_rank = 2

    def __init__(self, n: int, **options: Any) -> None:
        super().__init__(**options)
        if not is_whole(n):
            raise TypeError(f"RepeatVector: n must be a whole number; got {n!r}")
        self.n = whole(n, "RepeatVector: n")

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        self.check_input((None, *input_shape))
        return (self.n, *input_shape)

    def call(self, x: Array, training: bool = False) -> Array:
        self.remember()
        return np.repeat(x[:, None], self.n, axis=1)

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        self.recall()
        return dy.sum(axis=1) if input_gradient else None

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "n": self.n}
