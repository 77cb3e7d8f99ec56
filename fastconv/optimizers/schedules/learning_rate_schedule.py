"""The base class of learning-rate schedules."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastconv._core.configuration import call_of

Steps = NDArray[np.float64]


class LearningRateSchedule:
    """A function from the number of steps taken (0 before the first) to the learning rate of the next.

    >>> schedule = ExponentialDecay(0.1, decay_steps=100, decay_rate=0.5)
    >>> schedule(200)
    0.025

    Those here take arrays of steps as well. One of your own overrides ``__call__``; its constructor's
    arguments, kept as attributes of the same names, are its configuration.
    """

    def __call__(self, step: ArrayLike) -> Any:
        raise NotImplementedError(
            f"{type(self).__name__} must define __call__(self, step), which returns the learning rate"
        )

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments; ``from_config`` is the way back."""
        arguments = inspect.signature(type(self)).parameters
        for argument in arguments:
            if not hasattr(self, argument):
                raise NotImplementedError(
                    f"{type(self).__name__} cannot be saved: keep the argument {argument!r} as "
                    f"self.{argument}, or define get_config(self)"
                )
        return {argument: getattr(self, argument) for argument in arguments}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> LearningRateSchedule:
        return cls(**config)

    def __repr__(self) -> str:
        return call_of(self)


def steps(step: ArrayLike) -> Steps:
    """``step`` as floats: a number, or an array of them."""
    return np.asarray(step, np.float64)


def positive(argument: str, value: float) -> float:
    """``value`` if it is a finite number above 0; else ValueError."""
    if not 0 < value < np.inf:
        raise ValueError(f"{argument} must be > 0, got {value!r}")
    return value
