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
    nearest = difflib.get_close_matches(str(name).lower(), names, n=1)
    suggestion = f"; did you mean {nearest[0]!r}?" if nearest else "."
    return ValueError(f"unknown {kind} {name!r}{suggestion} Known: {', '.join(map(repr, names))}.")
