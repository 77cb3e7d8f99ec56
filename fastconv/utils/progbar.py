"""A progress bar for loops of one's own."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from typing import Any

import numpy as np


class Progbar:
    """Progress of a loop, with running means of what it measures.

    >>> bar = Progbar(target=100)
    >>> for step in range(100):
    ...     bar.update(step + 1, [("loss", loss)])

    Parameters
    ----------
    target : how many steps there will be; None where that is not known
    width : of the bar, in characters, beside counts, times and values; the line takes at most the terminal's
    verbose : 0 nothing, 1 a bar, 2 one line at the end
    interval : the least time between two displays, in seconds
    stateful_metrics : names of values that are shown as they are; of all others the mean of the steps is
    stateless_metrics : or else the names of those whose mean is shown. Only one of the two
    unit_name : what is counted
    """

    def __init__(
        self,
        target: int | None,
        width: int = 20,
        verbose: int = 1,
        interval: float = 0.05,
        stateful_metrics: Iterable[str] | None = None,
        stateless_metrics: Iterable[str] | None = None,
        unit_name: str = "step",
    ) -> None:
        if verbose not in (0, 1, 2):
            raise ValueError(f"Progbar: verbose must be 0 (silent), 1 (bar) or 2 (a line); got {verbose!r}")
        if stateful_metrics is not None and stateless_metrics is not None:
            raise ValueError("Progbar: give stateful_metrics or stateless_metrics, not both")
        self.target, self.width, self.verbose, self.interval = target, width, verbose, interval
        self.unit_name = unit_name
        self.stateful_metrics = None if stateful_metrics is None else set(stateful_metrics)
        self.stateless_metrics = None if stateless_metrics is None else set(stateless_metrics)
        self._seen = 0
        self._sums: dict[str, tuple[Any, int]] = {}  # value times steps, steps
        self._start = time.perf_counter()
        self._bar: Any = None

    def add(self, n: int, values: Iterable[tuple[str, Any]] | None = None) -> None:
        """``n`` more steps are done."""
        self.update(self._seen + n, values)

    def update(
        self,
        current: int,
        values: Iterable[tuple[str, Any]] | None = None,
        finalize: bool | None = None,
    ) -> None:
        """``current`` steps are done. The last of them is the ``target``-th, unless ``finalize`` decides."""
        if finalize is None:
            finalize = self.target is not None and current >= self.target
        for name, value in values or ():
            steps = max(current - self._seen, 1)
            if self._is_mean(name) and not finalize:
                total, before = self._sums.get(name, (0.0, 0))
                self._sums[name] = total + np.mean(value) * steps, before + steps
            else:
                self._sums[name] = np.mean(value), 1
        self._seen = current
        self._show(finalize)

    @property
    def values(self) -> dict[str, float]:
        """What is shown: the value of each name, or its mean over the steps."""
        return {name: float(total / steps) for name, (total, steps) in self._sums.items()}

    def _is_mean(self, name: str) -> bool:
        if self.stateless_metrics is not None:
            return name in self.stateless_metrics
        return name not in (self.stateful_metrics or ())

    def _show(self, finalize: bool) -> None:
        from fastconv.models.progress import format_logs
        from fastconv.models.screen import BETWEEN

        if self.verbose == 1 and sys.stdout is not None:
            if self._bar is None:
                self._bar = self._opened()
            self._bar.metrics = format_logs(self.values)
            self._bar.update(self._seen - self._bar.n)
            if finalize:
                self._bar.close()
        elif self.verbose == 2 and finalize:
            seconds = time.perf_counter() - self._start
            count = f"{self._seen}/{self.target}" if self.target else f"{self._seen}"
            said = [count, f"{seconds:.1f}s", *format_logs(self.values)]
            print(BETWEEN.join(said), flush=True)

    def _opened(self) -> Any:
        from fastconv.models.progress_bar import TerminalBar

        return TerminalBar(
            file=sys.stdout,
            total=self.target,
            unit=self.unit_name,
            mininterval=self.interval,
            bar_width=self.width,
        )
