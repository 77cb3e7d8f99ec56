"""Keep the best network of a training, and the last one where it is another."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastconv._core.files import remove_leftovers, write_atomically
from fastconv._core.randomness import generator_state
from fastconv.callbacks import Callback
from fastconv.models.interrupts import between_steps

SUFFIX = ".safetensors"
_LAST = ".last" + SUFFIX

Score = tuple[float, float]
Curves = dict[str, list[Any]]


def score(results: Mapping[str, Any], prefix: str = "") -> Score:
    """What a network is judged by: its accuracy, and where that is equal its loss. Larger is better."""
    accuracy, loss = results.get(prefix + "accuracy", 0.0), results.get(prefix + "loss", math.nan)
    return (accuracy, -loss if math.isfinite(loss) else -math.inf)


def last_path(target: Path) -> Path:
    """Where the network after the last epoch is, if the one in ``target`` is better."""
    return target.with_name(target.name.removesuffix(SUFFIX) + _LAST)


def best_path(path: Path) -> Path:
    """The file whose ``last_path`` is ``path``; ``path`` itself if it is no such file."""
    best = path.with_name(path.name.removesuffix(_LAST) + SUFFIX)
    return best if path.name.endswith(_LAST) and best.exists() else path


def history_path(target: Path) -> Path:
    return target.with_suffix(".history.json")


class Keeper(Callback):
    """Saves the network after each epoch: in ``target`` if it is better than what is there, else beside it.

    So ``target`` never becomes worse, and a training that is interrupted at any moment, or killed, can go on
    after its last whole epoch. ``history_path(target)`` has loss and accuracy of all epochs.

    Parameters
    ----------
    target : the file of the best network
    past : the history of the epochs before this run
    notes : kept with each network, besides where the random numbers are
    best : the score to surpass; None where there is nothing to surpass
    overwrite : whether the first network may replace a file
    """

    comes_last = True  # when the history has the epoch

    def __init__(
        self, target: Path, past: Curves, notes: Mapping[str, Any], best: Score | None, overwrite: bool
    ) -> None:
        super().__init__()
        self.target = target
        self.past = past
        self.notes = notes
        self.best = best
        self.overwrite = overwrite
        self.best_results: dict[str, Any] | None = (
            None  # the logs of the epoch that is in target, with "epoch"
        )
        self.epochs_kept = 0

    def on_train_begin(self, logs: Any = None) -> None:
        """The history goes on where that of the run before ended."""
        for path in (self.target, last_path(self.target), history_path(self.target)):
            remove_leftovers(path)
        self.model.history.history = {name: list(values) for name, values in self.past.items()}

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Ctrl-C waits meanwhile."""
        logs = dict(logs or {})
        if not all(math.isfinite(logs.get(name, 0.0)) for name in ("loss", "val_loss")):
            return
        with between_steps() as saving, saving:
            current = score(logs, "val_")
            if self.best is None or current > self.best:
                self._save(self.target, self.overwrite)
                last_path(self.target).unlink(missing_ok=True)
                self.best, self.overwrite = current, True
                self.best_results = {**logs, "epoch": epoch}
            else:
                self._save(last_path(self.target), overwrite=True)
            text = json.dumps(self.model.history.history, indent=1)
            write_atomically(history_path(self.target), text.encode())
            self.epochs_kept += 1

    def _save(self, path: Path, overwrite: bool) -> None:
        self.model.save(path, overwrite, notes={**self.notes, "random_state": generator_state()})
