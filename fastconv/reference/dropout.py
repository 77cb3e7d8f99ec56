"""Dropout: each number is switched off with probability ``rate``.

    y_i = scale · x_i + shift  where  word_i ≥ rate · 2³²,  else  fill

word_i is a random whole number from 0 to 2³² − 1, a function of seed, call, the image's number and the place
of number i within its image (``threefry.py``).
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
    first_image: int = 0,
) -> Array:
    """``scale`` is 1 / (1 − rate) if None, which keeps the expected value.

    The leading axis of x counts images, ``first_image`` and up; what has no other axis is one image.
    """
    x = np.asarray(x, np.float64)
    if scale is None:
        scale = 1 / (1 - rate) if rate < 1 else 0.0
    threshold = round(rate * 2**32)
    images = x.reshape(len(x), -1) if x.ndim > 1 and x.size else x.reshape(1, -1)
    return np.array(
        [
            [
                scale * value + shift if word >= threshold else fill
                for value, word in zip(
                    image.tolist(), random_words(seed, call, first_image + n), strict=False
                )
            ]
            for n, image in enumerate(images)
        ],
        np.float64,
    ).reshape(x.shape)
