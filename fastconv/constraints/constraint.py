"""The base class of constraints."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv._config import configuration
from fastconv._core.configuration import call_of
from fastconv.parameter import Array


class Constraint:
    """What weights must be: a function that takes them to the nearest ones that are, after every step.

    One of your own overrides ``__call__``; and ``get_config`` where its constructor takes arguments.
    """

    def __call__(self, w: Array) -> Array:
        """Weights of the same shape that keep to the rule; w itself is not changed. Of this class: a copy."""
        return np.array(w)

    def get_config(self) -> dict[str, Any]:
        return configuration(self, Constraint)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Constraint:
        return cls(**config)

    def __repr__(self) -> str:
        return call_of(self)
