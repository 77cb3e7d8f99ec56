"""Checks of arguments that layers and models share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from fastconv._core.checks import is_real, is_whole, unknown_name, unsupported_argument
from fastconv.ops.images import INTERPOLATIONS


def whole(value: Any, name: str, minimum: int = 1) -> int:
    """``value`` as an int of at least ``minimum``, or a ValueError that begins with ``name``."""
    if not is_whole(value) or int(value) < minimum:
        raise ValueError(f"{name} must be a whole number, at least {minimum}; got {value!r}")
    return int(value)


def truth(value: Any, name: str) -> bool:
    """``value`` as True or False, or a ValueError that begins with ``name``: "no" is neither."""
    if not isinstance(value, (bool, np.bool_)) and not (isinstance(value, int) and value in (0, 1)):
        raise ValueError(f"{name} must be True or False; got {value!r}")
    return bool(value)


def check_dtype(dtype: Any, owner: str) -> None:
    """An error for another type than float32. Keras' configurations of dtype policies are understood."""
    name = dtype
    if isinstance(dtype, Mapping):  # {"class_name": "DTypePolicy", "config": {"name": "float32"}, ...}
        name = (dtype.get("config") or {}).get("name")
    if name is None and dtype is None:
        return
    try:
        fits = np.dtype(getattr(name, "name", name)) == np.float32
    except TypeError:  # "bfloat16", "mixed_float16"
        fits = False
    if not fits:
        raise ValueError(
            f"{owner}: dtype={dtype!r} is not supported, numbers are float32; leave it out. "
            'fastconv.set_backend("reference") computes in float64'
        )


def not_negative(value: Any, name: str) -> float:
    """``value`` as a float of at least 0, or a ValueError that begins with ``name``."""
    if not is_real(value) or not 0 <= value < np.inf:
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


def check_interpolation(interpolation: str, layer: str) -> None:
    """Pixels between pixels are blended of four, or are those of the nearest."""
    if interpolation in ("bicubic", "lanczos3", "lanczos5"):
        raise ValueError(
            f"{layer}: Keras' interpolation {interpolation!r} is not supported yet; "
            'use "bilinear" or "nearest"'
        )
    if interpolation not in INTERPOLATIONS:
        raise unknown_name(f"{layer} interpolation", interpolation, INTERPOLATIONS)


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
