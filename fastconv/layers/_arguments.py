"""Checks of arguments that layers and models share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from fastconv._errors import unknown_name, unsupported_argument


def whole(value: Any, name: str, minimum: int = 1) -> int:
    """``value`` as an int of at least ``minimum``, or a ValueError that begins with ``name``."""
    if not hasattr(value, "__index__") or isinstance(value, bool) or int(value) < minimum:
        raise ValueError(f"{name} must be a whole number, at least {minimum}; got {value!r}")
    return int(value)


def not_negative(value: Any, name: str) -> float:
    """``value`` as a float of at least 0, or a ValueError that begins with ``name``."""
    number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    if not number or not 0 <= value < np.inf:
        raise ValueError(f"{name} must be a number, not negative; got {value!r}")
    return float(value)


def check_data_format(data_format: str | None, layer: str) -> None:
    """Arrays are channels last, (N, H, W, C), throughout."""
    if data_format in (None, "channels_last"):
        return
    if data_format == "channels_first":
        raise ValueError(
            f'{layer}: data_format="channels_first" is not supported: images are (N, H, W, C) here. '
            "Move the channels last with np.moveaxis(x, 1, -1) and leave data_format out"
        )
    raise unknown_name("data_format", data_format, ["channels_last"])


def refuse_unless_none(layer: str, **arguments: object) -> None:
    """An error for arguments that are accepted only to say that they do nothing here."""
    for argument, value in arguments.items():
        if value is not None:
            raise unsupported_argument(layer, argument)


@contextmanager
def errors_named(layer: object) -> Iterator[None]:
    """ValueErrors from shape arithmetic inside the block begin with the layer's name."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{layer}: {error}") from None
