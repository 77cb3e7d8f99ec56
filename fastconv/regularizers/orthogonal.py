"""A penalty on weight vectors that point the same way."""

from __future__ import annotations

import numpy as np

from fastconv._core.checks import unknown_name
from fastconv.parameter import Array
from fastconv.regularizers.regularizer import Regularizer, factor


class OrthogonalRegularizer(Regularizer):
    """factor · mean over pairs i < j of |u_i · u_j|, with u_i = x_i / |x_i| the rows of a matrix

    ``mode="columns"`` takes the columns instead. 0 where all are at right angles, ``factor`` where all are
    parallel.
    """

    modes = ("rows", "columns")

    def __init__(self, factor: float = 0.01, mode: str = "rows") -> None:
        self.factor = _factor("factor", factor)
        if mode not in self.modes:
            raise unknown_name("mode", mode, self.modes)
        self.mode = mode

    def __call__(self, x: Array) -> float:
        _, cosines, pairs = self._cosines(x)
        return self.factor * 0.5 * float(np.sum(np.abs(cosines))) / pairs if pairs else 0.0

    def gradient(self, x: Array) -> Array:
        """By u_i: factor / pairs · Σ_j sign(u_i · u_j) u_j. By x_i: the part of it across u_i, over |x_i|."""
        x = np.asarray(x)
        units, cosines, pairs = self._cosines(x)
        if not pairs:
            return np.zeros_like(x)
        by_units = self.factor / pairs * (np.sign(cosines) @ units)
        across = by_units - units * np.sum(units * by_units, axis=1, keepdims=True)
        by_rows = across / _lengths(self._rows(x))
        return np.asarray(by_rows if self.mode == "rows" else by_rows.T, np.result_type(x, np.float32))

    def _rows(self, x: Array) -> Array:
        x = np.asarray(x)
        if x.ndim != 2:
            raise ValueError(
                f"OrthogonalRegularizer is for matrices, such as the kernel of Dense; got shape {x.shape}"
            )
        return x if self.mode == "rows" else x.T

    def _cosines(self, x: Array) -> tuple[Array, Array, float]:
        """Unit rows, their inner products with 0 on the diagonal, and how many pairs there are."""
        rows = self._rows(x)
        units = rows / _lengths(rows)
        cosines = units @ units.T
        np.fill_diagonal(cosines, 0)
        return units, cosines, len(rows) * (len(rows) - 1) / 2


_factor = factor  # inside the class that is an argument's name


def _lengths(rows: Array) -> Array:
    return np.maximum(np.sqrt(np.sum(rows * rows, axis=1, keepdims=True)), 1e-12)
