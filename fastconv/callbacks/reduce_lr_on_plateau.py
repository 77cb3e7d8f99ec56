"""A smaller learning rate when there is no more progress."""

from __future__ import annotations

from fastconv.callbacks.callback import Logs
from fastconv.callbacks.monitor import MonitorCallback


class ReduceLROnPlateau(MonitorCallback):
    """η ← max(factor · η, min_lr) once ``monitor`` has not improved for ``patience`` epochs.

    Also called performance scheduling.

    Parameters
    ----------
    monitor : a name in the logs
    factor : below 1
    patience : how many epochs without improvement to bear
    verbose : 1 says what the rate becomes
    mode : "min", "max", or "auto", which asks the metric
    min_delta : an improvement by less is none
    cooldown : for how many epochs after a reduction not to count
    min_lr : the rate goes no lower

    Logs get the epoch's rate as "learning_rate".
    """

    remembers = ("best", "wait", "cooldown_counter")

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        if not 0 < factor < 1:
            raise ValueError(
                f"ReduceLROnPlateau: factor must lower the learning rate, 0 < factor < 1; got {factor!r}"
            )
        self.factor = factor
        self.patience = patience
        self.verbose = verbose
        self.cooldown = cooldown
        self.min_lr = min_lr
        self.on_train_begin()

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.best = None
        self.wait = 0
        self.cooldown_counter = 0

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        logs = {} if logs is None else logs
        logs["learning_rate"] = self.model.optimizer.learning_rate
        current = self.monitored(logs)
        if current is None:
            return
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.wait = 0
        if self.improves(current, self.best):
            self.best = current
            self.wait = 0
        elif self.cooldown_counter == 0:
            self.wait += 1
            if self.wait >= self.patience:
                self._reduce(epoch)

    def _reduce(self, epoch: int) -> None:
        optimizer = self.model.optimizer
        if optimizer.learning_rate <= self.min_lr:
            return
        optimizer.learning_rate = max(optimizer.learning_rate * self.factor, self.min_lr)
        self.cooldown_counter = self.cooldown
        self.wait = 0
        if self.verbose > 0:
            rate = optimizer.learning_rate
            print(f"\nEpoch {epoch + 1}: ReduceLROnPlateau reducing learning rate to {rate}.")
