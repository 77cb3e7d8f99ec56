"""What layers of a model change by themselves, in ``call``, while they are trained, and how it was before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from fastconv._core import versions
from fastconv._core.changes import Changes
from fastconv._core.randomness import generator_state, set_generator_state
from fastconv._core.turns import writing
from fastconv.layers.batch_normalization import BatchNormalization
from fastconv.layers.graphed import distinct
from fastconv.layers.layer import Layer
from fastconv.layers.random_layer import RandomLayer
from fastconv.parameter import Array, Parameter


class Moving:
    """Weights and random states that change in the middle of a step: not those of batch normalization and of
    random layers, which change with the optimizer's step (``_core.changes``).
    """

    def __init__(self) -> None:
        self._version: object = None
        self._parameters: list[Parameter] = []
        self._drawing: list[Layer] = []

    def put_back_on_error(self, model: Layer) -> Saved:
        """A ``with`` block after which they are as before, if it raises. Where weights change, no other
        thread reads the model's meanwhile.
        """
        version = versions.version()
        if version is not self._version:
            layers = model._leaves()
            self._parameters = [parameter for layer in layers for parameter in _changed_in_call(layer)]
            self._drawing = [layer for layer in layers if not _notes_draws(layer) and layer.random_state()]
            self._version = version
        if not self._parameters and not self._drawing:
            return _NOTHING
        return Saved(
            model.weights if self._parameters else [],
            [(parameter, parameter.numpy()) for parameter in self._parameters],
            [(layer, layer.random_state()) for layer in self._drawing],
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return Moving, ()  # a copy of the model has layers of its own


class Saved:
    """Values and random states that are put back if a ``with`` block raises."""

    def __init__(
        self,
        weights: list[Parameter],
        values: list[tuple[Parameter, Array]],
        states: list[tuple[Layer, dict[str, Any]]],
    ) -> None:
        self._values, self._states = values, states
        self._writing = writing(weights) if weights else None

    def __enter__(self) -> None:
        if self._writing is not None:
            self._writing.__enter__()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is not None:
                for parameter, value in self._values:
                    parameter.value = value
                for layer, state in self._states:
                    layer.set_random_state(state)
        finally:
            if self._writing is not None:
                self._writing.__exit__()


_NOTHING = Saved([], [], [])


@contextmanager
def unchanged(model: Layer, in_python: Iterable[Layer]) -> Iterator[None]:
    """A block after which the model is as before: moving statistics, random states and the global generator,
    penalties on outputs, and what layers remember for ``backward``; of layers ``in_python`` gradients too.
    """
    layers = distinct(model._leaves())
    values = [(weight, weight.numpy()) for layer in layers for weight in _changed_in_call(layer)]
    gradients = [(weight, weight.grad.copy()) for layer in in_python for weight in layer._weights]
    state = model.random_state()
    memories = [(layer, layer._memory, list(layer._activity_losses)) for layer in layers]
    generator = generator_state()
    changes = Changes()
    with writing(model.weights) if values else nullcontext(), changes:
        try:
            yield
        finally:
            changes.forget()
            set_generator_state(generator)
            for weight, array in values:
                weight.value = array
            for weight, array in gradients:
                weight.grad = array
            if state:
                model.set_random_state(state)
            for layer, memory, losses in memories:
                object.__setattr__(layer, "_memory", memory)  # past __setattr__: it is no change of the layer
                object.__setattr__(layer, "_activity_losses", losses)


def _changed_in_call(layer: Layer) -> list[Parameter]:
    """All weights of a layer that divides its kernel by its norm; of one of the user's own those that are not
    trainable whether the layer is frozen or not.
    """
    if layer._moves_in_call:
        return layer.weights
    if not layer._is_of_the_user or isinstance(layer, BatchNormalization):
        return []
    return [weight for weight in layer._weights if not any(weight is other for other in layer._learnable)]


def _notes_draws(layer: Layer) -> bool:
    return isinstance(layer, RandomLayer) and not layer._is_of_the_user
