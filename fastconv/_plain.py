"""Values as JSON can hold them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

_KEYS = (str, int, float, bool, type(None))


def plain(value: Any, place: str, array: Callable[[Any, str], Any] | None = None) -> Any:
    """``value`` in Python's numbers, strings, lists and dictionaries; NumPy's numbers become Python's.

    place : what ``value`` is called in errors; its parts are "place/name" and "place/0"
    array : called with each array and its place; what it returns is kept instead. None: lists of numbers

    Raises TypeError that names the place for what JSON cannot hold.
    """
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Mapping):
        for name in value:
            if not isinstance(name, _KEYS):
                raise TypeError(f"cannot save {place}: {name!r}, one of its keys, is not a string")
        return {name: plain(part, f"{place}/{name}", array) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(part, f"{place}/{index}", array) for index, part in enumerate(value)]
    if isinstance(value, (np.ndarray, np.generic)):
        if value.dtype == np.longdouble:
            value = value.astype(np.float64)
        if isinstance(value, np.ndarray) and array is not None and value.dtype.kind in "biuf":
            return array(value, place)
        if value.dtype.kind in "biufUO":
            return plain(value.tolist(), place)
    raise TypeError(
        f"cannot save {place}: {value!r} is neither a number, a string, a list, a dictionary nor an array"
    )
