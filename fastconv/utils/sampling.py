"""Mean and spread of many predictions of the same examples."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from fastconv.layers._arguments import whole
from fastconv.parameter import Array


class MonteCarlo(NamedTuple):
    """What ``samples`` predictions have in common, and how they differ; arrays of a prediction's shape."""

    mean: Array
    std: Array


def sampled(
    x: Array, samples: int, batch_size: int | None, sampler: Callable[[Array], Callable[[], Array]]
) -> MonteCarlo:
    """Mean and standard deviation of ``samples`` predictions for each of the examples x (N, ...).

    ``sampler(batch)`` returns a function that predicts the batch anew each time it is called. ``batch_size``
    is 32 if None.
    """
    samples = whole(samples, "samples")
    step = 32 if batch_size is None else whole(batch_size, "batch_size")
    means, deviations = [], []
    for start in range(0, max(len(x), 1), step):
        predict = sampler(x[start : start + step])
        mean, squares = np.float64(0), np.float64(0)
        for sample in range(1, samples + 1):  # Welford 1962: no differences of large sums
            y = predict()
            away = y - mean
            mean = mean + away / sample
            squares = squares + away * (y - mean)
        means.append(mean)
        deviations.append(np.sqrt(squares / samples))
    return MonteCarlo(np.concatenate(means).astype(y.dtype), np.concatenate(deviations).astype(y.dtype))
