"""What the layers of a model change by themselves while they are trained, and how it was before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastconv import _structure
from fastconv.layers.layer import Layer
from fastconv.parameter import Parameter


class Moving:
    """Moving averages and random states: all that ``forward`` changes and that is not for the optimizer."""

    def __init__(self) -> None:
        self._version: object = None
        self._parameters: list[Parameter] = []
        self._drawing: list[Layer] = []

    def saved(self, model: Layer) -> Callable[[], None]:
        """What there is now, as a function that puts it back."""
        version = _structure.version()
        if version is not self._version:
            layers = model._leaves()
            self._parameters = [parameter for layer in layers for parameter in _not_learned(layer)]
            self._drawing = [layer for layer in layers if layer.random_state()]
            self._version = version
        if not self._parameters and not self._drawing:
            return _nothing
        values = [(parameter, parameter.numpy()) for parameter in self._parameters]
        states = [(layer, layer.random_state()) for layer in self._drawing]

        def put_back() -> None:
            for parameter, value in values:
                parameter.value = value
            for layer, state in states:
                layer.set_random_state(state)

        return put_back

    def __reduce__(self) -> tuple[Any, ...]:
        return Moving, ()  # a copy of the model has layers of its own


def _nothing() -> None:
    pass


def _not_learned(layer: Layer) -> list[Parameter]:
    """The weights that are not trainable whether the layer is frozen or not."""
    return [weight for weight in layer._weights if not any(weight is other for other in layer._learnable)]
