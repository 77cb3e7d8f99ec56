"""Random numbers of a given spread."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fastconv._core.checks import is_whole
from fastconv._core.randomness import generator_for, truncated_standard_normal
from fastconv.initializers.initializer import Initializer
from fastconv.parameter import Array


class RandomInitializer(Initializer):
    """Base of the random ones: ``seed=None`` draws from the global generator."""

    def __init__(self, seed: int | None = None) -> None:
        if seed is not None and not is_whole(seed):
            raise ValueError(f"seed must be a whole number or None, got {seed!r}")
        self.seed = None if seed is None else int(seed)

    def _uniform(self, shape: Sequence[int], low: float, high: float) -> Array:
        return generator_for(self.seed).uniform(low, high, shape).astype(np.float32)

    def _normal(self, shape: Sequence[int], mean: float, stddev: float) -> Array:
        return generator_for(self.seed).normal(mean, stddev, shape).astype(np.float32)

    def _truncated_normal(self, shape: Sequence[int], mean: float, stddev: float) -> Array:
        """Normal numbers, those further than two standard deviations from the mean drawn again."""
        values = truncated_standard_normal(generator_for(self.seed), shape)
        return (mean + stddev * values).astype(np.float32)


class RandomUniform(RandomInitializer):
    """Evenly distributed in [minval, maxval)."""

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: int | None = None) -> None:
        super().__init__(seed)
        self.minval, self.maxval = minval, maxval

    def __call__(self, shape: Sequence[int]) -> Array:
        return self._uniform(shape, self.minval, self.maxval)


class RandomNormal(RandomInitializer):
    """Normally distributed."""

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None) -> None:
        super().__init__(seed)
        self.mean, self.stddev = mean, stddev

    def __call__(self, shape: Sequence[int]) -> Array:
        return self._normal(shape, self.mean, self.stddev)


class TruncatedNormal(RandomNormal):
    """Normally distributed, values beyond two ``stddev`` drawn again (so the result deviates by 0.88
    ``stddev``).
    """

    def __call__(self, shape: Sequence[int]) -> Array:
        return self._truncated_normal(shape, self.mean, self.stddev)


class RandomSigns(RandomInitializer):
    """−1 or 1, as likely the one as the other: codes of many bits drawn so are far from each other."""

    def __call__(self, shape: Sequence[int]) -> Array:
        return 2 * generator_for(self.seed).integers(0, 2, shape).astype(np.float32) - 1
