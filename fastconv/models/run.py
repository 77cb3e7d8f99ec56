"""One call of ``fit``: how far it has come, and how to go on from there in another process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastconv._core.snapshot import restore, snapshot
from fastconv.callbacks import Callback, CallbackList
from fastconv.models.epochs import Epochs
from fastconv.models.mistakes import warn


class Run:
    """Where a training is: before batch ``step`` of epoch ``epoch``, both from 0.

    epochs            where it ends
    is_over           True once it has ended, at the last epoch or before
    loss_is_finite    False once a step's loss was NaN or infinite
    """

    def __init__(
        self,
        model: Any,
        data: Epochs,
        validation: Epochs | None,
        hooks: CallbackList,
        first: int,
        last: int,
    ) -> None:
        self.epoch, self.epochs = first, last
        self.step = 0
        self.is_over = first >= last
        self.loss_is_finite = True
        self._has_trained = False
        self._model = model
        self._data = data
        self._validation = validation
        self._hooks = hooks

    def __reduce__(self) -> tuple[type[None], tuple[()]]:
        """Copies of a model are not being trained."""
        return type(None), ()

    def begin_with(self, epoch: int) -> None:
        """Leave out the epochs before this one."""
        self.epoch = epoch
        self.is_over = epoch >= self.epochs

    def end_without_data(self) -> None:
        """There is no batch for an epoch: the training ends with the one before. ValueError for the first."""
        if not self._has_trained:
            raise ValueError("there was nothing to train on: the data yielded no batch")
        warn(f"the data ran out: there is no batch for epoch {self.epoch + 1}, and training ends")
        self.is_over = True

    def end_epoch(self) -> int:
        """Before the epoch's last hook: the next epoch is now the one to begin. Returns the old one."""
        self.epoch, self.step, self._has_trained = self.epoch + 1, 0, True
        return self.epoch - 1

    def look_for_end(self) -> None:
        """After an epoch's last hook, for it may want to stop."""
        self.is_over = self._is_stopped() or self.epoch >= self.epochs

    def _is_stopped(self) -> bool:
        return self._model.stop_training or self._data.exhausted

    def state_dict(self) -> dict[str, Any]:
        """All that the rest of the training depends on, but the data and the user's own random numbers."""
        return {
            "epoch": self.epoch,
            "step": self.step,
            "is_stopped": self._is_stopped(),
            "model": snapshot(self._model),
            "measures": self._model._compiled.measures.state_dict(),
            "own_metrics": [metric.state_dict() for metric in self._model._own_metrics],
            "data": self._data.state_dict(),
            "validation": None if self._validation is None else self._validation.state_dict(),
            "callbacks": [[type(c).__name__, state] for c, state in self._stateful()],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go to where ``state_dict`` was taken in a training that began as this one.

        Raises ValueError where model or callbacks are others.
        """
        own = self._stateful()
        self._has_trained = state["epoch"] > 0 or state["step"] > 0
        names, saved = [type(c).__name__ for c, _ in own], [name for name, _ in state["callbacks"]]
        if names != saved:
            raise ValueError(f"it was made with the callbacks {saved}, and now there are {names}")
        self._data.load_state_dict(state["data"])
        if self._validation is not None and state["validation"] is not None:
            self._validation.load_state_dict(state["validation"])
        self._model.reset_metrics()
        self._model._compiled.measures.load_state_dict(state["measures"])
        for metric, its_state in zip(self._model._own_metrics, state["own_metrics"], strict=True):
            metric.load_state_dict(its_state)
        for (callback, _), (_, its_state) in zip(own, state["callbacks"], strict=True):
            callback.load_state_dict(its_state)
        restore(self._model, state["model"])  # comes last: dealing out data has drawn random numbers
        self.epoch, self.step = state["epoch"], state["step"]
        self.is_over = state["is_stopped"] or self.epoch >= self.epochs

    def _stateful(self) -> list[tuple[Any, dict[str, Any]]]:
        """The callbacks that remember something, and what."""
        own = [callback for callback in self._hooks.callbacks if isinstance(callback, Callback)]
        states = [(callback, callback.state_dict()) for callback in own]
        return [(callback, state) for callback, state in states if state]
