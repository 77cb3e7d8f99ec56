"""A smaller learning rate at the end of training: steps stop jumping about the minimum and settle in it."""

from __future__ import annotations

from typing import Any

from fastconv.callbacks import Callback


class CoolDown(Callback):
    """Divide the learning rate by ten for the last ``share`` of the epochs, and put it back when all is done.

    ``epochs_before`` of the epochs counted in ``params`` had been run earlier. A learning rate that follows a
    schedule is left to it.
    """

    def __init__(self, share: float, epochs_before: int = 0) -> None:
        super().__init__()
        self.share = share
        self.epochs_before = epochs_before

    def on_train_begin(self, logs: Any = None) -> None:
        assert self.params is not None
        rate = self.model.optimizer.get_config()["learning_rate"]
        self.rate = rate if isinstance(rate, float) else None
        self.begin = self.params["epochs"] - int(self.share * (self.params["epochs"] - self.epochs_before))

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if self.rate is not None:
            self.model.optimizer.learning_rate = self.rate / 10 if epoch >= self.begin else self.rate

    def on_train_end(self, logs: Any = None) -> None:
        if self.rate is not None:
            self.model.optimizer.learning_rate = self.rate
