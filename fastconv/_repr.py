"""What objects look like when printed: the call that makes one like them.

Only arguments that are not at their defaults are in it: of the twenty that a layer may have,
``Conv2D(name='conv2d', filters=6, kernel_size=(5, 5), activation='relu')`` shows what is special.
"""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np

from fastconv._config import constructors


def call_of(
    thing: Any, always: Mapping[str, Any] | None = None, usual: Mapping[str, Any] | None = None
) -> str:
    """``EarlyStopping(patience=3)``: a class, and the arguments of its constructor that are not as usual.

    Their values are in ``get_config()``, where there is one, or else in attributes of the same names.

    always   arguments to show whatever they are, first, with their values
    usual    what is usual where the constructor's defaults do not tell it
    """
    cls: Any = type(thing)
    defaults, own = _arguments(cls)
    defaults = {**defaults, **(usual or {})}
    attributes = vars(thing)
    values = {**{name: attributes[name] for name in own if name in attributes}, **_config(thing)}
    shown = dict(always or {})
    for argument in sorted(values, key=[*defaults, *values].index):
        value = values[argument]
        if isinstance(value, Mapping) and "class_name" in value:  # the object says it better
            value = getattr(thing, argument, value)
        if argument not in shown and not _same(value, defaults.get(argument), cls.__name__):
            shown[argument] = value
    arguments = ", ".join(f"{argument}={_text(value)}" for argument, value in shown.items())
    return f"{cls.__name__}({arguments})"


def _config(thing: Any) -> Mapping[str, Any]:
    try:
        config: Mapping[str, Any] = thing.get_config()
    except Exception:  # a half-made object, or one that holds a function: it can be printed all the same
        return {}
    return config


@cache
def _arguments(cls: type) -> tuple[dict[str, Any], frozenset[str]]:
    """{argument: default} of a constructor, with those that it hands on; and the names of its own."""
    defaults: dict[str, Any] = {}
    own: frozenset[str] = frozenset()
    for parameters in constructors(cls.__mro__[:-1]):
        for one in parameters:
            defaults.setdefault(one.name, one.default)
        own = own or frozenset(defaults)
    return defaults, own


def _same(value: Any, default: Any, class_name: str) -> bool:
    """Whether a value is what the default stands for: ``(2, 2)`` for 2, ``Zeros()`` for "zeros"."""
    if default is None:
        return value is None or _plain(value) in ("linear", _plain(class_name))
    if isinstance(value, (tuple, list)) and not isinstance(default, (tuple, list)):
        default = (default,) * 2
    return _plain(value) == _plain(default)


def _plain(value: Any) -> str:
    """The same text for "he_normal" and ``HeNormal()``, for 1 and 1.0, for a list and a tuple."""
    if isinstance(value, (tuple, list)):
        return ",".join(map(_plain, value))
    if isinstance(value, (int, float)):
        return repr(float(value))
    return _text(value).strip("'").removesuffix("()").replace("_", "").lower()


class _Text(reprlib.Repr):
    """repr, but short: of long lists the beginning, of arrays the shape, of functions the name."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlist = self.maxtuple = self.maxdict = 8
        self.maxstring, self.maxother = 80, 200

    def repr_ndarray(self, array: np.ndarray[Any, Any], level: int) -> str:
        return f"<array {array.shape} {array.dtype}>" if array.ndim else repr(array.item())

    def repr_function(self, function: Any, level: int) -> str:
        return str(function.__name__)

    repr_builtin_function_or_method = repr_method = repr_type = repr_function

    def repr_PosixPath(self, path: Any, level: int) -> str:
        return repr(str(path))

    repr_WindowsPath = repr_PosixPath


_text = _Text().repr
