"""Progress while a model trains: a bar on a terminal or in a notebook, one line per epoch elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from fastconv.callbacks import Callback
from fastconv.models.screen import BETWEEN, is_terminal, screen_width, wrapped

_LONGEST_ROW = 10


class Progress(Callback):
    """A callback that reports progress."""

    def close(self) -> None:
        """Leave the screen tidy, also when training ends in an error or with Ctrl-C."""


def progress(verbose: int | str, what: str, epochs: int, steps: int | None) -> Progress | None:
    """The callback that reports: None for ``verbose=0``, a bar for 1 and "auto", a line per epoch for 2.

    ``what`` is "train", "test" or "predict". Where nobody watches (output to a file or a pipe) lines take the
    place of bars, and ``predict`` stays silent.
    """
    if verbose not in (0, 1, 2, "auto"):
        raise ValueError(
            f'verbose must be 0 (silent), 1 (bar), 2 (a line per epoch) or "auto"; got {verbose!r}'
        )
    if verbose == 0 or (what == "predict" and verbose != 2 and not is_watched()):
        return None
    if verbose == 2 or not is_watched():
        return EpochLines(what, epochs)
    return EpochBars(what, epochs, steps)


def is_watched() -> bool:
    """True on a terminal and in a notebook; False for None and for streams that can only be written to."""
    return is_terminal() or _in_notebook()


def _in_notebook() -> bool:
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return getattr(shell, "kernel", None) is not None  # IPython in a terminal has none


def format_logs(logs: Mapping[str, Any] | None) -> list[str]:
    """``["accuracy: 0.9123", "loss: 0.3012"]``; of arrays those that are a row of few numbers."""
    return [f"{name}: {_format(value)}" for name, value in (logs or {}).items() if _is_short(value)]


def _is_short(value: Any) -> bool:
    return np.ndim(value) == 0 or (np.ndim(value) == 1 and np.size(value) <= _LONGEST_ROW)


def _format(value: Any) -> str:
    return f"[{' '.join(map(format_number, value))}]" if np.ndim(value) else format_number(value)


def format_number(value: float) -> str:
    """Four decimals, or as many digits in scientific notation where that would show zeros."""
    return f"{value:.4f}" if value == 0 or abs(value) > 1e-3 else f"{value:.4e}"


class EpochLines(Progress):
    """One line when an epoch ends: ``Epoch 1/10 - 3.2s - accuracy: 0.9123 - loss: 0.3012``

    On a terminal a line that is too long is broken between two metrics.
    """

    def __init__(self, what: str, epochs: int) -> None:
        super().__init__()
        self._what, self._epochs = what, epochs
        self._start = 0.0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._start = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._print(f"Epoch {epoch + 1}/{self._epochs}", logs)

    def on_test_begin(self, logs: Any = None) -> None:
        if self._what == "test":
            self._start = time.perf_counter()

    def on_test_end(self, logs: Any = None) -> None:
        if self._what == "test":
            self._print("Evaluate", logs)

    def on_predict_begin(self, logs: Any = None) -> None:
        self._start = time.perf_counter()

    def on_predict_end(self, logs: Any = None) -> None:
        self._print("Predict", None)

    def _print(self, title: str, logs: Mapping[str, Any] | None) -> None:
        seconds = time.perf_counter() - self._start
        said = [title, f"{seconds:.1f}s", *format_logs(logs)]
        lines = wrapped(said, screen_width()) if is_terminal() else [BETWEEN.join(said)]
        print(*lines, sep="\n", flush=True)


class EpochBars(Progress):
    """A bar for each epoch, with the running loss and metrics, at its end those of validation too."""

    def __init__(self, what: str, epochs: int, steps: int | None) -> None:
        super().__init__()
        self._what, self._epochs, self._steps = what, epochs, steps
        self._bar: Any = None
        self._page: Any = None  # of a notebook

    def _open(self, title: str) -> None:
        look = {"total": self._steps, "desc": title, "unit": "batch", "mininterval": 0.2}
        if _in_notebook():
            from fastconv.models.notebook_progress import NotebookBar, NotebookPage

            self._page = self._page or NotebookPage()
            self._bar = NotebookBar(self._page, **look)
        else:
            from fastconv.models.progress_bar import TerminalBar

            self._bar = TerminalBar(file=sys.stdout, **look)

    def _advance(self, batch: int, logs: Mapping[str, Any] | None) -> None:
        if self._bar is not None:
            self._bar.metrics = format_logs(logs)
            self._bar.update(batch + 1 - self._bar.n)

    def _finish(self, logs: Mapping[str, Any] | None) -> None:
        if self._bar is not None:
            self._steps = self._steps or self._bar.n  # the next epoch will be as long
            self._bar.metrics = format_logs(logs)
        self.close()

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._open(f"Epoch {epoch + 1}/{self._epochs}")

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._advance(batch, logs)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._finish(logs)

    def on_test_begin(self, logs: Any = None) -> None:
        if self._what == "test":
            self._open("Evaluate")

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        if self._what == "test":
            self._advance(batch, logs)

    def on_test_end(self, logs: Any = None) -> None:
        if self._what == "test":
            self._finish(logs)

    def on_predict_begin(self, logs: Any = None) -> None:
        self._open("Predict")

    def on_predict_batch_end(self, batch: int, logs: Any = None) -> None:
        self._advance(batch, None)

    def on_predict_end(self, logs: Any = None) -> None:
        self.close()
