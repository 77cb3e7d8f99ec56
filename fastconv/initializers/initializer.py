"""The base class of initializers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastconv._config import configuration
from fastconv._core.configuration import call_of
from fastconv.parameter import Array


class Initializer:
    """Base class: override ``__call__`` and, where the constructor takes arguments, ``get_config``."""

    def __call__(self, shape: Sequence[int]) -> Array:
        raise NotImplementedError(f"{type(self).__name__} must define __call__(shape)")

    def get_config(self) -> dict[str, Any]:
        return configuration(self, Initializer)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Initializer:
        return cls(**config)

    def __repr__(self) -> str:
        return call_of(self)
