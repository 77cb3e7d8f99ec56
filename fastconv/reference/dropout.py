"""Dropout: each number is switched off with probability ``rate``.

    y_i = scale · x_i + shift  where  word_i ≥ rate · 2³²,  else  fill

word_i is a random whole number from 0 to 2³² − 1, a function of seed, call and i (``threefry.py``).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastconv.reference.threefry import random_words

Array = NDArray[np.float64]


def dropout(
    x: ArrayLike,
    rate: float,
    seed: int,
    call: int = 0,
    *,
    scale: float | None = None,
    shift: float = 0.0,
    fill: float = 0.0,
) -> Array:
    """``scale`` is 1 / (1 − rate) if None, which keeps the expected value."""
    x = np.asarray(x, np.float64)
    if scale is None:
        scale = 1 / (1 - rate) if rate < 1 else 0.0
    threshold = round(rate * 2**32)
    numbers = zip(x.ravel().tolist(), random_words(seed, call), strict=False)
    return np.array(
        [scale * value + shift if word >= threshold else fill for value, word in numbers], np.float64
    ).reshape(x.shape)
