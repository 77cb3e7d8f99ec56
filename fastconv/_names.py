"""Class names and the names made from them, as in Keras: ``MaxPooling2D``, "max_pooling2d",
"max_pooling2d_1".
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")

_counts: Counter[str] = Counter()
_taken: set[str] = set()


def snake_case(class_name: str) -> str:
    """``MaxPooling2D`` as ``max_pooling2d``, ``ReLU`` as ``re_lu``."""
    words = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", class_name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", words).lower()


def automatic_name(class_name: str) -> str:
    """The next name for a layer or model of this class that nobody has yet."""
    base = snake_case(class_name)
    while True:
        number = _counts[base]
        _counts[base] += 1
        name = f"{base}_{number}" if number else base
        if name not in _taken:
            return name


def take_name(name: str) -> str:
    """Note a name chosen by hand, or loaded from a file, so that no automatic one collides with it."""
    _taken.add(name)
    return name


def by_occurrence(things: Iterable[T], name_of: Callable[[T], str]) -> dict[tuple[str, int], T]:
    """{(name, how many before it have that name): thing}, where names may repeat."""
    seen: Counter[str] = Counter()
    known = {}
    for thing in things:
        name = name_of(thing)
        known[name, seen[name]] = thing
        seen[name] += 1
    return known


def restart_names() -> None:
    """Forget all names and count from "conv2d" again."""
    _counts.clear()
    _taken.clear()
