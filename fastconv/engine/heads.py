"""Losses that C knows, as the end of a training program (csrc/loss.c)."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from fastconv._core.targets import broadcast_weights
from fastconv._core.versions import is_exactly
from fastconv.losses import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    Huber,
    Loss,
    MeanAbsoluteError,
    MeanSquaredError,
    SparseCategoricalCrossentropy,
)
from fastconv.losses.loss import EPSILON
from fastconv.parameter import Array

_KINDS: dict[type[Loss], str] = {
    SparseCategoricalCrossentropy: "softmax_cross_entropy",
    CategoricalCrossentropy: "softmax_cross_entropy",
    BinaryCrossentropy: "sigmoid_cross_entropy",
    MeanSquaredError: "squared",
    MeanAbsoluteError: "absolute",
    Huber: "huber",
}
_OF_LOGITS = (SparseCategoricalCrossentropy, CategoricalCrossentropy, BinaryCrossentropy)

# What -log p of a clipped probability is at least and at most.
_LIMITS = -math.log(np.float32(1 - EPSILON)), -math.log(EPSILON)


def has_head(loss: Loss, fused: bool) -> bool:
    """Whether C takes this loss, of an output's logits where it is ``fused`` with the last activation.

    Not of a class that extends one of these, for that has a derivative of its own; nor of probabilities that
    come from elsewhere than the activation that belongs to the loss.
    """
    if not is_exactly(loss, *_KINDS) or loss.reduction not in ("sum_over_batch_size", "sum"):
        return False
    return fused or not isinstance(loss, _OF_LOGITS) or loss.from_logits


class Head(NamedTuple):
    """What C is told of a loss, whatever the batch.

    kind      in _kernels.LOSSES
    delta     Huber's
    limits    of every −log p, where p is clipped; (0, 0) for none
    sparse    whether targets are labels
    """

    kind: str
    delta: float
    limits: tuple[float, float]
    sparse: bool


def head_of(loss: Loss) -> Head:
    """Of a loss that ``has_head``."""
    kind = type(loss)
    clipped = kind in _OF_LOGITS and not loss.from_logits  # type: ignore[attr-defined]
    return Head(
        _KINDS[kind],
        float(loss.delta) if kind is Huber else 0.0,  # type: ignore[attr-defined]
        _LIMITS if clipped else (0.0, 0.0),
        kind is SparseCategoricalCrossentropy,
    )


class Judged(NamedTuple):
    """One output's loss on one batch, as _kernels.Program.train takes it, and what is made of it.

    scale     of each image's gradient: factor times the weight of this loss among others
    losses    (N,), to be filled: each image's, the mean over its places
    exact     whether they are the loss to the last bits. Not where it is that of 1 − p, of probabilities p
              rounded to floats: C has the logits, and knows 1 − p better
    factor    loss(y_true, y_pred, sample_weight) is factor · Σ weights · losses
    """

    kind: str
    delta: float
    limits: tuple[float, float]
    labels: Array | None
    rows: Array | None
    weights: Array | None
    scale: float
    losses: Array
    factor: float
    exact: bool

    def in_c(self) -> tuple[Any, ...]:
        """For ``engine.Program.train``."""
        return self[:-2]

    def value(self) -> float:
        """The loss, once the losses of the images are there."""
        losses = self.losses if self.weights is None else self.losses * self.weights
        return float(np.add.reduce(losses, dtype=np.float64)) * self.factor


def judged(loss: Loss, y_true: Any, y_pred: Array, sample_weight: Any, weight: float) -> Judged | None:
    """``weight`` times the loss that ``has_head`` of outputs of the shape of ``y_pred``, whatever is in it.

    None where there is a weight for each place of an image. Raises ValueError where targets or weights do not
    fit, as ``loss(y_true, y_pred, sample_weight)`` does.
    """
    N = len(y_pred)
    target, prediction = loss.prepare(y_true, y_pred)
    samples = prediction.shape[:-1]
    weights = None
    if sample_weight is not None:
        weights = broadcast_weights(sample_weight, samples, np.float32)
        if weights.size != N or weights.shape[:1] != (N,):
            return None
        weights = np.ascontiguousarray(weights.reshape(N))
    head = head_of(loss)
    factor = loss.scale(samples) * math.prod(samples[1:])
    return Judged(
        head.kind,
        head.delta,
        head.limits,
        np.ascontiguousarray(target, np.int64) if head.sparse else None,
        None if head.sparse else np.ascontiguousarray(target, np.float32),
        weights,
        weight * factor,
        np.empty(N, np.float32),
        factor,
        exact=not (head.limits[1] and type(loss) is BinaryCrossentropy),
    )


def made_up_targets(loss: Loss, shape: tuple[int, ...]) -> Array:
    """Some targets for outputs of this shape, for a loss that ``has_head``."""
    if type(loss) is SparseCategoricalCrossentropy:
        return np.zeros(shape[:-1], np.int64)
    return np.zeros(shape, np.float32)
