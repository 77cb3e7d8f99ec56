"""The programs of one model, made when they are first wanted and again when its layers have changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from fastconv._core import versions
from fastconv.engine.lower import NoProgram
from fastconv.engine.program import Program
from fastconv.layers.random_layer import random_outside_training
from fastconv.parameter import Array

_MOST = 8  # of a model, for training and inference and the shapes of inputs


class _Found(NamedTuple):
    """What there was to be found, and when."""

    version: object
    program: Program | None


class Programs:
    """Programs by what they depend on: shapes, training, where the losses begin, and what draws at random.

    Copies of a model do not share them: a program works on the arrays that it was made for.
    """

    def __init__(self) -> None:
        self._found: dict[Any, _Found] = {}

    def find(
        self, model: Any, inputs: Sequence[Array], training: bool, fused: Sequence[bool] = ()
    ) -> Program | None:
        """The program for the model as it is now; None where nothing of it lowers.

        ``fused`` says of each output whether its loss begins at what the last activation is applied to.
        """
        drawing = random_outside_training()
        shapes = [array.shape[1:] for array in inputs]
        key = training, *shapes, *fused, *map(id, drawing)
        version = versions.version()  # before the layers are looked at
        found = self._found.get(key)
        if found is None or found.version is not version:
            earlier = None if found is None else found.program
            found = _Found(version, self._made(model, shapes, training, fused, earlier))
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
        self, model: Any, shapes: list[Any], training: bool, fused: Sequence[bool], earlier: Program | None
    ) -> Program | None:
        nested = shapes[0] if len(shapes) == 1 else shapes
        schedule = model.schedule(training, nested if model._traces_call else None)
        if schedule is None:
            return None
        try:
            return Program(schedule, training, shapes, fused, earlier)
        except NoProgram:
            return None
