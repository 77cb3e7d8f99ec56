"""A learning rate for every epoch."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from fastconv.callbacks.callback import Callback, Logs


class LearningRateScheduler(Callback):
    """Sets the learning rate before each epoch: ``schedule(epoch, learning_rate)``, or ``schedule(epoch)``.

    >>> LearningRateScheduler(lambda epoch, rate: rate if epoch < 10 else rate * 0.9)

    Epochs count from 0; the second argument is the rate as it is. ``verbose=1`` says what was set. Logs get
    the rate as "learning_rate". For a rate that changes with every batch give the optimizer a schedule.
    """

    def __init__(self, schedule: Callable[..., Any], verbose: int = 0) -> None:
        if not callable(schedule):
            raise TypeError(
                f"LearningRateScheduler: schedule must be a function of the epoch, got {schedule!r}"
            )
        self.schedule = schedule
        self.verbose = verbose

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        optimizer = self.model.optimizer
        arguments = (epoch, optimizer.learning_rate) if _takes_two(self.schedule) else (epoch,)
        rate = self.schedule(*arguments)
        if np.ndim(rate) or np.asarray(rate).dtype.kind not in "fiu":
            raise ValueError(
                f"LearningRateScheduler: schedule{arguments} must return the learning rate, a number; it "
                f"returned {rate!r}"
            )
        optimizer.learning_rate = float(rate)
        if self.verbose > 0:
            print(f"\nEpoch {epoch + 1}: LearningRateScheduler setting learning rate to {float(rate)}.")

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if logs is not None:
            logs["learning_rate"] = self.model.optimizer.learning_rate


def _takes_two(schedule: Callable[..., Any]) -> bool:
    try:
        inspect.signature(schedule).bind(0, 0.0)
    except ValueError:  # a function that does not tell, such as one of C
        return True
    except TypeError:
        return False
    return True
