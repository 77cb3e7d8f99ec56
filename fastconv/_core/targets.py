"""Targets, predictions and weights as arrays that fit each other, for losses and metrics."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

Array = NDArray[Any]


def floats(values: ArrayLike, argument: str) -> Array:
    """``values`` as floats: float64 stays, whole numbers, bools and the rest of the floats become float32."""
    array = np.asarray(values)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{argument} must hold numbers, got an array of {array.dtype}")
    return array if array.dtype in (np.float32, np.float64) else array.astype(np.float32)


def align_ranks(first: Array, second: Array) -> tuple[Array, Array]:
    """Two arrays with the same number of axes, where one has a last axis of size 1 that the other lacks.

    (N,) beside (N, 1) becomes (N, 1); (N, H, 1) beside (N, H) becomes (N, H). All else returns as it is.
    """
    if first.ndim > second.ndim:
        second, first = align_ranks(second, first)
    elif second.ndim == first.ndim + 1 and second.shape[-1] == 1:
        if first.ndim == 1:
            first = first[:, None]
        else:
            second = second[..., 0]
    return first, second


def same_shape(y_true: ArrayLike, y_pred: ArrayLike, owner: str) -> tuple[Array, Array]:
    """Targets and predictions as floats of the predictions' type; ValueError unless shapes are alike."""
    target, prediction = align_ranks(floats(y_true, "y_true"), floats(y_pred, "y_pred"))
    if target.shape != prediction.shape:
        raise ValueError(
            f"{owner}: y_true and y_pred must have the same shape, got {np.shape(y_true)} and "
            f"{np.shape(y_pred)}"
        )
    return target.astype(prediction.dtype, copy=False), prediction


def broadcast_weights(sample_weight: ArrayLike, shape: tuple[int, ...], dtype: DTypeLike) -> Array:
    """Weights that multiply an array of ``shape``: one per sample (N,), or one for each of its elements.

    Raises ValueError where the weights do not belong to such an array.
    """
    weights = floats(sample_weight, "sample_weight").astype(dtype, copy=False)
    while weights.ndim > max(len(shape), 1) and weights.shape[-1] == 1:
        weights = weights[..., 0]
    fits = weights.ndim <= len(shape) and all(w in (1, n) for w, n in zip(weights.shape, shape, strict=False))
    if not fits:
        raise ValueError(
            f"sample_weight must hold one weight per sample: shape {shape[:1]}"
            + (f" or {shape}" if len(shape) > 1 else "")
            + f", got {np.shape(sample_weight)}"
        )
    return weights.reshape(weights.shape + (1,) * (len(shape) - weights.ndim))


def kind_of_targets(y_true: ArrayLike, y_pred: ArrayLike) -> str:
    """What a classifier's targets are: "binary" for a single output, "sparse" for labels, or "categorical".

    Labels (N,) or (N, 1) are sparse; targets as wide as the predictions (N, C) are categorical.
    """
    target, prediction = np.shape(y_true), np.shape(y_pred)
    if prediction[-1:] == (1,):
        return "binary"
    return "sparse" if len(target) < len(prediction) or target[-1:] == (1,) else "categorical"


def class_labels(
    y_true: ArrayLike, prediction: Array, owner: str, one_hot_owner: str | None = None
) -> NDArray[np.intp]:
    """Whole-number labels for class scores ``prediction`` (N, ..., C); shape (N, ...).

    Raises ValueError for one-hot targets, which ``one_hot_owner`` takes (None: nobody does), for a shape that
    does not fit and for labels outside 0..C-1.
    """
    labels, classes = np.asarray(y_true), prediction.shape[-1]
    if labels.shape == (*prediction.shape[:-1], 1):
        labels = labels[..., 0]
    if labels.shape == prediction.shape and classes > 1:
        raise ValueError(
            f"{owner} expects whole-number labels of shape {prediction.shape[:-1]}, got y_true of shape "
            f"{labels.shape}, the shape of one-hot targets: use "
            + (f"{one_hot_owner}, or " if one_hot_owner else "")
            + "labels = y_true.argmax(axis=-1)"
        )
    if labels.shape != prediction.shape[:-1]:
        raise ValueError(
            f"{owner} expects labels of shape {prediction.shape[:-1]} for y_pred of shape "
            f"{prediction.shape}, got {np.shape(y_true)}"
        )
    if labels.dtype.kind not in "iub":
        labels = _whole_numbers(floats(labels, "y_true"), owner)
    if labels.size:
        outside = (labels < 0) | (labels >= classes)
        if outside.any():
            raise ValueError(
                f"{owner}: {_first(labels, outside)} is outside 0..{classes - 1}, the {classes} classes of "
                f"y_pred {prediction.shape}: give the last layer more units, or number the classes from 0"
            )
    return labels.astype(np.intp, copy=False)


def check_one_hot(y_true: ArrayLike, prediction: Array, owner: str, label_owner: str | None = None) -> None:
    """Raise a ValueError unless ``y_true`` has the shape of ``prediction`` (N, ..., C).

    It sends whole-number labels to ``label_owner``, if there is one.
    """
    shape = np.shape(y_true)
    if shape == prediction.shape:
        return
    if shape in (prediction.shape[:-1], (*prediction.shape[:-1], 1)):
        raise ValueError(
            f"{owner} expects one-hot targets of shape {prediction.shape}, got y_true of shape {shape}, the "
            "shape of whole-number labels: use "
            + (f"{label_owner}, or " if label_owner else "")
            + f"utils.to_categorical(y_true, {prediction.shape[-1]})"
        )
    raise ValueError(
        f"{owner}: y_true and y_pred must have the same shape, got {shape} and {prediction.shape}"
    )


def _whole_numbers(labels: Array, owner: str) -> NDArray[np.int64]:
    broken = ~np.isfinite(labels) | (labels != np.floor(labels))
    if broken.any():
        raise ValueError(f"{owner} expects whole-number labels, but {_first(labels, broken)} is not one")
    return labels.astype(np.int64)


def _first(labels: Array, where: NDArray[np.bool_]) -> str:
    index = tuple(int(i) for i in np.argwhere(where)[0])
    return f"label {labels[index]} at index {index[0] if len(index) == 1 else index} of the batch"
