"""Curves and histograms for TensorBoard."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from fastconv._core.checks import unsupported_argument
from fastconv.callbacks.callback import Callback, Logs


class TensorBoard(Callback):
    """Writes losses and metrics where ``tensorboard --logdir logs`` finds them, under Keras' names.

    Parameters
    ----------
    log_dir : gets a folder "train", and "validation" where there is any
    histogram_freq : every so many epochs histograms of all weights; 0 for none
    update_freq : "epoch"; "batch" or a number adds the running averages every so many batches
    write_steps_per_second : how fast it was, too

    There is no graph to draw here, nor profiles, images or embeddings. Needs tensorboardX: ImportError says
    how to get it.
    """

    remembers = ("_step",)

    def __init__(
        self,
        log_dir: str | os.PathLike[str] = "logs",
        histogram_freq: int = 0,
        write_graph: bool = False,
        write_images: bool = False,
        write_steps_per_second: bool = False,
        update_freq: str | int = "epoch",
        profile_batch: int = 0,
        embeddings_freq: int = 0,
        embeddings_metadata: None = None,
    ) -> None:
        refused = {
            "write_graph": write_graph,
            "write_images": write_images,
            "profile_batch": profile_batch,
            "embeddings_freq": embeddings_freq,
            "embeddings_metadata": embeddings_metadata,
        }
        for argument, value in refused.items():
            if value:
                raise unsupported_argument("TensorBoard", argument)
        if update_freq not in ("epoch", "batch") and not (isinstance(update_freq, int) and update_freq > 0):
            raise ValueError(
                f'update_freq must be "epoch", "batch" or a number of batches; got {update_freq!r}'
            )
        _writer_class()
        self.log_dir = Path(log_dir)
        self.histogram_freq = histogram_freq
        self.write_steps_per_second = write_steps_per_second
        self.update_freq = 1 if update_freq == "batch" else update_freq
        self._writers: dict[str, Any] = {}
        self._step = 0
        self._epoch_began = (0.0, 0)
        self._batch_began = 0.0

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._step = 0

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._epoch_began = time.perf_counter(), self._step

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        self._step += 1  # the first batch of a training is number 1
        self._batch_began = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        if isinstance(self.update_freq, int) and self._step % self.update_freq == 0:
            if self.write_steps_per_second:
                speed = 1 / (time.perf_counter() - self._batch_began)
                self._write("train", "batch_steps_per_second", speed, self._step)
            for name, value in (logs or {}).items():
                self._write("train", f"batch_{name}", value, self._step)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        logs = dict(logs or {})
        if self.model.optimizer is not None:
            logs["learning_rate"] = self.model.optimizer.learning_rate
        if self.write_steps_per_second:
            began, step = self._epoch_began
            speed = (self._step - step) / (time.perf_counter() - began)
            self._write("train", "epoch_steps_per_second", speed, epoch)
        for name, value in logs.items():
            folder = "validation" if name.startswith("val_") else "train"
            self._write(folder, f"epoch_{name.removeprefix('val_')}", value, epoch)
        if self.histogram_freq and epoch % self.histogram_freq == 0:
            for weight in self.model.weights:
                self._writer("train").add_histogram(f"{weight.path}/histogram", weight.value, epoch)
        for writer in self._writers.values():
            writer.flush()

    def on_train_end(self, logs: Logs | None = None) -> None:
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()

    def _write(self, folder: str, name: str, value: Any, step: int) -> None:
        if np.ndim(value) == 0:
            self._writer(folder).add_scalar(name, float(value), step)

    def _writer(self, folder: str) -> Any:
        if folder not in self._writers:
            self._writers[folder] = _writer_class()(str(self.log_dir / folder))
        return self._writers[folder]


def _writer_class() -> Any:
    try:
        from tensorboardX import SummaryWriter
    except ImportError:
        raise ImportError(
            "callbacks.TensorBoard needs tensorboardX: python -m pip install 'fastconv[tensorboard]'"
        ) from None
    return SummaryWriter
