"""What a step of training changes besides the weights that learn: moving statistics, counts of draws.

Other threads may run a model while it is trained, and a step may fail. So within a step such changes are only
noted, and done together with the optimizer's step, when nothing can fail any more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import ContextVar, Token
from typing import Any

from fastconv._core.randomness import drawn_seed
from fastconv._core.turns import writing

_of_step: ContextVar[Changes | None] = ContextVar("fastconv.changes", default=None)


def changes_of_step() -> Changes | None:
    """Those of the step of training that this thread is in; None where it is in none."""
    return _of_step.get()


def change(parameters: Sequence[Any], move: Callable[[], object]) -> None:
    """Move these parameters: with the step of training that this thread is in, else now.

    ``move`` must not fail.
    """
    changes = _of_step.get()
    if changes is None:
        with writing(parameters):
            move()
    else:
        changes.note(parameters, move)


class Changes:
    """A ``with`` block, one step of training. At its end what is left of the changes is done, unless it
    raises.

    parameters   those that are to move
    """

    def __init__(self) -> None:
        self.parameters: list[Any] = []
        self._moves: list[Callable[[], object]] = []
        self._draws: dict[int, _Draws] = {}
        self._token: Token[Changes | None] | None = None

    def __enter__(self) -> None:
        self._token = _of_step.set(self)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        assert self._token is not None
        _of_step.reset(self._token)
        if kind is None:
            if self._moves:
                with writing(self.parameters):
                    self.commit()
            else:
                self.commit()

    def note(self, parameters: Sequence[Any], move: Callable[[], object]) -> None:
        """``move``, which changes these parameters, is to be called at the end. It must not fail."""
        self.parameters += parameters
        self._moves.append(move)

    def draw(self, layer: Any) -> tuple[int, int]:
        """(seed, call) of the layer's next draw."""
        draws = self._draws.get(id(layer))
        if draws is None:
            draws = self._draws[id(layer)] = _Draws(layer)
        return draws.next()

    def commit(self) -> None:
        """Do what was noted so far. Whoever calls is ``writing`` the ``parameters``."""
        for move in self._moves:
            move()
        for draws in self._draws.values():
            draws.commit()
        self.forget()

    def forget(self) -> None:
        """Do nothing of what was noted so far."""
        self.parameters, self._moves, self._draws = [], [], {}


class _Draws:
    """Those of one layer in one step."""

    def __init__(self, layer: Any) -> None:
        self._layer = layer
        self._seed = drawn_seed() if layer._drawn_seed is None else layer._drawn_seed
        self._count = 0

    def next(self) -> tuple[int, int]:
        call = (self._layer._draws + self._count) % 2**32
        self._count += 1
        return self._seed, call

    def commit(self) -> None:
        self._layer._drawn_seed = self._seed
        self._layer._draws = (self._layer._draws + self._count) % 2**32
