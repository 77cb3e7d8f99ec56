"""Softmax and cross-entropy: how surprised the network is by the right answer.

    p = softmax(z)      l = −Σi t_i · log p_i      log p_i = z_i − max z − log Σj e^(z_j − max z)

    loss = Σn w_n · l_n / N          dlogits[n,i] = w_n · (p_i · Σj t_j − t_i) / N

t is the target: 1 for the right class and 0 elsewhere, so that l = −log p_right and the gradient is simply
p − t. Computing both together needs neither log 0 nor a division by a vanishing p.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastconv.reference import ieee
from fastconv.reference.activations import log_softmax_of_row

Array = NDArray[np.float64]


def log_softmax(x: ArrayLike) -> Array:
    """log p along the last axis."""
    x = np.asarray(x, np.float64)
    if x.size == 0:
        return np.empty(x.shape)
    rows = x.reshape(-1, x.shape[-1]).tolist()
    return np.array([log_softmax_of_row(row) for row in rows], np.float64).reshape(x.shape)


def softmax_cross_entropy(
    logits: ArrayLike, labels: ArrayLike, sample_weight: ArrayLike | None = None
) -> tuple[float, Array]:
    """The mean loss and its gradient at the logits (N, C).

    ``labels`` are class numbers (N,) or target distributions (N, C). The loss of an empty batch is 0.
    """
    logits, labels = np.asarray(logits, np.float64), np.asarray(labels)
    N, classes = logits.shape
    weights = [1.0] * N if sample_weight is None else np.asarray(sample_weight, np.float64).tolist()

    loss = 0.0
    dlogits = np.empty((N, classes))
    for n, (row, label) in enumerate(zip(logits.tolist(), labels.tolist(), strict=True)):
        target = label if labels.ndim == 2 else [float(i == label) for i in range(classes)]
        log_p = log_softmax_of_row(row)
        for t, log_probability in zip(target, log_p, strict=True):
            if t != 0:  # 0 · log 0 is 0: an impossible class that is not the answer costs nothing
                loss -= weights[n] / N * t * log_probability
        for i in range(classes):
            dlogits[n, i] = weights[n] / N * (ieee.exp(log_p[i]) * sum(target) - target[i])
    return loss, dlogits
