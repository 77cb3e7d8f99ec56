"""Mean and spread of many predictions of the same examples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from fastconv.graph import structure
from fastconv.graph.ports import length, taken
from fastconv.layers._arguments import whole
from fastconv.parameter import Array


class MonteCarlo(NamedTuple):
    """What ``samples`` predictions have in common, and how they differ; arrays of a prediction's shape, and
    of a model with several outputs nested as these are.
    """

    mean: Any
    std: Any


def sampled(
    x: Any, samples: int, batch_size: int | None, sampler: Callable[[Any], Callable[[], Any]]
) -> MonteCarlo:
    """Mean and standard deviation of ``samples`` predictions for each of the examples x, one array (N, ...)
    or ``Several``.

    ``sampler(batch)`` returns a function that predicts the batch anew each time it is called. ``batch_size``
    is 32 if None.
    """
    samples = whole(samples, "samples")
    step = 32 if batch_size is None else whole(batch_size, "batch_size")
    means: list[list[Array]] = []
    deviations: list[list[Array]] = []
    for start in range(0, max(length(x), 1), step):
        predict = sampler(taken(x, slice(start, start + step)))
        running: list[_Running] = []
        for _ in range(samples):
            prediction = predict()
            outputs = structure.leaves(prediction)
            running = running or [_Running() for _ in outputs]
            for one, y in zip(running, outputs, strict=True):
                one.add(y)
        means.append([one.mean.astype(y.dtype) for one, y in zip(running, outputs, strict=True)])
        deviations.append([one.deviation().astype(y.dtype) for one, y in zip(running, outputs, strict=True)])

    def nested(batches: list[list[Array]]) -> Any:
        return structure.packed(prediction, map(np.concatenate, zip(*batches, strict=True)))

    return MonteCarlo(nested(means), nested(deviations))


class _Running:
    """Mean and deviation of what was added so far: Welford 1962, without differences of large sums."""

    def __init__(self) -> None:
        self.count, self.mean, self._squares = 0, np.float64(0), np.float64(0)

    def add(self, y: Array) -> None:
        self.count += 1
        away = y - self.mean
        self.mean = self.mean + away / self.count
        self._squares = self._squares + away * (y - self.mean)

    def deviation(self) -> Any:
        return np.sqrt(self._squares / self.count)
