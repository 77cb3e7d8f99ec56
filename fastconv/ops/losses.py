"""Softmax and cross-entropy, together and in logarithms."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from fastconv import _kernels, reference
from fastconv.ops import _door
from fastconv.ops._door import Array


def log_softmax(x: ArrayLike) -> Array:
    """y_i = log(e^x_i / Σj e^x_j) along the last axis, without the quotient: no overflow, no log 0."""
    x = _door.array(x, "x")
    if x.ndim == 0:
        raise ValueError("log_softmax runs along the last axis, but got a single number")
    if _door.on_reference():
        return reference.log_softmax(x)
    y = _door.empty(x.shape)
    if y.size:
        _kernels.log_softmax(x.reshape(-1, x.shape[-1]), y.reshape(-1, x.shape[-1]))
    return y


def softmax_cross_entropy(
    logits: ArrayLike, labels: ArrayLike, sample_weight: ArrayLike | None = None
) -> tuple[float, Array]:
    """(loss, dlogits): loss = Σn w_n · (−Σi t_ni · log p_ni) / N with p = softmax(logits), and its gradient

    Parameters
    ----------
    logits : (N, classes)
    labels : class numbers (N,), or one-hot rows or other distributions t (N, classes)
    sample_weight : w (N,); ones if None

    Raises ValueError where shapes do not fit or a class number is not from 0 to classes − 1. The loss of an
    empty batch is 0.
    """
    logits = _door.array(logits, "logits", "N, classes")
    N, classes = logits.shape
    labels = _targets(labels, N, classes)
    if sample_weight is not None:
        sample_weight = _door.array(sample_weight, "sample_weight")
        _door.check_shape(sample_weight, "sample_weight", (N,), "one weight for each row of logits")
    if _door.on_reference():
        return reference.softmax_cross_entropy(logits, labels, sample_weight)
    dlogits = _door.empty(logits.shape)
    if not N:
        return 0.0, dlogits
    numbers, rows = (labels, None) if labels.ndim == 1 else (None, labels)
    return _kernels.softmax_cross_entropy(logits, numbers, rows, sample_weight, dlogits), dlogits


def _targets(labels: ArrayLike, N: int, classes: int) -> Array:
    """Class numbers as int64 (N,), or distributions as floats (N, classes)."""
    given = np.asarray(labels)
    if N and not classes:
        raise ValueError("logits have no classes: their last axis is empty")
    if given.ndim == 2:
        targets = _door.array(given, "labels")
        _door.check_shape(targets, "labels", (N, classes), "one row for each row of logits")
        return targets
    if given.dtype.kind not in "iub" and given.size:
        raise TypeError(f"labels (N,) must be whole class numbers; got dtype {given.dtype}")
    _door.check_shape(given, "labels", (N,), "one class number for each row of logits, or one-hot rows")
    if N and not 0 <= given.min() <= given.max() < classes:
        wrong = given[(given < 0) | (given >= classes)][0]
        raise ValueError(
            f"labels must be from 0 to {classes - 1}, as logits have {classes} classes; got {wrong}"
        )
    return _door.laid_out(given, np.int64)
