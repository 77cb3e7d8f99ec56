"""Class labels in other forms."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from fastconv.parameter import Array


def to_categorical(x: ArrayLike, num_classes: int | None = None) -> Array:
    """Labels 0..C-1 as one-hot rows: (N,) or (N, 1) → (N, C), float32.

    ``num_classes`` is the largest label plus one where None. Raises ValueError for labels outside 0..C-1.
    """
    labels = np.asarray(x)
    if labels.ndim > 1 and labels.shape[-1] == 1:
        labels = labels[..., 0]
    if labels.dtype.kind not in "iub" and not (
        labels.dtype.kind == "f" and np.all(labels == np.rint(labels))
    ):
        raise ValueError(f"to_categorical needs whole-number labels, got {labels.dtype}")
    labels = labels.astype(np.int64)
    if num_classes is None:
        if labels.size == 0:
            raise ValueError("to_categorical of no labels needs num_classes")
        num_classes = int(labels.max()) + 1
    if labels.size and (labels.min() < 0 or labels.max() >= num_classes):
        wrong = labels[(labels < 0) | (labels >= num_classes)].flat[0]
        raise ValueError(f"label {wrong} is outside 0..{num_classes - 1}")
    return np.eye(num_classes, dtype=np.float32)[labels]
