"""One number a class, and which of them is looked at."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fastconv.models import Model
from fastconv.models.answers import as_scores
from fastconv.parameter import Array


def chosen_labels(model: Model, y: Array, labels: Array | None) -> Array:
    """The class of each image, for the model's outputs y: ``labels``, or where None the one the model says.

    Raises ValueError where y is not (N, classes), or has no such class.
    """
    if y.ndim != 2:
        raise ValueError(
            f"{model} has outputs {('N', *y.shape[1:])}, which are not class scores (N, classes)"
        )
    if labels is None:
        return as_scores(model, y).argmax(axis=1)
    if not ((labels >= 0) & (labels < y.shape[1])).all():
        raise ValueError(f"{model} has the classes 0 to {y.shape[1] - 1}, got label={labels.tolist()}")
    return labels


def one_hot(labels: Array, like: Array) -> Array:
    """1 for each image's class, 0 elsewhere, in the shape and type of ``like`` (N, classes)."""
    hot = np.zeros_like(like)
    hot[np.arange(len(labels)), labels] = 1
    return hot


def class_titles(
    model: Model, images: Array, labels: Array | None, names: Sequence[str] | None
) -> tuple[Array, list[str]]:
    """The class of each image as in ``chosen_labels``, and its name (or number) with the model's output."""
    y = model.predict_on_batch(images)
    labels = chosen_labels(model, y, labels)
    called = [str(label) if names is None else names[label] for label in labels.tolist()]
    return labels, [
        f"{name} {y[n, label]:.2f}" for n, (name, label) in enumerate(zip(called, labels, strict=True))
    ]
