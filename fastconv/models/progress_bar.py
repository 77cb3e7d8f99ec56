"""A progress bar that gives way to the metrics beside it where the screen is narrow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tqdm import tqdm
from tqdm.utils import disp_len

from fastconv.models.screen import BETWEEN, INDENT, screen_width, wrapped

# What stands before the metrics, from the widest to the narrowest.
_COUNTED = (
    "{desc}: {percentage:3.0f}%|{bar:WIDE}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}, {rate_fmt}]",
    "{desc}: {percentage:3.0f}%|{bar:NARROW}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}, {rate_fmt}]",
    "{desc}: {n_fmt}/{total_fmt} [{elapsed}<{remaining}, {rate_fmt}]",
    "{desc}: {n_fmt}/{total_fmt} [{elapsed}<{remaining}]",
    "{desc}: {n_fmt}/{total_fmt}",
)
_UNCOUNTED = ("{desc}: {n_fmt}{unit} [{elapsed}, {rate_fmt}]", "{desc}: {n_fmt}{unit}")


class MetricsBar(tqdm):  # type: ignore[misc,unused-ignore]
    """A bar of tqdm's with ``metrics``, such as "loss: 0.3012", beside it, or below where they do not fit.

    ``bar_width`` is that of the bar alone, in characters.
    """

    metrics: Sequence[str] = ()

    def __init__(self, *, bar_width: int = 20, **options: Any) -> None:
        self._formats = [
            line.replace("WIDE", f"{max(bar_width, 1)}").replace("NARROW", f"{max(bar_width // 2, 1)}")
            for line in _COUNTED
        ]
        super().__init__(**options)

    def lines(self, width: int) -> list[str]:
        """One line, in which the bar gives way to the metrics; where they do not fit, more lines below."""
        heads = self._heads()
        for head in heads:
            line = self._line(head, self.metrics)
            if disp_len(line) <= width:
                return [line]
        head = next((head for head in heads if disp_len(head) <= width), heads[-1])
        return [head, *wrapped(self.metrics, width, first_indent=INDENT)]

    def one_line(self, width: int) -> str:
        """The same, but of metrics that do not fit into a line those that do, the loss before others."""
        lines = self.lines(width)
        if len(lines) == 1:
            return lines[0]
        head = self._heads()[-1]
        shown: list[str] = []
        for metric in sorted(self.metrics, key=lambda metric: not metric.startswith("loss:")):
            if disp_len(self._line(head, [*shown, metric])) <= width:
                shown.append(metric)
        return self._line(head, shown)[:width]

    def _line(self, head: str, metrics: Sequence[str]) -> str:
        return f"{head} {BETWEEN.join(metrics)}" if metrics else head

    def _heads(self) -> list[str]:
        state = {**self.format_dict, "ncols": None, "postfix": None}
        formats = self._formats if self.total else _UNCOUNTED
        return [self.format_meter(**{**state, "bar_format": bar_format}) for bar_format in formats]


class TerminalBar(MetricsBar):
    """A bar in the last line of a terminal. Metrics that do not fit into it follow when it is closed."""

    def __init__(self, **options: Any) -> None:
        self._below: list[str] | None = None  # once it is closed
        super().__init__(**options)

    def __str__(self) -> str:
        width = screen_width() - 1  # the last column stays free: some terminals begin a line when it is full
        if self._below is None:
            return self.one_line(width)
        first, *self._below = self.lines(width)
        return first

    def close(self) -> None:
        if not self.disable:
            self._below = []
            super().close()
            self.fp.write("".join(f"{line}\n" for line in self._below))
