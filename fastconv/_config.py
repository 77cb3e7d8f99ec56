"""Configurations: what it takes to make a like object, told by the signature of its constructor.

An argument is declared once, in the signature, and kept as the attribute of its name; a class that keeps it
otherwise adds it in a ``get_config`` of its own.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

_NONE: Mapping[str, Any] = MappingProxyType({})


def configuration(
    thing: Any,
    base: type,
    written: Mapping[str, Callable[[Any], Any]] = _NONE,
    without: Iterable[str] = (),
) -> dict[str, Any]:
    """{argument: value} of the ``arguments`` that are attributes of the object; of arrays, their numbers.

    written   how to write down values of a kind, which is the last word of the argument's name:
              {"initializer": initializers.serialize} is for ``kernel_initializer`` and the like
    without   arguments to leave out
    """
    config: dict[str, Any] = {}
    for name in arguments(type(thing), base):
        if name in without or not hasattr(thing, name):
            continue
        value = getattr(thing, name)
        if (write := written.get(name.rpartition("_")[2])) is not None:
            value = write(value)
        config[name] = value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value
    return config


def arguments(cls: type, base: type) -> tuple[str, ...]:
    """The arguments of the constructor, in order, with those that its ``**options`` hand on to classes
    between it and ``base``.

    Only classes of the package of ``base`` count: one from elsewhere that takes more says so in its
    ``get_config``. An argument that a class must give to the next one, as ELU gives its activation to
    Activation, is none of its own.
    """
    package = base.__module__.rpartition(".")[0] + "."
    inside = [one for one in cls.__mro__ if one.__module__.startswith(package) and one is not base]
    names: dict[str, bool] = {}  # whether it is an argument of cls
    for depth, parameters in enumerate(constructors(inside)):
        for one in parameters:
            names.setdefault(one.name, depth == 0 or one.default is not one.empty)
    return tuple(name for name, own in names.items() if own)


def constructors(classes: Iterable[type]) -> Iterator[list[inspect.Parameter]]:
    """The named parameters of one constructor after the other, up to one that hands on no ``**options``."""
    for cls in classes:
        if "__init__" not in vars(cls):
            continue
        parameters = list(inspect.signature(vars(cls)["__init__"]).parameters.values())[1:]
        yield [one for one in parameters if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)]
        if not any(one.kind is one.VAR_KEYWORD for one in parameters):
            return
