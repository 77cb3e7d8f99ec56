"""The base class of metrics: numbers to watch, gathered batch by batch."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np

from fastconv._errors import unsupported_argument
from fastconv._repr import call_of

_STATE = (bool, int, float, str, list, np.number, np.ndarray)


class Metric:
    """A number computed over an epoch from its batches.

    >>> metric.update_state(y_true, y_pred)     # once a batch, optionally with sample_weight
    >>> metric.result()                         # over all batches since the last reset
    >>> metric.reset_state()                    # before the next epoch

    A metric of your own overrides these three; its state is plain attributes. ``direction`` tells callbacks
    whether "up" or "down" is better, None where only you know.
    """

    direction: str | None = None

    def __init__(self, dtype: Any = None, name: str | None = None) -> None:
        if dtype not in (None, "float32", np.float32):
            raise unsupported_argument(type(self).__name__, "dtype", "metrics add up in float64")
        self.name = name or type(self).__name__

    def update_state(self, *args: Any, **kwargs: Any) -> None:
        """Take a batch into account."""
        raise NotImplementedError(f"{type(self).__name__} has no update_state(y_true, y_pred)")

    def result(self) -> Any:
        """The metric over all batches since the last reset: a float, or an array of several."""
        raise NotImplementedError(f"{type(self).__name__} has no result()")

    def reset_state(self) -> None:
        """Forget all batches."""
        raise NotImplementedError(f"{type(self).__name__} has no reset_state()")

    def state_dict(self) -> dict[str, Any]:
        """The state, for going on in another process: all attributes that are plain, or arrays."""
        return {name: copy.copy(value) for name, value in vars(self).items() if isinstance(value, _STATE)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where ``state_dict`` of a metric made alike was taken."""
        vars(self).update(state)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """``update_state`` and ``result`` in one."""
        self.update_state(*args, **kwargs)
        return self.result()

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments; ``from_config`` is the way back."""
        return {"name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Metric:
        return cls(**config)

    def __repr__(self) -> str:
        return call_of(self)
