"""The logarithm of cosh: like Huber's loss, but smooth everywhere."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from fastconv.losses._plain import PlainLoss
from fastconv.losses.loss import Array


class LogCosh(PlainLoss):
    """l = mean_d log cosh(p_d - t_d), over the last axis; ∂l/∂p_d = tanh(p_d - t_d) / D.

    log cosh e is about e² / 2 for a small error e and |e| - log 2 for a large one; it is computed as
    |e| + log(1 + exp(-2 |e|)) - log 2, which overflows nowhere.
    """

    default_name = "log_cosh"

    def call(self, y_true: Array, y_pred: Array) -> Array:
        size = np.abs(y_pred - y_true)
        return np.mean(size + np.log1p(np.exp(-2 * size)) - math.log(2), axis=-1)

    def derivative(self, y_true: Array, y_pred: Array) -> Array:
        return np.tanh(y_pred - y_true) / y_pred.shape[-1]


def log_cosh(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """log cosh of the errors, averaged over the last axis: (N, ..., D) -> (N, ...)."""
    return LogCosh().per_sample(y_true, y_pred)
