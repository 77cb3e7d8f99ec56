"""The one source of randomness: weights, shuffling and dropout all draw from it."""

from __future__ import annotations

import numpy as np

_generator = np.random.default_rng()


def generator() -> np.random.Generator:
    """The global generator; ``fastconv.utils.set_random_seed`` restarts it."""
    return _generator


def seed_generator(seed: int) -> None:
    global _generator
    _generator = np.random.default_rng(seed)


def generator_for(seed: int | None) -> np.random.Generator:
    """A generator of its own for a given seed, the global one for None."""
    return _generator if seed is None else np.random.default_rng(seed)
