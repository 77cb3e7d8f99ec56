"""What ``fit`` returns: the losses and metrics of every epoch."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv.callbacks.callback import Callback, Logs


class History(Callback):
    """``history.history`` is {"loss": [...], "val_loss": [...], ...}, ``history.epoch`` the epochs from 0."""

    remembers = ("history", "epoch")

    def __init__(self) -> None:
        self.history: dict[str, list[Any]] = {}
        self.epoch: list[int] = []

    def __repr__(self) -> str:
        """``<History of 5 epochs: accuracy 0.9123, loss 0.3012>``, as the last of them ended."""
        ends = {name: values[-1] for name, values in self.history.items()}
        last = (f"{name} {value:.4g}" for name, value in ends.items() if np.ndim(value) == 0)
        epochs = f"{len(self.epoch)} epoch{'s' * (len(self.epoch) != 1)}"
        return f"<History of {epochs}: {', '.join(last)}>" if self.history else f"<History of {epochs}>"

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.epoch = []

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)
        self.model.history = self
