"""The confusion matrix over all batches of an epoch."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastconv.metrics.metric import Metric
from fastconv.utils.confusion_matrix import confusion_matrix, normalized


class ConfusionMatrix(Metric):
    """result()[i, j]: how many examples of class i were taken for class j, (classes, classes); not in Keras.

    Targets are labels (N,) or one-hot rows, predictions scores (N, C), or (N, 1) for two classes: above 0.5
    is class 1. ``normalize`` is as in ``fastconv.utils.confusion_matrix``; ``num_classes`` is C where None.
    """

    state = ("counts",)

    def __init__(
        self,
        num_classes: int | None = None,
        normalize: str | None = None,
        name: str = "confusion_matrix",
        dtype: Any = None,
    ) -> None:
        super().__init__(dtype, name)
        confusion_matrix([0], [0], normalize=normalize)  # an unknown name is an error now
        self.num_classes = num_classes
        self.normalize = normalize
        self.reset_state()

    def reset_state(self) -> None:
        self.counts: NDArray[Any] = np.zeros((self.num_classes or 1,) * 2)  # the first batch widens it

    def update_state(
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> None:
        scores = np.asarray(y_pred)
        classes = self.num_classes or (scores.shape[1] if scores.ndim == 2 and scores.shape[1] > 1 else 2)
        if scores.ndim == 1 or scores.shape[1:] == (1,):
            scores = scores.reshape(-1) > 0.5
        counts = confusion_matrix(y_true, scores, classes, sample_weight=sample_weight)
        self.counts = self.counts + counts

    def result(self) -> NDArray[Any]:
        return normalized(self.counts.copy(), self.normalize)
