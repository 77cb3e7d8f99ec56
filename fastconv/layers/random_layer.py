"""Layers that draw random numbers while training."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from fastconv import ops
from fastconv._core.changes import changes_of_step
from fastconv._core.checks import is_real, is_whole
from fastconv._core.randomness import batch_random, drawn_seed
from fastconv.layers.layer import Layer, Shape
from fastconv.parameter import Array

_always_random: ContextVar[tuple[RandomLayer, ...]] = ContextVar("fastconv.always_random", default=())


class RandomLayer(Layer):
    """Base of dropout, noise and augmentation.

    Random numbers are a function of a seed and of how often some were drawn. So the whole state is two whole
    numbers: ``random_state()`` returns them, ``set_random_state`` puts them back, and the same numbers
    follow; models do so for all their layers. With ``seed=None`` the seed is drawn from the global generator
    (``fastconv.utils.set_random_seed``) when it is first needed. In the ``map`` of a ``Loader`` or
    ``Prefetch`` a layer does not count: its numbers are a function of the batch's place.
    """

    _changes_while_running = Layer._changes_while_running | {"_draws", "_drawn_seed"}

    always_random = False
    """True keeps the layer random outside training too."""

    def __init__(self, seed: int | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.seed = _whole_or_none(f"{type(self).__name__}: seed", seed, 64)
        self._drawn_seed = self.seed
        self._draws = 0

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def is_random(self, training: bool) -> bool:
        """Whether this ``forward`` draws."""
        return training or self.always_random or any(layer is self for layer in _always_random.get())

    def draw(self) -> tuple[int, int]:
        """(seed, call): what the next random numbers follow from; a new one each time. In a step of training
        they count once it is done.
        """
        if (ahead := batch_random()) is not None:
            return ahead.draw(self, self.seed)
        if (changes := changes_of_step()) is not None:
            return changes.draw(self)
        if self._drawn_seed is None:
            self._drawn_seed = drawn_seed()
        call, self._draws = self._draws, (self._draws + 1) % 2**32
        return self._drawn_seed, call

    def random_state(self) -> dict[str, Any]:
        """{"seed": ..., "draws": ...}; the seed is None while none was needed."""
        return {"seed": self._drawn_seed, "draws": self._draws}

    def set_random_state(self, state: Mapping[str, Any]) -> None:
        if set(state) != {"seed", "draws"} or state["draws"] is None:
            raise ValueError(f"{self}: a random state is a seed and draws; got {dict(state)!r}")
        seed = _whole_or_none(f"{self}: the seed", state["seed"], 64)
        self._draws = _whole_or_none(f"{self}: draws", state["draws"], 32) or 0
        self._drawn_seed = seed


@contextmanager
def always_random(layers: Iterable[RandomLayer]) -> Iterator[None]:
    """In the block, and in this thread only, these layers are random outside training too."""
    before = _always_random.set(tuple(layers))
    try:
        yield
    finally:
        _always_random.reset(before)


def random_outside_training() -> tuple[RandomLayer, ...]:
    """The layers that ``always_random`` names around this."""
    return _always_random.get()


def numbers_of(draw: tuple[int, int]) -> np.random.Generator:
    """Random numbers that follow from (seed, call) alone."""
    seed, call = draw
    return np.random.Generator(np.random.Philox(key=seed, counter=[0, 0, 0, call]))


def normal_numbers(draw: tuple[int, int], shape: tuple[int, ...]) -> Array:
    """Standard normal numbers that follow from (seed, call) alone."""
    return numbers_of(draw).standard_normal(shape, dtype=np.float32)


def kept(draw: tuple[int, int], shape: tuple[int, ...], rate: float, scale: float | None = None) -> Array:
    """A mask that follows from (seed, call) alone: 0 with probability ``rate``, else ``scale``."""
    return ops.dropout(np.ones(shape, np.float32), rate, *draw, scale=scale)


def share_to_drop(layer: str, rate: Any, *, all_of_it: bool = True) -> float:
    """``rate`` as a float between 0 and 1, 1 included only where ``all_of_it``; else ValueError."""
    if not is_real(rate) or not (0 <= rate < 1 or (rate == 1 and all_of_it)):
        limit = "between 0 and 1" if all_of_it else "at least 0 and less than 1"
        raise ValueError(f"{layer}: rate is the share to switch off, {limit}; got {rate!r}")
    return float(rate)


def _whole_or_none(name: str, number: Any, bits: int) -> int | None:
    if number is None:
        return None
    if not is_whole(number) or not 0 <= int(number) < 2**bits:
        raise ValueError(f"{name} must be a whole number from 0 to 2**{bits} - 1; got {number!r}")
    return int(number)
