"""Watching one number of the logs: is it there, and is it better than before?"""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from fastconv._core.checks import unknown_name
from fastconv.callbacks.callback import Callback, Logs


class MonitorCallback(Callback):
    """Base of the callbacks that act when a number in the logs improves, or does not.

    monitor     its name there, such as "val_loss"
    mode        "min" or "max": what is better; "auto" asks the metric of that name
    min_delta   an improvement by less is none
    """

    def __init__(self, monitor: str = "val_loss", mode: str = "auto", min_delta: float = 0) -> None:
        if mode not in ("auto", "min", "max"):
            raise unknown_name("mode", mode, ["auto", "min", "max"])
        self.monitor = monitor
        self.mode = mode
        self.min_delta = abs(min_delta)
        self.best: float | None = None

    def monitored(self, logs: Logs | None) -> Any:
        """The number; None, with a warning that lists what there is, where it is not in the logs.

        Raises ValueError where it is an array: which of its numbers should count?
        """
        logs = logs or {}
        if self.monitor not in logs:
            text = str(unknown_name("monitor", self.monitor, logs))
            if self.monitor.removeprefix("val_") in logs:
                text += " For those of validation give fit validation_data or validation_split."
            warnings.warn(f"{type(self).__name__}: {text}", stacklevel=2)
        value: Any = logs.get(self.monitor)
        if np.ndim(value) and np.size(value) == 1:
            return np.asarray(value).item()
        if np.ndim(value):
            raise ValueError(
                f"{type(self).__name__}: {self.monitor!r} is an array of shape {np.shape(value)}, and only a "
                "single number can be better than before; of F-scores average='macro' makes one"
            )
        return value

    def improves(self, value: float, reference: float | None) -> bool:
        """True where ``value`` is better than ``reference`` by more than ``min_delta``.

        Any number is better than None, the number before the first. NaN is better than nothing.
        """
        if self.mode == "auto":
            self.mode = self._direction()
        if math.isnan(value):
            return False
        if reference is None or math.isnan(reference):
            return True
        if self.mode == "max":
            return bool(value - self.min_delta > reference)
        return bool(value + self.min_delta < reference)

    def _direction(self) -> str:
        name = self.monitor.removeprefix("val_")
        if name == "loss":
            return "min"
        for metric in getattr(self.model, "metrics", ()):
            if metric.name == name and metric.direction is not None:
                return {"up": "max", "down": "min"}[metric.direction]
        raise ValueError(
            f"{type(self).__name__} cannot tell whether {self.monitor!r} should be large or small: give it "
            'mode="max" or mode="min"'
        )
