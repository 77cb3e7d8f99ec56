"""A smaller learning rate at the end of training: steps stop jumping about the minimum and settle in it."""

from __future__ import annotations

from typing import Any

from fastconv.callbacks import Callback


class CoolDown(Callback):
    """The learning rate, and a tenth of it from epoch ``begin`` on.

    It stays as it is when training ends: whoever goes on with the network goes on with its last rate.
    """

    def __init__(self, learning_rate: float, begin: int) -> None:
        super().__init__()
        self.learning_rate = learning_rate
        self.begin = begin

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        rate = self.learning_rate
        self.model.optimizer.learning_rate = rate / 10 if epoch >= self.begin else rate
