"""Random arrays, float32 where they are not whole numbers.

>>> random.normal((2, 3))           # from the generator that utils.set_random_seed restarts
>>> random.normal((2, 3), seed=1)   # the same numbers every time

``seed`` may also be a ``np.random.Generator``, which goes on from call to call, as Keras' SeedGenerator does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from fastconv._core.names import publish
from fastconv._core.randomness import generator_for, truncated_standard_normal
from fastconv.parameter import Array

__all__ = ["normal", "randint", "shuffle", "truncated_normal", "uniform"]

AnyType = DTypeLike | None
Seed = int | np.random.Generator | None


def normal(
    shape: Sequence[int],
    mean: float = 0.0,
    stddev: float = 1.0,
    dtype: AnyType = None,
    seed: Seed = None,
) -> Array:
    """Normally distributed numbers."""
    return generator_for(seed).normal(mean, stddev, shape).astype(_floats(dtype))


def truncated_normal(
    shape: Sequence[int],
    mean: float = 0.0,
    stddev: float = 1.0,
    dtype: AnyType = None,
    seed: Seed = None,
) -> Array:
    """Normally distributed numbers, none further than two standard deviations from the mean."""
    values = mean + stddev * truncated_standard_normal(generator_for(seed), shape)
    return values.astype(_floats(dtype))


def uniform(
    shape: Sequence[int],
    minval: float = 0.0,
    maxval: float = 1.0,
    dtype: AnyType = None,
    seed: Seed = None,
) -> Array:
    """Numbers evenly distributed from minval to maxval; below maxval and whole where the dtype is whole."""
    if np.dtype(_floats(dtype)).kind in "iu":
        return randint(shape, int(minval), int(maxval), dtype, seed)
    return generator_for(seed).uniform(minval, maxval, shape).astype(_floats(dtype))


def randint(
    shape: Sequence[int], minval: int, maxval: int, dtype: AnyType = "int32", seed: Seed = None
) -> Array:
    """Whole numbers evenly distributed in [minval, maxval)."""
    return generator_for(seed).integers(minval, maxval, shape, dtype=np.dtype(dtype))


def shuffle(x: ArrayLike, axis: int = 0, seed: Seed = None) -> Array:
    """A copy of ``x`` with its slices along ``axis`` in a random order."""
    return generator_for(seed).permutation(np.asarray(x), axis=axis)


def _floats(dtype: AnyType) -> Any:
    return np.float32 if dtype is None else dtype


publish(__name__)
