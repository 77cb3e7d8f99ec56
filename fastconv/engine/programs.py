"""The programs of one model, made when they are first wanted and again when its layers have changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from fastconv._core import versions
from fastconv.engine.lower import NoProgram
from fastconv.engine.program import Program
from fastconv.graph import Schedule
from fastconv.layers.random_layer import random_outside_training
from fastconv.parameter import Array

_MOST = 8  # of a model, for training and inference and the shapes of inputs


class Taps(NamedTuple):
    """Tensors that are asked for, by their numbers in the schedule.

    penalized   whether penalties on outputs count
    """

    values: tuple[int, ...]
    gradients: tuple[int, ...]
    penalized: bool = True

    def applied_to(self, schedule: Schedule) -> Schedule:
        return schedule.tapped((*self.values, *self.gradients), self.penalized)


class _Found(NamedTuple):
    """What there was to be found, and when."""

    version: object
    program: Program | None


class Programs:
    """Programs by what they depend on: shapes, training, where the losses begin, what draws at random, and
    what is tapped.

    Copies of a model do not share them: a program works on the arrays that it was made for.
    """

    def __init__(self) -> None:
        self._found: dict[Any, _Found] = {}

    def find(
        self,
        model: Any,
        inputs: Sequence[Array],
        training: bool,
        fused: Sequence[bool] = (),
        taps: Taps | None = None,
    ) -> Program | None:
        """The program for the model as it is now; None where nothing of it lowers.

        ``fused`` says of each output whether its loss begins at what the last activation is applied to. One
        with ``taps`` fills their tensors as outputs behind the others, and nothing of it learns.
        """
        drawing = random_outside_training()
        shapes = [array.shape[1:] for array in inputs]
        key: Any = training, *shapes, *fused, *map(id, drawing)
        if taps is not None:
            key = key, taps
        version = versions.version()  # before the layers are looked at
        found = self._found.get(key)
        if found is None or found.version is not version:
            earlier = None if found is None else found.program
            found = _Found(version, self._made(model, shapes, training, fused, taps, earlier))
            self._found.pop(key, None)
            while len(self._found) >= _MOST:
                del self._found[next(iter(self._found))]
            self._found[key] = found
        return found.program

    def known(self, inputs: Sequence[Array]) -> Program | None:
        """The program for inference by the model as it is now, where ``find`` has made it; None otherwise."""
        drawing = random_outside_training()
        found = self._found.get((False, *(array.shape[1:] for array in inputs), *map(id, drawing)))
        return None if found is None or found.version is not versions.version() else found.program

    def _made(
        self,
        model: Any,
        shapes: list[Any],
        training: bool,
        fused: Sequence[bool],
        taps: Taps | None,
        earlier: Program | None,
    ) -> Program | None:
        schedule = model.schedule_for(training, shapes)
        if schedule is None:
            return None
        try:
            if taps is None:
                return Program(schedule, training, shapes, fused, earlier)
            return Program(taps.applied_to(schedule), training, shapes, fused, earlier, taps.gradients)
        except NoProgram:
            return None
