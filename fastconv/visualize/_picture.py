"""The figure that all pictures are drawn on. Importing this module needs matplotlib."""

from __future__ import annotations

from io import BytesIO

from matplotlib.figure import Figure


class Picture(Figure):
    """A matplotlib ``Figure`` that pyplot knows nothing of: it needs no screen, no closing, and is not shown
    twice. A notebook shows it when it is what a cell returns, or by ``display(figure)``.
    """

    def _repr_png_(self) -> bytes:
        with BytesIO() as file:
            self.savefig(file, format="png")
            return file.getvalue()
