"""The one source of randomness: weights, shuffling and the seeds of dropout all draw from it."""

from __future__ import annotations

from collections.abc import Sequence
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
