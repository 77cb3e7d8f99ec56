"""The base class of callbacks: what may happen at the turning points of training."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from fastconv._core.configuration import call_of

Logs = dict[str, Any]


class Callback:
    """Override the hooks you need; ``fit``, ``evaluate`` and ``predict`` call them.

    ``self.model`` is the model at work, and ``self.model.stop_training = True`` ends ``fit`` after the step.
    ``self.params`` is {"verbose": ..., "epochs": ..., "steps": ...}. ``logs`` holds the loss and the metrics
    so far, of validation too where an epoch ends; what a callback adds to it the next ones will see.

    ::

        fit        on_train_begin
                       on_epoch_begin
                           on_train_batch_begin, on_train_batch_end    for each batch
                           on_test_begin ... on_test_end               validation, as in evaluate
                       on_epoch_end
                   on_train_end
        evaluate   on_test_begin
                       on_test_batch_begin, on_test_batch_end          for each batch
                   on_test_end
        predict    on_predict_begin
                       on_predict_batch_begin, on_predict_batch_end    for each batch
                   on_predict_end

    Epochs and batches are counted from 0.

    For ``BackupAndRestore`` a callback that remembers things from one hook to the next lists the attributes
    in ``remembers``, or overrides ``state_dict`` and ``load_state_dict``.
    """

    params: Logs | None = None
    model: Any = None

    remembers: tuple[str, ...] = ()
    """Attributes, plain or arrays, that a later process needs to go on where this one stopped."""

    comes_last = False
    """True for a callback whose hooks run after those of all others."""

    def __repr__(self) -> str:
        return call_of(self)

    def state_dict(self) -> dict[str, Any]:
        """What a later process needs to go on: numbers, strings, arrays, lists and dictionaries of them."""
        return {name: copy.deepcopy(getattr(self, name)) for name in self.remembers}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where ``state_dict`` was taken; called after ``on_train_begin``."""
        for name in self.remembers:
            setattr(self, name, state[name])

    def set_params(self, params: Logs) -> None:
        """Called before training, with what ``self.params`` is to be."""
        self.params = params

    def set_model(self, model: Any) -> None:
        """Called before training, with what ``self.model`` is to be."""
        self.model = model

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Before the first epoch."""

    def on_train_end(self, logs: Logs | None = None) -> None:
        """After the last epoch, with its logs."""

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Before an epoch's first batch."""

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """After an epoch and its validation, whose loss and metrics the logs call "val_loss" and so on."""

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a step of training."""
        self.on_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a step of training, with the epoch's averages so far."""
        self.on_batch_end(batch, logs)

    def on_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Another name for ``on_train_batch_begin``."""

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Another name for ``on_train_batch_end``."""

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Before evaluation or validation."""

    def on_test_end(self, logs: Logs | None = None) -> None:
        """After evaluation or validation, with its results."""

    def on_test_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a batch of evaluation or validation."""

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a batch of evaluation or validation, with the averages so far."""

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        """Before prediction."""

    def on_predict_end(self, logs: Logs | None = None) -> None:
        """After prediction."""

    def on_predict_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a batch of prediction."""

    def on_predict_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a batch of prediction, with {"outputs": array}."""


HOOKS = tuple(name for name in vars(Callback) if name.startswith("on_"))
