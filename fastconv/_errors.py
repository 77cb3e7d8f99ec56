"""Error messages that teach: what was expected, what came, what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def unknown_name(kind: str, name: object, known: Iterable[str]) -> ValueError:
    """A ValueError for an unknown string: lists the known ones and suggests the nearest.

    >>> raise unknown_name("activation", "rleu", ["relu", "tanh"])
    ValueError: unknown activation 'rleu'; did you mean 'relu'? Known: 'relu', 'tanh'.
    """
    names = sorted(known)
    nearest = nearest_name(str(name), names)
    suggestion = f"; did you mean {nearest!r}?" if nearest else "."
    return ValueError(f"unknown {kind} {name!r}{suggestion} Known: {', '.join(map(repr, names))}.")


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
