"""Settings that can be made for good or for a ``with`` block."""

from __future__ import annotations

from collections.abc import Callable


class Restoring:
    """What a setting function returns: leaving a ``with`` block puts the old setting back."""

    def __init__(self, restore: Callable[[], object]):
        self._restore = restore

    def __enter__(self) -> None:
        return None

    def __exit__(self, *exception: object) -> None:
        self._restore()
