"""Ctrl-C between two steps of training, never in the middle of one."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any


class whole_step:
    """While the block runs Ctrl-C waits; at its end it does what it always does, raise KeyboardInterrupt.

    An optimizer step changes one weight array after another: interrupted half way it would leave a model that
    never was. Only the main thread receives signals; elsewhere this does nothing.
    """

    def __enter__(self) -> None:
        self._pending: tuple[int, FrameType | None] | None = None
        self._usual: Any = None
        if threading.current_thread() is threading.main_thread():
            handler = signal.getsignal(signal.SIGINT)
            if callable(handler):
                self._usual = handler
                signal.signal(signal.SIGINT, self._wait)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._usual is None:
            return
        signal.signal(signal.SIGINT, self._usual)
        if self._pending is not None and error is None:
            self._usual(*self._pending)

    def _wait(self, number: int, frame: FrameType | None) -> None:
        self._pending = number, frame
