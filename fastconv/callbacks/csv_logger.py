"""Losses and metrics as a table in a file."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping
from typing import Any, TextIO

import numpy as np

from fastconv.callbacks.callback import Callback, Logs


class CSVLogger(Callback):
    """Writes a line per epoch: its number from 0, then the logs by name; the file is complete after each.

    Columns are fixed by the first epoch; what an epoch does not have is "NA". ``append=True`` continues a
    file that exists, under its own headings. Raises ValueError where the logs have a name that is not there.
    """

    def __init__(self, filename: str | os.PathLike[str], separator: str = ",", append: bool = False) -> None:
        self.filename = os.fspath(filename)
        self.separator = separator
        self.append = append
        self._file: TextIO | None = None
        self._writer: csv.DictWriter[str] | None = None
        self._is_unchecked = False  # whether the logs fit the headings that a file has

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._close()
        headings = self._headings() if self.append else []
        self._file = open(self.filename, "a" if self.append else "w", newline="")  # noqa: SIM115
        if headings:
            self._writer = csv.DictWriter(self._file, headings, delimiter=self.separator)
        self._is_unchecked = bool(headings)

    def _headings(self) -> list[str]:
        """Those of the file to be continued; [] for a new one. The last line gets an end if it has none."""
        try:
            with open(self.filename, "r+", newline="") as file:
                text = file.read()
                if text and not text.endswith(("\n", "\r")):
                    file.write("\r\n")
        except FileNotFoundError:
            return []
        return next(csv.reader(io.StringIO(text), delimiter=self.separator), [])

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if self._file is None:
            raise RuntimeError("CSVLogger: on_epoch_end without on_train_begin, which opens the file")
        row = {**(logs or {}), "epoch": epoch}
        if self._writer is None:
            names = ["epoch", *_columns(logs or {})]
            self._writer = csv.DictWriter(self._file, names, delimiter=self.separator)
            self._writer.writeheader()
        columns = list(self._writer.fieldnames)
        if self._is_unchecked and not row.keys() <= set(columns):
            self._close()
            raise ValueError(
                f"CSVLogger: {self.filename} has the columns {columns}, and not "
                f"{sorted(row.keys() - set(columns))}: give another filename, or "
                "append=False to write the file anew"
            )
        self._is_unchecked = False
        self._writer.writerow({name: _cell(row.get(name, "NA")) for name in columns})
        self._file.flush()

    def on_train_end(self, logs: Logs | None = None) -> None:
        self._close()

    def state_dict(self) -> dict[str, Any]:
        """The file so far: what is written after a backup will be written again."""
        with open(self.filename, newline="") as file:
            return {"text": file.read(), "columns": self._writer.fieldnames if self._writer else None}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._close()
        self._file = open(self.filename, "w", newline="")  # noqa: SIM115
        self._file.write(state["text"])
        self._file.flush()
        if state["columns"] is not None:
            self._writer = csv.DictWriter(self._file, state["columns"], delimiter=self.separator)

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file = self._writer = None


def _columns(logs: Logs) -> list[str]:
    """The names in order; where validation has not begun, room for it."""
    names = sorted(logs)
    return names if any(name.startswith("val_") for name in names) else names + [f"val_{n}" for n in names]


def _cell(value: Any) -> Any:
    if isinstance(value, (list, tuple, np.ndarray)) and np.ndim(value):
        return f'"[{", ".join(map(str, value))}]"'
    return value
