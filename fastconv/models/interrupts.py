"""Ctrl-C between two steps of training, never in the middle of one."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any


class between_steps:
    """Ctrl-C waits for the end of a step, where it comes in the middle of one.

    >>> with between_steps() as step:
    ...     while training:
    ...         with step:
    ...             optimizer.step(parameters)

    Outside the inner block it does what it always does, raise KeyboardInterrupt. An optimizer step changes
    one weight array after another: interrupted half way it would leave a model that never was. Only the main
    thread receives signals; elsewhere this does nothing.
    """

    def __enter__(self) -> Step:
        self._usual: Any = None
        self._step = Step()
        if threading.current_thread() is threading.main_thread():
            handler = signal.getsignal(signal.SIGINT)
            if callable(handler):
                self._usual = self._step.usual = handler
                signal.signal(signal.SIGINT, self._step.interrupt)
        return self._step

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._usual is not None:
            signal.signal(signal.SIGINT, self._usual)


class Step:
    """The block that Ctrl-C waits for; a second one does not wait."""

    def __init__(self) -> None:
        self.usual: Any = None
        self._inside = False
        self._pending: tuple[int, FrameType | None] | None = None

    def __enter__(self) -> None:
        self._inside = True

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._inside = False
        if self._pending is not None:
            pending, self._pending = self._pending, None
            if error is None:
                self.usual(*pending)

    def interrupt(self, number: int, frame: FrameType | None) -> None:
        if self._inside and self._pending is None:
            self._pending = number, frame
        else:
            self.usual(number, frame)
