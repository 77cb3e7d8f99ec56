"""What was taken for what: the table of right and wrong answers."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastconv._core.checks import unknown_name
from fastconv._core.targets import broadcast_weights
from fastconv.parameter import Array

_AXES = {"true": 1, "pred": 0, "all": None}


def confusion_matrix(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    num_classes: int | None = None,
    normalize: str | None = None,
    sample_weight: ArrayLike | None = None,
) -> Array:
    """matrix[i, j]: how many examples of class i were taken for class j; (classes, classes).

    Parameters
    ----------
    y_true : labels (N,) or (N, 1), or one-hot rows (N, C)
    y_pred : labels likewise, or scores (N, C), whose largest counts, the first on a tie
    num_classes : where None, the number of columns, or the largest label plus one
    normalize : None for counts; "true" divides each row by its sum, so that the diagonal holds the recalls,
        "pred" each column, for the precisions, "all" by the sum of everything. What is 0 stays 0
    sample_weight : (N,), what each example counts

    Counts are int64, all else is float64. Raises ValueError for labels outside 0..num_classes-1.

    >>> confusion_matrix(y_test, model.predict(x_test), normalize="true")
    """
    if normalize is not None and normalize not in _AXES:
        raise unknown_name("normalize", normalize, _AXES)
    true, wide_true = _labels(y_true, "y_true")
    taken, wide_taken = _labels(y_pred, "y_pred")
    if len(true) != len(taken):
        raise ValueError(
            f"y_true and y_pred must have the same length, got {np.shape(y_true)} and {np.shape(y_pred)}"
        )
    if num_classes is None:
        largest = max(true.max(initial=-1), taken.max(initial=-1))
        num_classes = max(wide_true, wide_taken, int(largest) + 1)
    for name, labels in (("y_true", true), ("y_pred", taken)):
        outside = (labels < 0) | (labels >= num_classes)
        if outside.any():
            raise ValueError(f"{name}: label {labels[outside][0]} is outside 0..{num_classes - 1}")
    weights = None if sample_weight is None else broadcast_weights(sample_weight, true.shape, np.float64)
    cells = np.bincount(true * num_classes + taken, weights, minlength=num_classes**2)
    return normalized(cells.reshape(num_classes, num_classes), normalize)


def normalized(matrix: Array, normalize: str | None) -> Array:
    """A matrix of counts, divided as ``confusion_matrix`` says."""
    if normalize is None:
        return matrix
    total = np.broadcast_to(matrix.sum(axis=_AXES[normalize], keepdims=True), matrix.shape)
    return np.divide(matrix, total, out=np.zeros(matrix.shape), where=total != 0)


def _labels(given: ArrayLike, name: str) -> tuple[NDArray[np.int64], int]:
    """Labels (N,), and how many columns they were found in, 0 where they were labels already."""
    array = np.asarray(given)
    if array.ndim == 2 and array.shape[1] > 1:
        return array.argmax(axis=1), array.shape[1]
    if array.ndim == 2:
        array = array[:, 0]
    if array.ndim != 1:
        raise ValueError(f"{name} must be labels (N,) or scores (N, classes), got shape {np.shape(given)}")
    labels = array.astype(np.int64)
    if (labels != array).any():
        broken = array[labels != array][0]
        raise ValueError(
            f"{name} must be whole-number labels, got {broken}; for one score per example between 0 and 1 "
            f"give {name} > 0.5"
        )
    return labels, 0
