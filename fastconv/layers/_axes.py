"""Axes as arguments of layers: one whole number or several, counted with the batch, which is axis 0."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastconv._core.checks import is_whole
from fastconv.parameter import Array

Axes = int | list[int]


def axis_argument(axis: Any, name: str) -> Axes:
    """``axis`` as an int, or a list of them; a TypeError that begins with ``name`` for anything else."""
    if is_whole(axis):
        return int(axis)
    axes = list(axis) if np.iterable(axis) else []
    if not axes or not all(map(is_whole, axes)):
        raise TypeError(f"{name} must be a whole number, or several; got {axis!r}")
    return [int(a) for a in axes]


def axes_within(layer: object, axis: Axes, rank: int, *, batch: bool = False) -> list[int]:
    """The axes, counted from 0, for inputs with so many. The batch may be one of them only with ``batch``.

    Raises ValueError for axes that are not there, or named twice.
    """
    given = [axis] if isinstance(axis, int) else axis
    axes = [a % rank for a in given if -rank <= a < rank]
    if len(set(axes)) < len(given) or (0 in axes and not batch):
        least, first = (0, "") if batch else (1, ", the first of which is the batch")
        raise ValueError(
            f"{layer}: axis={axis} does not fit inputs with {rank} axes{first}: each must be another one, "
            f"from {least} to {rank - 1} or from {least - rank} to -1"
        )
    return axes


def known_sizes(layer: object, axes: Sequence[int], shape: Sequence[int | None]) -> tuple[int, ...]:
    """The sizes along these axes of an input whose ``shape`` is given without the batch.

    Raises ValueError where one is open, for a weight must have a size.
    """
    sizes = [shape[a - 1] for a in axes]
    if None in sizes:
        raise ValueError(
            f"{layer}: its weights need a size along axis {list(axes)}; got inputs of shape {(None, *shape)}"
        )
    return tuple(sizes)  # type: ignore[arg-type]


def channels_last(x: Array, axis: int) -> Array:
    """x with this axis, counted from 0, as the last one: x itself where it is."""
    return x if axis == x.ndim - 1 else np.ascontiguousarray(np.moveaxis(x, axis, -1))


def channels_at(x: Array, axis: int) -> Array:
    """The way back from ``channels_last``."""
    return x if axis == x.ndim - 1 else np.ascontiguousarray(np.moveaxis(x, -1, axis))
