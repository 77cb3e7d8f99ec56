"""A callback from functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastconv._core.checks import unknown_name
from fastconv._core.configuration import call_of
from fastconv.callbacks.callback import HOOKS, Callback


class LambdaCallback(Callback):
    """``LambdaCallback(on_epoch_end=lambda epoch, logs: print(logs["loss"]))``: a function for each hook.

    They are called as the hooks of ``Callback`` are: with the epoch or batch and the logs, or with the logs
    alone. None leaves a hook as it is.
    """

    def __init__(self, **hooks: Callable[..., Any] | None) -> None:
        for name, function in hooks.items():
            if name not in HOOKS:
                raise unknown_name("hook", name, HOOKS)
            if function is not None:
                setattr(self, name, function)

    def __repr__(self) -> str:
        return call_of(self, always={name: hook for name, hook in vars(self).items() if name in HOOKS})
