"""Arrays as batches that are made ready in the background."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from typing import Any

import numpy as np

from fastconv._core.configuration import call_of
from fastconv._core.randomness import drawn_seed, generator
from fastconv.layers._arguments import whole
from fastconv.models.batches import ArrayBatches, Batch, checked_batch
from fastconv.utils.batch_source import BatchSource
from fastconv.utils.prefetch import made_ahead, mapped


class Loader(BatchSource):
    """Batches (x, y) of arrays for ``fit``, shuffled, augmented and prepared in the background.

    >>> flip = RandomFlip("horizontal")
    >>> model.fit(Loader(x, y, batch_size=64, map=lambda x, y: (flip(x), y)), epochs=10)

    Each pass over it is an epoch. Shuffled by the global generator, the batches are those that ``fit(x, y)``
    itself would make.

    Parameters
    ----------
    x, y, sample_weight : arrays of the same length; y and sample_weight may be None
    batch_size : examples in a batch; the last one has what is left
    shuffle : True deals the examples out in a new order each epoch
    seed : makes the order of each epoch, and what random layers in ``map`` draw, depend on this number and
        on the epoch's alone
    map : called as map(x, y), or with as many parts as there are; what it returns takes the batch's place. It
        runs in the background. Random layers in it draw what follows from their seed, or else the loader's,
        and from the batch's place in the training; those of the same seed do the same to a batch
    prefetch : so many batches at most are ready and waiting; 0 does without the thread

    Attributes
    ----------
    epoch : the number of the next epoch, from 0; may be assigned, to go on with an earlier run
    """

    def __init__(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        *,
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        map: Callable[..., Any] | None = None,
        prefetch: int = 2,
    ) -> None:
        if map is not None and not callable(map):
            raise TypeError(f"Loader: map must be a function of the parts of a batch, got {map!r}")
        self._batches = ArrayBatches(
            *checked_batch(x, y, sample_weight), batch_size=whole(batch_size, "Loader: batch_size")
        )
        self.batch_size = self._batches.batch_size
        self.shuffle = bool(shuffle)
        self.seed = None if seed is None else whole(seed, "Loader: seed", 0)
        self.map = map
        self.prefetch = whole(prefetch, "Loader: prefetch", 0)
        self.epoch = 0

    def __repr__(self) -> str:
        arrays = self._batches.data._asdict()
        return call_of(self, always={name: array for name, array in arrays.items() if array is not None})

    def __len__(self) -> int:
        """The number of batches in an epoch."""
        number = self._batches.number
        assert number is not None
        return number

    def start(self, skip: int = 0) -> Generator[Any]:
        order = np.arange(len(self._batches.data.x))  # not None: batches are then copies, no views
        if self.shuffle:
            random = generator() if self.seed is None else np.random.default_rng((self.seed, self.epoch))
            order = random.permutation(len(self._batches.data.x))
        batches = _without_nones(self._batches.dealt(order, skip))
        if self.map is not None:
            seed = drawn_seed() if self.seed is None else self.seed
            batches = mapped(batches, self.map, seed, self.epoch, skip)
        self.epoch += 1
        return made_ahead(batches, self.prefetch) if self.prefetch else batches

    def state_dict(self) -> dict[str, Any]:
        return {"epoch": self.epoch}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.epoch = state["epoch"]


def _without_nones(batches: Iterable[Batch]) -> Generator[Any]:
    for batch in batches:
        yield tuple(part for part in batch if part is not None)
