"""Stop when it gets no better, and go back to when it was best."""

from __future__ import annotations

from typing import Any

from fastconv.callbacks.callback import Logs
from fastconv.callbacks.monitor import MonitorCallback


class EarlyStopping(MonitorCallback):
    """Ends training once ``monitor`` has not improved for ``patience`` epochs.

    Parameters
    ----------
    monitor : a name in the logs
    min_delta : an improvement by less is none
    patience : how many epochs without improvement to bear
    verbose : 1 says when training stops and which weights come back
    mode : "min", "max", or "auto", which asks the metric
    baseline : what has to be beaten for an improvement to restart the waiting
    restore_best_weights : end with the weights of the best epoch, also where training ran to its end
    start_from_epoch : ignore the epochs before this one

    After training ``best`` and ``best_epoch`` tell what was best and when, ``stopped_epoch`` when training
    was stopped (0 where it was not); epochs count from 0.
    """

    remembers = ("best", "best_epoch", "best_weights", "wait", "stopped_epoch")

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        self.patience = patience
        self.verbose = verbose
        self.baseline = baseline
        self.restore_best_weights = restore_best_weights
        self.start_from_epoch = start_from_epoch
        self._start_afresh()

    def _start_afresh(self) -> None:
        self.best = None
        self.best_epoch = 0
        self.best_weights: Any = None
        self.wait = 0
        self.stopped_epoch = 0

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._start_afresh()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        current = self.monitored(logs)
        if current is None or epoch < self.start_from_epoch:
            return
        self.wait += 1
        if self.improves(current, self.best):
            self.best = current
            self.best_epoch = epoch
            if self.restore_best_weights:
                self.best_weights = self.model.get_weights()
            if self.baseline is None or self.improves(current, self.baseline):
                self.wait = 0
        elif self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: Logs | None = None) -> None:
        if self.stopped_epoch > 0 and self.verbose > 0:
            print(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.best_weights is not None:
            if self.verbose > 0:
                print(f"Restoring the weights of the best epoch: {self.best_epoch + 1}.")
            self.model.set_weights(self.best_weights)
