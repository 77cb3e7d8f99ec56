"""Arrays as batches that are made ready in the background."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from fastconv._random import generator
from fastconv.layers._arguments import whole
from fastconv.models.batches import ArrayBatches, checked_batch
from fastconv.utils.prefetch import Prefetch, mapped


class Loader:
    """Batches (x, y) of arrays for ``fit``, shuffled, augmented and prepared in the background.

    >>> flip = RandomFlip("horizontal", seed=1)
    >>> model.fit(Loader(x, y, batch_size=64, map=lambda x, y: (flip(x), y)), epochs=10)

    Each pass over it is an epoch. Shuffled by the global generator, the batches are those that ``fit(x, y)``
    itself would make.

    Parameters
    ----------
    x, y, sample_weight : arrays of the same length; y and sample_weight may be None
    batch_size : examples in a batch; the last one has what is left
    shuffle : True deals the examples out in a new order each epoch
    seed : makes the order of each epoch depend on this number and on the epoch's alone
    map : called as map(x, y), or with as many parts as there are; what it returns takes the batch's place
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

    def __len__(self) -> int:
        """The number of batches in an epoch."""
        number = self._batches.number
        assert number is not None
        return number

    def __iter__(self) -> Iterator[Any]:
        order = None
        if self.shuffle:
            random = generator() if self.seed is None else np.random.default_rng((self.seed, self.epoch))
            order = random.permutation(len(self._batches.data.x))
        self.epoch += 1
        parts = (tuple(part for part in batch if part is not None) for batch in self._batches.dealt(order))
        if self.prefetch:
            return iter(Prefetch(parts, self.map, self.prefetch))
        return (mapped(batch, self.map) for batch in parts)
