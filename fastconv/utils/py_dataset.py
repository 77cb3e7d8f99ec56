"""Batches by their number."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fastconv._core.checks import unsupported_argument
from fastconv._core.configuration import call_of
from fastconv.layers._arguments import whole


class PyDataset:
    """Base of data sets of your own: ``len(dataset)`` batches, ``dataset[i]`` is (x, y) or (x, y, weights).

    A subclass overrides ``__getitem__``, and ``__len__`` or ``num_batches``.

    ``fit`` takes the batches in a new order each pass unless it is told ``shuffle=False``. ``on_epoch_begin``
    and ``on_epoch_end`` are called before the first and after the last batch of each epoch, however many
    batches ``steps_per_epoch`` makes of it. For ``BackupAndRestore`` a data set that changes from epoch to
    epoch overrides ``state_dict`` and ``load_state_dict``.

    Parameters
    ----------
    workers : more than 1 makes the batches in a background thread (in a single one: their order is kept, and
        so ``__getitem__`` needs no lock)
    max_queue_size : so many of them at most are ready and waiting then
    use_multiprocessing : not supported: an error
    """

    def __init__(self, workers: int = 1, use_multiprocessing: bool = False, max_queue_size: int = 10) -> None:
        if use_multiprocessing:
            raise unsupported_argument("PyDataset", "use_multiprocessing", "say workers=2 for a thread")
        self.workers = whole(workers, "PyDataset: workers", 0)
        self.max_queue_size = whole(max_queue_size, "PyDataset: max_queue_size")

    def __repr__(self) -> str:
        return call_of(self)

    def __getitem__(self, index: int) -> Any:
        raise NotImplementedError(f"{type(self).__name__} has no __getitem__(index), which makes a batch")

    def __len__(self) -> int:
        if type(self).num_batches is PyDataset.num_batches:
            raise NotImplementedError(f"{type(self).__name__} has no __len__(), the number of its batches")
        if self.num_batches is None:
            raise ValueError(
                f"{type(self).__name__}: num_batches is None, and endless data sets are not supported: give "
                "a number, or write a generator and give fit steps_per_epoch"
            )
        return self.num_batches

    @property
    def num_batches(self) -> int:
        """The number of batches; the same as ``len``, and either may be overridden."""
        return len(self)

    def __iter__(self) -> Iterator[Any]:
        for index in range(len(self)):
            yield self[index]

    def on_epoch_begin(self) -> None:
        """Hook: before the first batch of an epoch."""

    def on_epoch_end(self) -> None:
        """Hook: after the last batch of an epoch."""

    def state_dict(self) -> dict[str, Any]:
        """What the next epoch follows from: numbers, strings, arrays, lists and dictionaries of them."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where ``state_dict`` was taken, before ``on_epoch_begin``."""
