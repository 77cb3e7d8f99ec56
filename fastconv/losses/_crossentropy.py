"""What the three cross-entropies share: how probabilities are clipped, and the checks of their arguments.

Probabilities are clipped to [ε, 1 - ε], ε = 1e-7, before their logarithm is taken, so that a probability
of 0 costs 16.1 and not infinity. Where the clipping acts, the derivative is 0.
"""

from __future__ import annotations

import numpy as np

from fastconv._errors import unsupported_argument
from fastconv.losses.loss import Array

EPSILON = 1e-7


def clip(probability: Array) -> Array:
    """p, but at least ε and at most 1 - ε."""
    return np.clip(probability, EPSILON, 1 - EPSILON)


def is_clipped(probability: Array) -> Array:
    """Where the clipping acts. Not where p is NaN, which so reaches the gradient."""
    return (probability < EPSILON) | (probability > 1 - EPSILON)


def check_smoothing(label_smoothing: float) -> float:
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"label_smoothing must lie between 0 and 1, got {label_smoothing!r}")
    return label_smoothing


def check_axis(owner: str, axis: int) -> None:
    if axis != -1:
        raise unsupported_argument(owner, "axis", "the classes are the last axis (axis=-1)")


def check_classes(owner: str, prediction: Array) -> None:
    if prediction.ndim == 0 or prediction.shape[-1] < 2:
        raise ValueError(
            f"{owner} compares classes along the last axis, and y_pred of shape {prediction.shape} has fewer "
            "than 2: for two classes and one output use binary_crossentropy"
        )
