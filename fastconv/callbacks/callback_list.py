"""Several callbacks as one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from fastconv.callbacks.callback import HOOKS, Callback, Logs


class CallbackList(Callback):
    """Passes every call on to each of ``callbacks``, in order. All get the same ``logs``, {} for None."""

    def __init__(self, callbacks: Iterable[Callback] | None = None, model: Any = None, **params: Any) -> None:
        self.callbacks = list(callbacks or ())
        if model is not None:
            self.set_model(model)
        if params:
            self.set_params(params)

    def append(self, callback: Callback) -> None:
        self.callbacks.append(callback)

    def set_params(self, params: Logs) -> None:
        super().set_params(params)
        for callback in self.callbacks:
            callback.set_params(params)

    def set_model(self, model: Any) -> None:
        super().set_model(model)
        for callback in self.callbacks:
            callback.set_model(model)


def _pass_on(hook: str) -> Callable[..., None]:
    """The method ``hook``: of the epoch or batch and the logs, or of the logs alone."""

    def with_number(self: CallbackList, number: int, logs: Logs | None = None) -> None:
        logs = {} if logs is None else logs
        for callback in self.callbacks:
            getattr(callback, hook)(number, logs)

    def without_number(self: CallbackList, logs: Logs | None = None) -> None:
        logs = {} if logs is None else logs
        for callback in self.callbacks:
            getattr(callback, hook)(logs)

    return with_number if "epoch" in hook or "batch" in hook else without_number


for _hook in HOOKS:
    setattr(CallbackList, _hook, _pass_on(_hook))
