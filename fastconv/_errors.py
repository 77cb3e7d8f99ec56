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
    by_lower_case = {known_name.lower(): known_name for known_name in names}
    nearest = difflib.get_close_matches(str(name).lower(), by_lower_case, n=1)
    suggestion = f"; did you mean {by_lower_case[nearest[0]]!r}?" if nearest else "."
    return ValueError(f"unknown {kind} {name!r}{suggestion} Known: {', '.join(map(repr, names))}.")


def unsupported_argument(owner: object, argument: str, instead: str = "leave it out") -> ValueError:
    """A ValueError for an argument that Keras has and fastconv does not.

    >>> raise unsupported_argument("Adam", "use_ema")
    ValueError: Adam: Keras' argument 'use_ema' is not supported yet; leave it out
    """
    return ValueError(f"{owner}: Keras' argument {argument!r} is not supported yet; {instead}")
