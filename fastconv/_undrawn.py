"""Weights whose initial values are not drawn, because a file is about to bring them.

A file of a few bytes can describe a layer of any size. While a file is loaded, the weights of its layers take
no memory until their values are set or read, so that shapes can be compared first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from math import prod
from typing import Any

from fastconv.parameter import Array, Parameter, roomy_zeros

_undrawn: ContextVar[list[Undrawn] | None] = ContextVar("undrawn", default=None)


def new_parameter(draw: Callable[[], Array], shape: tuple[int, ...], name: str, **options: Any) -> Parameter:
    """The parameter with the values that ``draw`` makes; inside ``values_come_later`` it draws them only if
    somebody reads them. ``options`` are those of ``Parameter``.
    """
    undrawn = _undrawn.get()
    if undrawn is None:
        return Parameter(draw(), name, **options)
    parameter = Undrawn(draw, shape, name, **options)
    undrawn.append(parameter)
    return parameter


@contextmanager
def values_come_later() -> Iterator[None]:
    """Meanwhile the weights of layers are made without values. At the end those that got none draw them."""
    undrawn: list[Undrawn] = []
    token = _undrawn.set(undrawn)
    try:
        yield
    finally:
        _undrawn.reset(token)
    for parameter in undrawn:
        if isinstance(parameter, Undrawn):
            parameter.draw()


def make_room(weights: Iterable[Parameter]) -> None:
    """Give weights without values their memory, filled with zeros."""
    for weight in weights:
        if isinstance(weight, Undrawn):
            weight.take(roomy_zeros(weight.shape))


class Undrawn(Parameter):
    """A parameter without values. It becomes an ordinary ``Parameter`` when its arrays are first needed."""

    def __init__(self, draw: Callable[[], Array], shape: tuple[int, ...], name: str, **options: Any) -> None:
        super().__init__((), name, **options)
        del self._value, self._grad
        self._draw, self._shape = draw, shape

    def __getattr__(self, name: str) -> Any:
        """Asked for attributes that are missing, as both arrays are."""
        if name not in ("_value", "_grad") or "_draw" not in self.__dict__:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        self.draw()
        return self.__dict__[name]

    @property
    def shape(self) -> tuple[int, ...]:
        return self._shape

    @property
    def size(self) -> int:
        return prod(self._shape)

    def draw(self) -> None:
        """Draw the initial values now."""
        self.take(Parameter(self._draw())._value)

    def take(self, value: Array) -> None:
        """Become an ordinary parameter that holds ``value``, an array of ``roomy_zeros``."""
        self._value, self._grad = value, roomy_zeros(value.shape, value.dtype)
        del self._draw, self._shape
        self.__class__ = Parameter  # type: ignore[assignment]
