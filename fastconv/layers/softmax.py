"""Scores to probabilities."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastconv._core.checks import is_whole
from fastconv._core.geometry import Window
from fastconv.activations import ActivationFunction, softmax
from fastconv.layers._axes import axes_within
from fastconv.layers.layer import Layer, Shape
from fastconv.parameter import Array


class Softmax(Layer):
    """y_i = exp(x_i) / Σj exp(x_j), the sum running along ``axis``, or along all of several axes together."""

    def __init__(self, axis: int | Sequence[int] = -1, **options: Any) -> None:
        super().__init__(**options)
        axes = [axis] if is_whole(axis) else list(axis) if np.iterable(axis) else []
        if not axes or not all(is_whole(a) and a != 0 for a in axes):
            raise ValueError(
                f"Softmax: axis must be a whole number, or several, and not the batch axis 0; got {axis!r}"
            )
        self.axis: int | list[int] = int(axes[0]) if is_whole(axis) else [int(a) for a in axes]  # type: ignore[arg-type]

    @property
    def output_activation(self) -> str | None:  # type: ignore[override]
        return "softmax" if self.axis == -1 else None

    @property
    def as_activation(self) -> ActivationFunction | None:
        """For ``Dense(10, activation=Softmax())``; None along another axis than the last."""
        return softmax if self.axis == -1 else None

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        self._axes(1 + len(input_shape))
        return input_shape

    def _axes(self, rank: int) -> list[int]:
        return axes_within(self, self.axis, rank)

    def call(self, x: Array, training: bool = False) -> Array:
        if self.axis == -1:
            y = softmax(x)
            self.remember(y)
            return y
        y = softmax(self._in_rows(x))
        self.remember(y)
        return self._out_of_rows(y, x.shape)

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        return self.to_logits(dy) if input_gradient else None

    def to_logits(self, dy: Array) -> Array:
        (y,) = self.recall()
        if self.axis == -1:
            return softmax.backward(dy, y)
        return self._out_of_rows(softmax.backward(self._in_rows(dy), y), dy.shape)

    def _in_rows(self, x: Array) -> Array:
        """x with its axes of the sum together as the last one."""
        moved = self._moved_last(x)
        kept = moved.shape[: x.ndim - len(self._axes(x.ndim))]
        return moved.reshape(*kept, math.prod(moved.shape[len(kept) :]))

    def _out_of_rows(self, rows: Array, shape: tuple[int, ...]) -> Array:
        """The way back, to an array of ``shape``."""
        axes = self._axes(len(shape))
        last = range(len(shape) - len(axes), len(shape))
        moved = np.broadcast_to(np.empty((), rows.dtype), shape)
        return np.moveaxis(rows.reshape(self._moved_last(moved).shape), last, axes)

    def _moved_last(self, x: Array) -> Array:
        axes = self._axes(x.ndim)
        return np.moveaxis(x, axes, range(x.ndim - len(axes), x.ndim))

    def backward_from_logits(self, dz: Array, input_gradient: bool = True) -> Array | None:
        return dz if input_gradient else None

    def windows(self) -> tuple[Window, ...]:
        rank = len(self.shapes()[0])
        if rank > 1 and (rank == 2 or self._axes(rank + 1) != [rank]):
            raise ValueError(f"{self}: along axis {self.axis} its sum mixes pixels of the image")
        return super().windows()

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}
