"""How wide the screen is, and how text is broken to fit."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Iterable

WIDTH = 100  # characters in a line, where nothing says how many there are
BETWEEN = " - "
INDENT = 4


def is_terminal() -> bool:
    """Whether what is printed goes to a terminal."""
    isatty = getattr(sys.stdout, "isatty", None)  # a program may have put anything there that writes
    return isatty is not None and isatty()


def screen_width() -> int:
    """Characters in a line of the terminal; 100 in a notebook, a file or a pipe."""
    if not is_terminal():
        return WIDTH
    return shutil.get_terminal_size(fallback=(WIDTH, 24)).columns


def wrapped(items: Iterable[str], width: int, indent: int = INDENT, first_indent: int = 0) -> list[str]:
    """Lines of ``items`` with " - " between them, broken between two items.

    An item that is longer than a line is broken between its words, a word that is longer anywhere.
    ``first_indent`` is that of the first line, ``indent`` that of the others; less where a word is too long.
    """
    lines: list[str] = []
    joins = False  # whether the last line ends with an item that is not broken
    for item in items:
        if joins and len(lines[-1]) + len(BETWEEN) + len(item) <= width:
            lines[-1] += BETWEEN + item
            continue
        room = max(0, width - max(map(len, item.split()), default=0))
        broken = textwrap.wrap(
            item,
            max(width, 1),
            initial_indent=" " * min(indent if lines else first_indent, room),
            subsequent_indent=" " * min(indent, room),
            break_on_hyphens=False,
        )
        lines += broken
        joins = len(broken) == 1
    return lines
