"""Threads take turns at a model."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakSet

_all: WeakSet[Turns] = WeakSet()


class Turns:
    """The locks of one object. A copy of the object has locks of its own.

    A forked child has only the thread that forked: locks that other threads held are free in the child.

    lock    held while layers compute or weights change: for one batch, or one step of training
    lost    True in a forked child where another thread held the lock: what it worked on is half done
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.lost = False
        self._loop = threading.RLock()
        _all.add(self)

    @contextmanager
    def alone(self, who: object) -> Iterator[None]:
        """For what adds up losses and metrics over many batches, such as ``fit``: one thread at a time.

        RuntimeError where another thread is at it.
        """
        with self.lock:  # a single batch in another thread is soon done
            self.check_alone(who)
            self._loop.acquire()
        try:
            yield
        finally:
            self._loop.release()

    def check_alone(self, who: object) -> None:
        """RuntimeError where another thread is ``alone``. The lock must be held."""
        if not self._loop.acquire(blocking=False):
            raise RuntimeError(
                f"{who} is being trained or evaluated in another thread, which uses the same metrics: wait "
                "until it has ended (thread.join()), or use a copy of the model (copy.deepcopy(model))"
            )
        self._loop.release()

    def __reduce__(self) -> tuple[Any, ...]:
        return Turns, ()

    def _go_on_in_child(self) -> None:
        if not _is_ours(self.lock):
            self.lock, self.lost = threading.RLock(), True
        if not _is_ours(self._loop):
            self._loop = threading.RLock()


def _is_ours(lock: Any) -> bool:
    """Whether a re-entrant lock is free, or held by this thread."""
    if not lock.acquire(blocking=False):
        return False
    lock.release()
    return True


def _go_on_in_child() -> None:
    for turns in list(_all):
        turns._go_on_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_go_on_in_child)
