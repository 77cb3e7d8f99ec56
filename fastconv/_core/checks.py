"""What counts as a number in an argument, and errors that teach: what was expected, what came, what to do.

A number may be Python's, NumPy's, or an array of just one without axes.
"""

from __future__ import annotations

import difflib
import operator
from collections.abc import Iterable
from typing import Any

import numpy as np


def is_whole(value: Any) -> bool:
    """Whether ``value`` is a whole number, and not True or False."""
    try:
        operator.index(value)
    except TypeError:
        return False
    return not isinstance(value, (bool, np.bool_)) and np.ndim(value) == 0


def is_real(value: Any) -> bool:
    """Whether ``value`` is a real number, and not True or False; NaN and infinity are."""
    if isinstance(value, np.ndarray):
        return value.ndim == 0 and value.dtype.kind in "iuf"
    return isinstance(value, (int, float, np.number)) and not isinstance(value, (bool, np.complexfloating))


# ---- errors -------------------------------------------------------------------------------------


def unknown_name(kind: str, name: object, known: Iterable[str]) -> ValueError:
    """A ValueError for an unknown string: lists the known ones and suggests the nearest.

    >>> raise unknown_name("activation", "rleu", ["relu", "tanh"])
    ValueError: unknown activation 'rleu'; did you mean 'relu'? Known: 'relu', 'tanh'.
    """
    names = sorted(known)
    nearest = nearest_name(str(name), names)
    suggestion = f"; did you mean {nearest!r}?" if nearest else "."
    return ValueError(f"unknown {kind} {name!r}{suggestion} Known: {', '.join(map(repr, names))}.")


def unknown_or_missing(kind: str, module: str, name: str, known: Iterable[str]) -> ValueError:
    """The same for the name of a class or function in a public module, which may be one that Keras has.

    >>> raise unknown_or_missing("loss", "losses", "dice", ["mse"])
    ValueError: Keras' loss 'dice' is not supported: write it as a subclass of losses.Loss ...
    """
    from fastconv._core.missing import remedy_by_any_spelling

    remedy = remedy_by_any_spelling(module, name)
    if remedy is None:
        return unknown_name(kind, name, known)
    return ValueError(f"Keras' {kind} {name!r} is not supported: {remedy}.")


def nearest_name(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most like ``name``, whatever the case; None where none is like it."""
    by_lower_case = {known_name.lower(): known_name for known_name in known}
    nearest = difflib.get_close_matches(name.lower(), by_lower_case, n=1)
    return by_lower_case[nearest[0]] if nearest else None


def unsupported_argument(owner: object, argument: str, instead: str = "leave it out") -> ValueError:
    """A ValueError for an argument that Keras has and fastconv does not.

    >>> raise unsupported_argument("Adam", "use_ema")
    ValueError: Adam: Keras' argument 'use_ema' is not supported yet; leave it out
    """
    return ValueError(f"{owner}: Keras' argument {argument!r} is not supported yet; {instead}")


def plain_spelling(name: str) -> str:
    """``name`` without what does not matter in the names of losses, metrics and the like."""
    return name.replace("_", "").lower()
