"""Progress bars in a notebook: lines of one output, which is replaced as they grow.

A notebook file keeps all that was printed, so that a terminal's trick, going back to the start of the line,
would fill it with every step on the way. The output of a cell can be exchanged for another instead, and only
how it ended is kept. The bars share one output, for notebooks hide those of a cell beyond the first few.
"""

from __future__ import annotations

import io
from typing import Any

from IPython.display import display

from fastconv.models.progress_bar import MetricsBar
from fastconv.models.screen import WIDTH


class NotebookPage:
    """The output that the bars of one training have in common."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._handle: Any = None

    def new_place(self) -> int:
        """The number of a new place below the others."""
        self._texts.append("")
        return len(self._texts) - 1

    def write(self, place: int, text: str) -> None:
        self._texts[place] = text
        bundle = {"text/plain": "\n".join(self._texts)}
        if self._handle is None:
            self._handle = display(bundle, raw=True, display_id=True)
        else:
            self._handle.update(bundle, raw=True)


class NotebookBar(MetricsBar):
    """A bar on a page, with all its metrics: a line, or several where they are many."""

    def __init__(self, page: NotebookPage, **options: Any) -> None:
        self._page, self._place = page, page.new_place()
        super().__init__(file=io.StringIO(), ascii=False, **options)

    def display(self, msg: str | None = None, pos: int | None = None) -> bool:
        self._page.write(self._place, "\n".join(self.lines(WIDTH)) if msg is None else msg)
        return True
