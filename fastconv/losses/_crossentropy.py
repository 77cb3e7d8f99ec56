"""What the cross-entropies share: how probabilities are clipped, and the checks of their arguments.

Probabilities are clipped to [ε, 1 - ε], ε = 1e-7, before their logarithm is taken, so that a probability
of 0 costs 16.1 and not infinity. Where the clipping acts, the derivative is 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv._core.checks import unsupported_argument
from fastconv.losses.loss import EPSILON, Array, Loss


def clip(probability: Array) -> Array:
    """p, but at least ε and at most 1 - ε."""
    return np.clip(probability, EPSILON, 1 - EPSILON)


def is_clipped(probability: Array) -> Array:
    """Where the clipping acts. Not where p is NaN, which so reaches the gradient."""
    return (probability < EPSILON) | (probability > 1 - EPSILON)


def check_axis(owner: str, axis: int) -> None:
    if axis != -1:
        raise unsupported_argument(owner, "axis", "the classes are the last axis (axis=-1)")


def check_classes(owner: str, prediction: Array) -> None:
    if prediction.ndim == 0 or prediction.shape[-1] < 2:
        raise ValueError(
            f"{owner} compares classes along the last axis, and y_pred of shape {prediction.shape} has fewer "
            "than 2: for two classes and one output use binary_crossentropy"
        )


class SmoothedCrossentropy(Loss):
    """Base of those whose targets are floats, and so can be smoothed.

    from_logits       y_pred are scores, any real numbers, and not yet probabilities
    label_smoothing   from 0 to 1: how far targets move towards "don't know"
    """

    default_name: str

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(name or self.default_name, reduction, dtype)
        check_axis(type(self).__name__, axis)
        if not 0 <= label_smoothing <= 1:
            raise ValueError(f"label_smoothing must lie between 0 and 1, got {label_smoothing!r}")
        self.from_logits = bool(from_logits)
        self.label_smoothing = label_smoothing
