"""Class names and the names made from them, as in Keras: ``MaxPooling2D``, "max_pooling2d", "max_pooling2d_1"."""

from __future__ import annotations

import re
from collections import Counter

_used: Counter[str] = Counter()


def snake_case(class_name: str) -> str:
    """``MaxPooling2D`` as ``max_pooling2d``, ``ReLU`` as ``re_lu``."""
    words = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", class_name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", words).lower()


def automatic_name(class_name: str) -> str:
    """The next free name for a layer or model of this class."""
    base = snake_case(class_name)
    number = _used[base]
    _used[base] += 1
    return f"{base}_{number}" if number else base


def restart_names() -> None:
    """Count from "conv2d" again."""
    _used.clear()
