"""Several callbacks as one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from fastconv.callbacks.callback import HOOKS, Callback, Logs
from fastconv.callbacks.history import History
from fastconv.callbacks.progbar_logger import ProgbarLogger


class CallbackList(Callback):
    """Passes every call on to each of ``callbacks``, in order. All get the same ``logs``, {} for None.

    Parameters
    ----------
    callbacks : callbacks, one or several, in lists inside the list too. An object of another class than
        ``Callback`` will do where it has at least one of its hooks; the others are left out
    add_history, add_progbar : True adds a ``History``, a ``ProgbarLogger``, unless there is one already
    model : handed on to all of them
    params : handed on to all of them

    Raises TypeError for what has no hook.
    """

    def __init__(
        self,
        callbacks: Iterable[Any] | Callback | None = None,
        add_history: bool = False,
        add_progbar: bool = False,
        model: Any = None,
        **params: Any,
    ) -> None:
        self.callbacks = flat(callbacks)
        for wanted, cls in ((add_history, History), (add_progbar, ProgbarLogger)):
            if wanted and not any(isinstance(callback, cls) for callback in self.callbacks):
                self.append(cls())
        if model is not None:
            self.set_model(model)
        if params:
            self.set_params(params)

    def append(self, callback: Any) -> None:
        self.callbacks += flat(callback)

    def set_params(self, params: Logs) -> None:
        super().set_params(params)
        for callback in self.callbacks:
            if hasattr(callback, "set_params"):
                callback.set_params(params)

    def set_model(self, model: Any) -> None:
        super().set_model(model)
        for callback in self.callbacks:
            if hasattr(callback, "set_model"):
                callback.set_model(model)


def flat(callbacks: Any) -> list[Any]:
    """The callbacks of a list, or of lists in it, or a single one. TypeError for what is none."""
    return list(_flattened(callbacks))


def _flattened(given: Any) -> Iterator[Any]:
    if given is None:
        return
    if isinstance(given, (list, tuple)):
        for inner in given:
            yield from _flattened(inner)
        return
    is_one = isinstance(given, Callback) or any(hasattr(given, hook) for hook in HOOKS)
    if isinstance(given, type) or not is_one:
        hint = f": write {given.__name__}(...)" if isinstance(given, type) else ""
        raise TypeError(
            f"callbacks must be Callback objects, or have hooks such as on_epoch_end; got {given!r}{hint}"
        )
    yield given


def _pass_on(hook: str) -> Callable[..., None]:
    """The method ``hook``: of the epoch or batch and the logs, or of the logs alone."""

    def with_number(self: CallbackList, number: int, logs: Logs | None = None) -> None:
        logs = {} if logs is None else logs
        for callback in self.callbacks:
            if (method := getattr(callback, hook, None)) is not None:
                method(number, logs)

    def without_number(self: CallbackList, logs: Logs | None = None) -> None:
        logs = {} if logs is None else logs
        for callback in self.callbacks:
            if (method := getattr(callback, hook, None)) is not None:
                method(logs)

    return with_number if "epoch" in hook or "batch" in hook else without_number


for _hook in HOOKS:
    setattr(CallbackList, _hook, _pass_on(_hook))
