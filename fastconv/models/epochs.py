"""Epochs: how many batches make one, and what happens when they run out."""

from __future__ import annotations

import warnings
from collections.abc import Generator, Iterator, Mapping
from typing import Any

from fastconv.layers._arguments import whole
from fastconv.models.batches import Batch, BatchSource, batches


class Epochs:
    """Deals the batches of a source out in epochs of ``steps``, or of one whole pass where that is None.

    With ``steps``, each epoch goes on where the one before stopped, and starts from the beginning when the
    source is used up. A generator cannot start again: ``exhausted`` then turns True.
    """

    def __init__(self, source: BatchSource, steps: int | None = None) -> None:
        self.source = source
        self.steps = steps
        self.exhausted = False
        self._stream: Generator[Batch] | None = None

    @property
    def number(self) -> int | None:
        """How many batches an epoch has, where that is known beforehand."""
        return self.steps or self.source.number

    def check_repeats(self, epochs: int, what: str, steps_argument: str) -> None:
        """ValueError where ``epochs`` passes are wanted of something that can be passed through only once."""
        if epochs > 1 and self.steps is None and not self.source.repeatable:
            raise ValueError(
                f"{what} is a generator and can run only once, but {epochs} passes over it are wanted: say "
                f"how many batches make an epoch with {steps_argument}, or give something that can start "
                "again, such as a list of batches or an object with __iter__"
            )

    def restart(self) -> None:
        """Begin the next epoch with the first batch, if the source can: evaluations see the same ones."""
        if self.source.repeatable:
            self.close()

    def close(self) -> None:
        """Let go of the source in the middle of a pass: a thread that prepares batches ends here."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def __iter__(self) -> Iterator[Batch]:
        if self.steps is None:
            self._stream = iter(self.source)
            yield from self._stream
            return
        for step in range(self.steps):
            batch = self._next()
            if batch is None:
                self.exhausted = True
                warnings.warn(
                    f"the data ran out after {step} of the epoch's {self.steps} batches", stacklevel=2
                )
                return
            yield batch

    def _next(self) -> Batch | None:
        if self._stream is None:
            self._stream = iter(self.source)
        batch = next(self._stream, None)
        if batch is None and self.source.repeatable:
            self._stream = iter(self.source)
            batch = next(self._stream, None)
        return batch


def epochs_of(
    x: Any,
    y: Any,
    sample_weight: Any,
    batch_size: int | None,
    steps: int | None,
    steps_argument: str,
    shuffle: bool | str = False,
    class_weight: Mapping[int, float] | None = None,
) -> Epochs:
    """The epochs of the data given to a model; errors speak of ``steps_argument``."""
    if x is None:
        raise ValueError("there is no data: x is missing")
    steps = None if steps is None else whole(steps, steps_argument)
    source = batches(
        x, y, sample_weight, batch_size=batch_size, steps=steps, shuffle=shuffle, class_weight=class_weight
    )
    return Epochs(source, steps)
