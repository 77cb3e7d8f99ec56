"""Batches made ready in the background."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sized
from typing import Any

from fastconv.layers._arguments import whole


class Prefetch:
    """The batches of ``source``, prepared by a thread of their own while the network works on earlier ones.

    >>> model.fit(Prefetch(batches, map=lambda x, y: (augment(x), y)), epochs=5)

    Order and contents are those of the source. Kernels let other Python threads run while they compute, so
    that with a processor to spare the preparation costs no time. The thread ends with the iteration: after
    the last batch, after an error, which is raised where the batches are taken, or as soon as nobody takes
    any more.

    Parameters
    ----------
    source : a list of batches, a generator, ...: anything that can be iterated
    map : called as map(x, y), with as many parts as a batch has; what it returns takes the batch's place.
        It runs in the thread: random layers in it should have a seed, for the numbers of the global generator
        would be shared with the training in an order that differs from run to run
    depth : so many batches at most are ready and waiting
    """

    def __init__(self, source: Iterable[Any], map: Callable[..., Any] | None = None, depth: int = 2) -> None:
        if not hasattr(source, "__iter__"):
            raise TypeError(f"Prefetch: source must be an iterable of batches, got {source!r}")
        if map is not None and not callable(map):
            raise TypeError(f"Prefetch: map must be a function of the parts of a batch, got {map!r}")
        self.source = source
        self.map = map
        self.depth = whole(depth, "Prefetch: depth")

    def __len__(self) -> int:
        if not isinstance(self.source, Sized):
            raise TypeError(f"{self.source!r} has no length, and so its Prefetch has none")
        return len(self.source)

    @property
    def repeatable(self) -> bool:
        """False where the source is a generator, which can be passed through only once."""
        return getattr(self.source, "repeatable", not isinstance(self.source, Iterator))

    def __iter__(self) -> Iterator[Any]:
        handover = _Handover(self.depth)
        # The source begins here: what it draws at the start, it draws in the consumer's thread.
        arguments = (iter(self.source), self.map, handover)
        thread = threading.Thread(target=_prepare, args=arguments, name="fastconv.Prefetch", daemon=True)
        thread.start()
        try:
            while (batch := handover.take()) is not _END:
                if isinstance(batch, _Failure):
                    raise batch.error
                yield batch
        finally:
            handover.close()
            thread.join()


class _Handover:
    """A few places between the thread that prepares and the one that takes."""

    def __init__(self, places: int) -> None:
        self._places = places
        self._items: deque[Any] = deque()
        self._closed = False
        self._changed = threading.Condition()

    def put(self, item: Any) -> bool:
        """Wait for a free place; False where nothing is taken any more."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._items) < self._places or self._closed)
            if not self._closed:
                self._items.append(item)
                self._changed.notify_all()
            return not self._closed

    def take(self) -> Any:
        with self._changed:
            self._changed.wait_for(lambda: len(self._items) > 0)
            item = self._items.popleft()
            self._changed.notify_all()
            return item

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._items.clear()
            self._changed.notify_all()


class _Failure:
    """An error on its way to the consumer."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


_END = object()


def _prepare(batches: Iterator[Any], map: Callable[..., Any] | None, handover: _Handover) -> None:
    try:
        for batch in batches:
            if not handover.put(mapped(batch, map)):
                return
        handover.put(_END)
    except BaseException as error:  # whatever it is, the consumer must not wait for ever
        handover.put(_Failure(error))


def mapped(batch: Any, map: Callable[..., Any] | None) -> Any:
    """``map`` of the parts of a batch."""
    if map is None:
        return batch
    return map(*batch) if isinstance(batch, (tuple, list)) else map(batch)
