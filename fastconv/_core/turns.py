"""Threads take turns at a model, and at weights.

Whoever trains a model, or runs layers in Python, has its ``lock``: one thread at a time. Beside that thread
others may run programs in C, which read the weights and write nothing: they are ``reading``. So whoever
changes weights is ``writing`` them, for the moment that it takes: it waits until nobody reads them in another
thread, and who comes meanwhile waits for it. Models that share layers have locks of their own, so a writer
looks whose weights are among its own.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from threading import get_ident
from typing import Any
from weakref import WeakSet

from fastconv import _kernels
from fastconv._core.versions import Latest

_all: WeakSet[Turns] = WeakSet()


class Turns:
    """The locks of one model, its ``owner``. A copy of the model has locks of its own.

    A forked child has only the thread that forked: locks that other threads held are free in the child.

    lock      held while layers compute in Python or a step of training is taken: for one batch
    reading   held while a program in C reads the weights; by several threads at the same time
    """

    def __init__(self, owner: Any = None) -> None:
        self.lock = threading.RLock()
        self._loop = threading.RLock()
        self._weights = _Weights(owner)
        self.reading = _kernels.Reading(self._weights, _wait, _wake)
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
        return Turns, (), self._weights.owner()

    def __setstate__(self, owner: Any) -> None:
        self._weights.belong_to(owner)

    def _go_on_in_child(self) -> None:
        if not _is_ours(self.lock):
            self.lock = threading.RLock()
        if not _is_ours(self._loop):
            self._loop = threading.RLock()


def _is_ours(lock: Any) -> bool:
    """Whether a re-entrant lock is free, or held by this thread."""
    if not lock.acquire(blocking=False):
        return False
    lock.release()
    return True


# ---- readers and writers of weights --------------------------------------------------------------


class _Weights:
    """Those of a model, as it is now."""

    def __init__(self, owner: Any) -> None:
        self.belong_to(owner)
        self._ids = Latest[frozenset[int]]()

    def belong_to(self, owner: Any) -> None:
        self.owner = (lambda: None) if owner is None else weakref.ref(owner)

    def ids(self) -> frozenset[int]:
        owner = self.owner()
        return frozenset() if owner is None else self._ids.of(lambda: frozenset(map(id, owner.weights)))


_turn = threading.Condition()
_writers: list[writing] = []
"""Those at work, and those that wait; changed by whoever holds ``_turn``."""


class writing:
    """A ``with`` block in which no other thread reads or writes these parameters.

    Within a block in which it reads or writes, a thread may write too. RuntimeError where two threads that
    read the same weights want to write them: each would wait for the other.
    """

    def __init__(self, parameters: Iterable[Any]) -> None:
        self._parameters = parameters
        self._ids: frozenset[int] | None = None
        self._thread = 0
        self._is_at_work = self._reads_too = False

    def __enter__(self) -> None:
        self._thread = get_ident()
        with _turn:
            _writers.append(self)
            _kernels.count_writers(len(_writers))
            try:
                while self._is_kept_out():
                    _turn.wait()
            except BaseException:
                self._leave()
                raise
            self._is_at_work = True

    def __exit__(self, *error: object) -> None:
        with _turn:
            self._leave()

    def _leave(self) -> None:
        _writers.remove(self)
        _kernels.count_writers(len(_writers))
        _turn.notify_all()

    def keeps_out(self, thread: int, ids: frozenset[int]) -> bool:
        """Whether it writes what another thread reads or writes."""
        return thread != self._thread and not ids.isdisjoint(self.ids())

    def keeps_out_reader(self, thread: int, ids: frozenset[int], is_inside: bool) -> bool:
        """A reader that is about to come in waits for those that wait too, lest these wait for ever; but not
        where it reads already, for they wait for it.
        """
        return (self._is_at_work or not is_inside) and self.keeps_out(thread, ids)

    def ids(self) -> frozenset[int]:
        if self._ids is None:
            self._ids = frozenset(map(id, self._parameters))
        return self._ids

    def _is_kept_out(self) -> bool:
        readers = _kernels.reading_now()
        if not readers and len(_writers) == 1:
            return False
        if any(other._is_at_work and other.keeps_out(self._thread, self.ids()) for other in _writers):
            return True
        read = [thread for thread, reading in readers if not reading.of.ids().isdisjoint(self.ids())]
        self._reads_too = self._thread in read
        if self._reads_too and any(
            other is not self and other._reads_too and other.keeps_out(self._thread, self.ids())
            for other in _writers
        ):
            raise RuntimeError(
                "two threads change weights in the middle of an inference that reads them, and each would "
                "wait for the other: let a layer's call in inference train or set no weights of its own model"
            )
        return any(thread != self._thread for thread in read)


def _wait(reading: _kernels.Reading) -> None:
    me = get_ident()
    with _turn:
        is_inside = any(thread == me for thread, _ in _kernels.reading_now())
        while any(one.keeps_out_reader(me, reading.of.ids(), is_inside) for one in _writers):
            _turn.wait()
        reading.enter_now()


def _wake() -> None:
    with _turn:
        _turn.notify_all()


def _go_on_in_child() -> None:
    global _turn
    me = get_ident()
    _turn = threading.Condition()
    _writers[:] = [one for one in _writers if one._thread == me]
    _kernels.count_writers(len(_writers))
    _kernels.forget_readers_but(me)
    for turns in list(_all):
        turns._go_on_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_go_on_in_child)
