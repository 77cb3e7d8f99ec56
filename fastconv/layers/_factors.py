"""How much a random layer may change an image: a number, or a range of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastconv._core.checks import is_real

Factor = float | Sequence[float]


def factor_range(
    factor: Any, name: str, least: float = -1.0, most: float = 1.0, *, above: bool = False
) -> tuple[float, float]:
    """(lower, upper): the two numbers given, or −f and f for a single number f.

    Raises ValueError, which begins with ``name``, for numbers outside [least, most], or for ``least`` itself
    where they must lie ``above`` it.
    """
    given = (factor,) if np.ndim(factor) == 0 else tuple(factor)
    if not all(map(is_real, given)) or len(given) not in (1, 2) or not all(least <= f <= most for f in given):
        fits = False
    else:
        fits = not above or least not in given
    if not fits:
        raise ValueError(
            f"{name} must be a number or a pair of numbers from {least:g}{' (exclusive)' if above else ''} "
            f"to {most:g}; got {factor!r}"
        )
    if len(given) == 1:
        return -abs(float(given[0])), abs(float(given[0]))
    lower, upper = sorted(map(float, given))
    return lower, upper


def as_config(factor: Factor | None) -> Any:
    """A factor as plain numbers."""
    return np.asarray(factor).tolist() if factor is not None else None


def value_range_of(given: Any, name: str) -> tuple[float, float]:
    """(least, most) that a pixel may be, in order; a ValueError that begins with ``name`` otherwise."""
    try:
        low, high = (float(value) for value in given)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be two numbers, got {given!r}") from None
    return min(low, high), max(low, high)
