"""Beginning again from a known state."""

from __future__ import annotations

import random

import numpy as np

from fastconv._core.names import restart_names
from fastconv._core.randomness import seed_generator


def set_random_seed(seed: int) -> None:
    """Make everything random repeatable: Python's ``random``, NumPy's global generator and fastconv's own.

    The same seed, program, machine and instruction set then give bitwise the same weights after training,
    whatever the number of threads.
    """
    if not hasattr(seed, "__index__") or isinstance(seed, bool) or not 0 <= int(seed) < 2**32:
        raise ValueError(f"seed must be a whole number from 0 to 2**32 - 1, got {seed!r}")
    random.seed(int(seed))
    np.random.seed(int(seed))  # noqa: NPY002 - callers may draw from it
    seed_generator(int(seed))


def clear_session() -> None:
    """Name layers from "conv2d", "dense", ... on again."""
    restart_names()
