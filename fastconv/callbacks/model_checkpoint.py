"""Save the model while it trains: always, or whenever it is better than ever."""

from __future__ import annotations

import os

from fastconv.callbacks.callback import Logs
from fastconv.callbacks.monitor import MonitorCallback


class ModelCheckpoint(MonitorCallback):
    """Saves the model after every epoch, or every so many batches.

    Parameters
    ----------
    filepath : ends in ".safetensors"; for Keras in ".keras", or ".weights.h5" for weights alone. May contain
        {epoch}, {batch} (both from 1) and names from the logs:
        "best-{epoch:02d}-{val_loss:.3f}.safetensors". Folders are made as needed.
    monitor, mode : what better means, as for ``EarlyStopping``
    verbose : 1 says what is saved and why
    save_best_only : save only when ``monitor`` is better than ever
    save_weights_only : ``model.save_weights`` instead of ``model.save``
    save_freq : "epoch", or after how many batches
    initial_value_threshold : what has to be beaten at first

    Files are replaced in one piece: a crash while saving leaves the file before whole.
    """

    remembers = ("best", "_batches")

    def __init__(
        self,
        filepath: str | os.PathLike[str],
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: str | int = "epoch",
        initial_value_threshold: float | None = None,
    ) -> None:
        super().__init__(monitor, mode)
        self.filepath = os.fspath(filepath)
        ends = (".safetensors", ".weights.h5" if save_weights_only else ".keras")
        if not self.filepath.endswith(ends):
            raise ValueError(
                f"ModelCheckpoint: the name of the file must end in {ends[0]} or, for Keras, {ends[1]}; got "
                f"{self.filepath!r}"
            )
        if save_freq != "epoch" and not (isinstance(save_freq, int) and save_freq > 0):
            raise ValueError(f'save_freq must be "epoch" or a number of batches, got {save_freq!r}')
        self.verbose = verbose
        self.save_best_only = save_best_only
        self.save_weights_only = save_weights_only
        self.save_freq = save_freq
        self.best = initial_value_threshold
        self._epoch = 0
        self._batches = 0

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        self._batches += 1
        if self._batches == self.save_freq:
            self._batches = 0
            self._save({"batch": batch + 1, **(logs or {})})

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if self.save_freq == "epoch":
            self._save(logs or {})

    def _save(self, logs: Logs) -> None:
        path = self._path(logs)
        if self.save_best_only and not self._is_best(logs, path):
            return
        if not self.save_best_only:
            self._say(f"saving model to {path}")
        if folder := os.path.dirname(path):
            os.makedirs(folder, exist_ok=True)
        if self.save_weights_only:
            self.model.save_weights(path)
        else:
            self.model.save(path)

    def _is_best(self, logs: Logs, path: str) -> bool:
        """Without a number to go by, every model is worth keeping."""
        current, before = self.monitored(logs), self.best
        if current is None:
            return True
        if not self.improves(current, before):
            self._say(f"{self.monitor} did not improve" + ("" if before is None else f" from {before:.5f}"))
            return False
        self.best = current
        start = "" if before is None else f" from {before:.5f}"
        self._say(f"{self.monitor} improved{start} to {current:.5f}, saving model to {path}")
        return True

    def _path(self, logs: Logs) -> str:
        try:
            return self.filepath.format(epoch=self._epoch + 1, **logs)
        except (KeyError, IndexError) as missing:
            raise ValueError(
                f"ModelCheckpoint: cannot fill in {self.filepath!r}: {missing} is not available; there are "
                f"{', '.join(['epoch', *logs])}"
            ) from None

    def _say(self, what: str) -> None:
        if self.verbose > 0:
            print(f"\nEpoch {self._epoch + 1}: {what}")
