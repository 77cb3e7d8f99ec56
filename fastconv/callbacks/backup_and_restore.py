"""A training that goes on where it was when its process was killed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from fastconv._core.files import read_state, remove_leftovers, write_state
from fastconv.callbacks.callback import Callback, Logs

_KIND = "fastconv backup"


class BackupAndRestore(Callback):
    """Kill the process at any moment and run the same program again: ``fit`` goes on from the last backup.

    What comes out is the same to the bit as without the interruption: weights, optimizer, the order of the
    examples, all random numbers, the history and what other callbacks remember are in the backup. A program
    that ends regularly deletes it.

    Parameters
    ----------
    backup_dir : a folder for this training alone; made as needed
    save_freq : "epoch", or after how many batches
    double_checkpoint : keep the backup before the last as well, and go back to it if the last cannot be read
    delete_checkpoint : False leaves the backup behind when training has ended; the next ``fit`` then finds
        itself at the end

    The program must be the same: model, data, arguments of ``fit``, callbacks. Of arrays, a ``Loader``, a
    ``PyDataset``, and in the ``map`` of a ``Prefetch``, no batch is made again that was seen before. Batches
    of a generator or another iterable of your own are made again and thrown away: random numbers that it
    draws itself should follow from a seed. Callbacks and data sets of your own say what they remember, see
    ``Callback`` and ``utils.PyDataset``.
    """

    comes_last = True

    def __init__(
        self,
        backup_dir: str | os.PathLike[str],
        save_freq: str | int = "epoch",
        double_checkpoint: bool = False,
        delete_checkpoint: bool = True,
    ) -> None:
        if not os.fspath(backup_dir):
            raise ValueError("BackupAndRestore: backup_dir is empty: name a folder for this training alone")
        whole = isinstance(save_freq, int) and not isinstance(save_freq, bool) and save_freq > 0
        if save_freq != "epoch" and not whole:
            raise ValueError(f'save_freq must be "epoch" or a number of batches, got {save_freq!r}')
        self.backup_dir = Path(backup_dir)
        self.save_freq = save_freq
        self.double_checkpoint = double_checkpoint
        self.delete_checkpoint = delete_checkpoint
        self._latest = self.backup_dir / "latest.safetensors"
        self._previous = self.backup_dir / "previous.safetensors"
        self._found: dict[str, Any] | None = None
        self._batches = 0

    # ---- restore

    def on_train_begin(self, logs: Logs | None = None) -> None:
        if not self.model.built:
            raise ValueError(
                f"BackupAndRestore: {self.model} has no weights yet that could be restored: give it an "
                "Input, or call build(input_shape) before fit"
            )
        self.backup_dir.mkdir(parents=True, exist_ok=True)
        remove_leftovers(self._latest)
        self._batches = 0
        self._found = self._read()
        if self._found is None:
            return
        if self._found["step"] == 0:
            self._go_back()
        else:
            self.model.run.begin_with(self._found["epoch"])

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """In the middle of an epoch: after what the other callbacks do at its beginning, which is undone."""
        if self._found is not None:
            self._go_back()

    def _go_back(self) -> None:
        try:
            self.model.run.load_state_dict(self._found)
        except (ValueError, KeyError) as error:
            raise ValueError(
                f"BackupAndRestore: the backup in {self.backup_dir} is of another training: {error}. Delete "
                "the folder to start afresh"
            ) from error
        self._found = None

    def _read(self) -> dict[str, Any] | None:
        """The last backup that can be read; None where there is none."""
        errors = []
        for path in (self._latest, self._previous):
            try:
                return read_state(path, _KIND)
            except FileNotFoundError:
                continue
            except (ValueError, OSError) as error:
                errors.append(error)
        if errors:
            raise ValueError(f"BackupAndRestore: {errors[0]}. Delete {self.backup_dir} to start afresh")
        return None

    # ---- back up

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        self._batches += 1
        if self._batches == self.save_freq:
            self._batches = 0
            if not self.model.stop_training:  # the epoch is not to be gone on with
                self._write()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if self.save_freq == "epoch":
            self._write()

    def _write(self) -> None:
        if self.double_checkpoint and self._latest.exists():
            os.replace(self._latest, self._previous)
        write_state(self._latest, self.model.run.state_dict(), _KIND)

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Training that Ctrl-C ends is not over: its backup stays."""
        if self.delete_checkpoint and self.model.run.is_over:
            self._latest.unlink(missing_ok=True)
            self._previous.unlink(missing_ok=True)
            if not any(self.backup_dir.iterdir()):
                self.backup_dir.rmdir()
