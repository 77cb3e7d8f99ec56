"""What ``fit`` returns: the losses and metrics of every epoch."""

from __future__ import annotations

from typing import Any

from fastconv.callbacks.callback import Callback, Logs


class History(Callback):
    """``history.history`` is {"loss": [...], "val_loss": [...], ...}, ``history.epoch`` the epochs from 0."""

    remembers = ("history", "epoch")

    def __init__(self) -> None:
        self.history: dict[str, list[Any]] = {}
        self.epoch: list[int] = []

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.epoch = []

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)
        self.model.history = self
