"""The Poisson loss: predict how many events there will be."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from fastconv.losses._plain import PlainLoss
from fastconv.losses.loss import EPSILON, Array


class Poisson(PlainLoss):
    """l = mean_d [p_d - t_d log(p_d + ε)], ε = 1e-7, over the last axis; ∂l/∂p_d = (1 - t_d / (p_d + ε)) / D.

    That is -log of the Poisson probability of t events where p are expected, but for log t!, on which p has
    no influence.
    """

    default_name = "poisson"

    def call(self, y_true: Array, y_pred: Array) -> Array:
        return np.mean(y_pred - y_true * np.log(y_pred + EPSILON), axis=-1)

    def derivative(self, y_true: Array, y_pred: Array) -> Array:
        return (1 - y_true / (y_pred + EPSILON)) / y_pred.shape[-1]


def poisson(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """One ``Poisson`` loss per sample, averaged over the last axis: (N, ..., D) -> (N, ...)."""
    return Poisson().per_sample(y_true, y_pred)
