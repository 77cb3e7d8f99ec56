"""Where an optimizer's learning rate comes from: a number, a schedule, or a function without arguments."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from fastconv._core.configuration import custom_object, saved_name
from fastconv.optimizers import schedules
from fastconv.optimizers.schedules import LearningRateSchedule

RateSource = float | LearningRateSchedule | Callable[[], float]
_KINDS = "a number, a LearningRateSchedule or a function without arguments"


def checked_source(source: Any) -> RateSource:
    """``source`` if it can be a learning rate, numbers as floats; else ValueError."""
    if isinstance(source, LearningRateSchedule):
        return source
    if callable(source) and not isinstance(source, type):
        try:
            inspect.signature(source).bind()
        except TypeError:
            raise ValueError(
                f"learning_rate must be {_KINDS}; {source!r} wants some. A function of the step is a "
                "LearningRateSchedule with __call__(self, step)"
            ) from None
        except ValueError:  # a builtin without a signature
            pass
        return source
    return checked_rate(source)


def checked_rate(rate: Any) -> float:
    """``rate`` as a float; ValueError unless it is one finite number, not negative."""
    if not isinstance(rate, (int, float, np.number, np.ndarray)) or np.ndim(rate):
        raise ValueError(f"learning_rate must be {_KINDS}, got {rate!r}")
    if not (math.isfinite(rate) and rate >= 0):
        raise ValueError(f"learning_rate must be finite and not negative, got {float(rate)}")
    return float(rate)


def current_rate(source: RateSource, step: int) -> float:
    """The rate after ``step`` steps."""
    if isinstance(source, float):
        return source
    rate = source(step) if isinstance(source, LearningRateSchedule) else source()
    try:
        return checked_rate(rate)
    except ValueError as error:
        raise ValueError(f"{source!r} at step {step}: {error}") from None


def serialized(source: RateSource) -> Any:
    """A number, or a dictionary of plain numbers and strings; of a function, its name."""
    if isinstance(source, float):
        return source
    if isinstance(source, LearningRateSchedule):
        return schedules.serialize(source)
    named = source if hasattr(source, "__name__") else type(source)
    return {"class_name": "function", "config": saved_name(named, "function")}


def restored(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The way back from ``serialized``; what is your own comes by name in ``custom_objects``."""
    if not isinstance(config, Mapping):
        return config
    if config.get("class_name") != "function":
        return schedules.deserialize(config, custom_objects)
    name = config["config"]
    function = custom_object(name, custom_objects, "function")
    if function is None:
        raise ValueError(
            f"the learning rate was a function, {name!r}, which no file keeps: give "
            f"custom_objects={{{name!r}: the function}}"
        )
    return function
