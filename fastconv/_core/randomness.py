"""The one source of randomness: weights, shuffling and the seeds of dropout all draw from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np
from numpy.typing import NDArray

_generator = np.random.default_rng()


def generator() -> np.random.Generator:
    """The global generator; ``fastconv.utils.set_random_seed`` restarts it."""
    return _generator


def seed_generator(seed: int) -> None:
    global _generator
    _generator = np.random.default_rng(seed)


def generator_for(seed: int | np.random.Generator | None) -> np.random.Generator:
    """A generator of its own for a given seed, the global one for None; a generator is its own."""
    return _generator if seed is None else np.random.default_rng(seed)


def truncated_standard_normal(random: np.random.Generator, shape: Sequence[int]) -> NDArray[np.float64]:
    """Standard normal numbers, those outside ±2 drawn again."""
    values = random.standard_normal(tuple(shape))
    outside = np.abs(values) > 2
    while np.any(outside):
        values[outside] = random.standard_normal(np.count_nonzero(outside))
        outside = np.abs(values) > 2
    return values


def drawn_seed() -> int:
    """A seed of 64 bits, drawn from the global generator."""
    return int(_generator.integers(2**64, dtype=np.uint64))


def generator_state() -> dict[str, Any]:
    """Where the global generator is, in plain numbers and strings that JSON can hold."""
    return dict(_generator.bit_generator.state)


def set_generator_state(state: dict[str, Any]) -> None:
    """Go on where ``generator_state`` was taken."""
    _generator.bit_generator.state = state


# ---- batches that are prepared ahead of time ----------------------------------------------------
#
# A thread that augments batches runs ahead of the training, and how far differs from run to run. So its
# layers neither share the global generator with the training nor count their draws from batch to batch: the
# numbers for batch n of epoch e are a function of a seed, e and n. They are the same however many batches
# wait, and a training that goes on in the middle of an epoch need not make the batches before.


class BatchRandom:
    """The random numbers of batch ``number`` of an epoch.

    ``seed`` is for layers that have none of their own. Those of the same seed draw the same numbers, so that
    images and their masks can be changed alike.
    """

    def __init__(self, seed: int, epoch: int, number: int) -> None:
        self._place = epoch, number
        self._generator = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=self._place))
        self._calls: Counter[Any] = Counter()

    def draw(self, layer: Any, seed: int | None) -> tuple[int, int]:
        """(seed, call): what the next random numbers of a layer follow from; a new one each time."""
        if seed is None:
            return int(self._generator.integers(2**64, dtype=np.uint64)), 0
        call, self._calls[layer] = self._calls[layer], self._calls[layer] + 1
        sequence = np.random.SeedSequence(seed, spawn_key=self._place)
        return int(sequence.generate_state(1, np.uint64)[0]), call


_current: ContextVar[BatchRandom | None] = ContextVar("fastconv.batch_random", default=None)


def batch_random() -> BatchRandom | None:
    """What random layers draw from while a batch is prepared; None at all other times."""
    return _current.get()


@contextmanager
def drawing_for_batch(seed: int, epoch: int, number: int) -> Iterator[None]:
    """In the block, and in this thread only, random numbers are those of a batch."""
    before = _current.set(BatchRandom(seed, epoch, number))
    try:
        yield
    finally:
        _current.reset(before)
