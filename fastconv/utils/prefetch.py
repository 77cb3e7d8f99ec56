"""Batches made ready in the background."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping, Sized
from contextlib import closing
from typing import Any

from fastconv._core.randomness import drawing_for_batch, drawn_seed
from fastconv.layers._arguments import whole
from fastconv.utils.batch_source import BatchSource, is_repeatable, load_state_of, one_pass, state_of

_PATIENCE = 2.0
"""Seconds to wait at the end for the thread, which may be at work on a batch, or blocked for ever."""


class Prefetch(BatchSource):
    """The batches of ``source``, prepared by a thread of their own while the network works on earlier ones.

    >>> model.fit(Prefetch(batches, map=lambda x, y: (augment(x), y)), epochs=5)

    Order and contents are those of the source. Kernels let other Python threads run while they compute, so
    that with a processor to spare the preparation costs no time. The thread ends with the iteration: after
    the last batch, after an error, which is raised where the batches are taken, or as soon as nobody takes
    any more. Where it is then waiting for a source that blocks, such as a queue or a socket, it ends when the
    source gives its next batch, which is lost, as are batches that were ready.

    Parameters
    ----------
    source : a list of batches, a generator, ...: anything that can be iterated
    map : called as map(x, y), with as many parts as a batch has; what it returns takes the batch's place.
        It runs in the thread. What random layers in it draw follows from their seed, or from a number drawn
        from the global generator as each pass begins, and from the batch's place in the training alone
    depth : so many batches at most are ready and waiting

    Attributes
    ----------
    epoch : the number of the next pass, from 0; may be assigned
    """

    def __init__(self, source: Iterable[Any], map: Callable[..., Any] | None = None, depth: int = 2) -> None:
        if not hasattr(source, "__iter__"):
            raise TypeError(f"Prefetch: source must be an iterable of batches, got {source!r}")
        if map is not None and not callable(map):
            raise TypeError(f"Prefetch: map must be a function of the parts of a batch, got {map!r}")
        self.source = source
        self.map = map
        self.depth = whole(depth, "Prefetch: depth")
        self.epoch = 0

    def __len__(self) -> int:
        if not isinstance(self.source, Sized):
            raise TypeError(f"{self.source!r} has no length, and so its Prefetch has none")
        return len(self.source)

    @property
    def repeatable(self) -> bool:
        """False where the source is a generator, which can be passed through only once."""
        return is_repeatable(self.source)

    def start(self, skip: int = 0) -> Generator[Any]:
        batches = one_pass(self.source, skip)
        if self.map is not None:
            batches = mapped(batches, self.map, drawn_seed(), self.epoch, skip)
        self.epoch += 1
        return made_ahead(batches, self.depth)

    def state_dict(self) -> dict[str, Any]:
        return {"epoch": self.epoch, "source": state_of(self.source)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.epoch = state["epoch"]
        load_state_of(self.source, state["source"])


def mapped(
    batches: Generator[Any], map: Callable[..., Any], seed: int, epoch: int, first: int
) -> Generator[Any]:
    """``map`` of the parts of each batch; the first one is batch ``first`` of the epoch."""
    with closing(batches):
        for number, batch in enumerate(batches, first):
            with drawing_for_batch(seed, epoch, number):
                made = map(*batch) if isinstance(batch, (tuple, list)) else map(batch)
            yield made


def made_ahead(batches: Generator[Any], depth: int) -> Generator[Any]:
    """The batches, made by a thread that is ``depth`` of them ahead and lives as long as the iteration."""
    handover = _Handover(depth)
    thread = threading.Thread(
        target=_prepare, args=(batches, handover), name="fastconv.Prefetch", daemon=True
    )
    thread.start()
    try:
        while (batch := handover.take()) is not _END:
            if isinstance(batch, _Failure):
                raise batch.error
            yield batch
    finally:
        handover.close()
        thread.join(_PATIENCE)


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


def _prepare(batches: Generator[Any], handover: _Handover) -> None:
    try:
        with closing(batches):  # here, for no other thread can close a generator that is at work
            for batch in batches:
                if not handover.put(batch):
                    return
        handover.put(_END)
    except BaseException as error:  # whatever it is, the consumer must not wait for ever
        handover.put(_Failure(error))
