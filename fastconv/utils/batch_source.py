"""What can be passed through batch by batch, and from the middle too."""

from __future__ import annotations

import itertools
from collections.abc import Generator, Iterable, Iterator, Mapping
from typing import Any

from fastconv._core.configuration import call_of
from fastconv.utils.py_dataset import PyDataset


class BatchSource:
    """Base of the classes here that make batches; each ``start`` begins a pass, and so does ``iter``."""

    def __repr__(self) -> str:
        return call_of(self)

    @property
    def repeatable(self) -> bool:
        """False for what can be passed through only once."""
        return True

    def start(self, skip: int = 0) -> Generator[Any]:
        """A pass without its first ``skip`` batches; to close it is to let go of all that it needs.

        What a pass draws from the global generator before its first batch, it draws here and now.
        """
        raise NotImplementedError(f"{type(self).__name__} has no start(skip)")

    def __iter__(self) -> Iterator[Any]:
        return self.start()

    def state_dict(self) -> dict[str, Any]:
        """What the next pass follows from, but the data and the global generator; plain or arrays."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where ``state_dict`` was taken."""


def one_pass(source: Iterable[Any], skip: int = 0) -> Generator[Any]:
    """``source.start(skip)``; of other iterables the batches to skip are made and thrown away."""
    if isinstance(source, BatchSource):
        return source.start(skip)
    batches = iter(source)
    for _ in itertools.islice(batches, skip):
        pass
    return _yielded(batches)


def _yielded(batches: Iterator[Any]) -> Generator[Any]:
    """Unlike ``yield from``, this leaves a generator open that is the user's, who may go on with it."""
    for batch in batches:  # noqa: UP028
        yield batch


def is_repeatable(source: Iterable[Any]) -> bool:
    """False where ``source`` is a generator, say, which can be passed through only once."""
    return source.repeatable if isinstance(source, BatchSource) else not isinstance(source, Iterator)


def state_of(source: Any) -> dict[str, Any]:
    """The ``state_dict`` of a source that has one; {} for others."""
    return source.state_dict() if isinstance(source, (BatchSource, PyDataset)) else {}


def load_state_of(source: Any, state: Mapping[str, Any]) -> None:
    """The way back from ``state_of``."""
    if isinstance(source, (BatchSource, PyDataset)):
        source.load_state_dict(state)
