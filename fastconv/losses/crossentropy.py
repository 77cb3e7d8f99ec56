"""The cross-entropy that suits the targets, for those who leave the choice open."""

from __future__ import annotations

from typing import Any

from numpy.typing import ArrayLike

from fastconv._core.targets import kind_of_targets
from fastconv.losses.binary_crossentropy import BinaryCrossentropy
from fastconv.losses.categorical_crossentropy import CategoricalCrossentropy
from fastconv.losses.loss import Array, Loss
from fastconv.losses.sparse_categorical_crossentropy import SparseCategoricalCrossentropy

_BY_KIND = {
    "binary": BinaryCrossentropy,
    "sparse": SparseCategoricalCrossentropy,
    "categorical": CategoricalCrossentropy,
}


class Crossentropy(Loss):
    """What ``loss="crossentropy"`` stands for: binary, sparse or categorical, whichever the shapes ask for.

    One output takes the binary one; for several, labels (N,) or (N, 1) take the sparse one, one-hot targets
    the categorical one. Predictions are probabilities.
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "crossentropy",
        dtype: Any = None,
    ) -> None:
        super().__init__(name, reduction, dtype)
        self._chosen: Loss = CategoricalCrossentropy()

    def prepare(self, y_true: ArrayLike, y_pred: ArrayLike) -> tuple[Array, Array]:
        self._chosen = _BY_KIND[kind_of_targets(y_true, y_pred)]()
        self.fuses_with = self._chosen.fuses_with
        return self._chosen.prepare(y_true, y_pred)

    def call(self, y_true: Array, y_pred: Array) -> Array:
        return self._chosen.call(y_true, y_pred)

    def derivative(self, y_true: Array, y_pred: Array) -> Array:
        return self._chosen.derivative(y_true, y_pred)

    def derivative_at_logits(self, y_true: Array, y_pred: Array) -> Array:
        return self._chosen.derivative_at_logits(y_true, y_pred)
