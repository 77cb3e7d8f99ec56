"""Names: of layers and models, as in Keras, and those that public modules have or do not have."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from importlib import import_module
from types import ModuleType
from typing import Any, TypeVar

from fastconv._core.checks import nearest_name, plain_spelling

# ---- layers and models: ``MaxPooling2D``, "max_pooling2d", "max_pooling2d_1" --------------------

T = TypeVar("T")

_counts: Counter[str] = Counter()
_taken: set[str] = set()


def snake_case(class_name: str) -> str:
    """``MaxPooling2D`` as ``max_pooling2d``, ``ReLU`` as ``re_lu``."""
    words = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", class_name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", words).lower()


def automatic_name(class_name: str) -> str:
    """The next name for a layer or model of this class that nobody has yet."""
    base = snake_case(class_name)
    while True:
        number = _counts[base]
        _counts[base] += 1
        name = f"{base}_{number}" if number else base
        if name not in _taken:
            return name


def take_name(name: str) -> str:
    """Note a name chosen by hand, or loaded from a file, so that no automatic one collides with it."""
    _taken.add(name)
    return name


def by_occurrence(things: Iterable[T], name_of: Callable[[T], str]) -> dict[tuple[str, int], T]:
    """{(name, how many before it have that name): thing}, where names may repeat."""
    seen: Counter[str] = Counter()
    known = {}
    for thing in things:
        name = name_of(thing)
        known[name, seen[name]] = thing
        seen[name] += 1
    return known


def restart_names() -> None:
    """Forget all names and count from "conv2d" again."""
    _counts.clear()
    _taken.clear()


# ---- public modules -----------------------------------------------------------------------------

_PREFIX = "fastconv."


def publish(name: str) -> None:
    """Make a public module, which has an ``__all__``, answer for its names. Its last line calls this.

    * ``dir(module)``, and so completion with TAB, shows the names in ``__all__`` and no others;
    * a module of Keras' that is missing, or a missing name, is an error that says what to use instead (the
      table is ``_core.missing``): AttributeError for ``layers.LSTM``, ImportError for
      ``from layers import LSTM``;
    * a file of a package that is called as if it were the class in it, ``layers.dense(10)``, is an error
      that names the class.

    Names in ``__all__`` that the module has not imported are submodules, imported when first used.
    """
    module: Any = sys.modules[name]
    public = tuple(module.__all__)

    def getattr_missing(attribute: str) -> Any:
        if attribute in public:
            return import_module(f"{name}.{attribute}")
        explanation = _explanation(name, attribute)
        raise AttributeError(explanation or f"module {name!r} has no attribute {attribute!r}")

    def public_names() -> list[str]:
        return sorted({*public, *(own for own in vars(module) if own.startswith("__"))})

    module.__getattr__, module.__dir__ = getattr_missing, public_names
    vars(module).setdefault("__path__", [])  # see _MissingNames
    for attribute, value in vars(module).items():
        inside = isinstance(value, ModuleType) and value.__name__ == f"{name}.{attribute}"
        if inside and attribute not in public:
            value.__class__ = _Implementation


def _explanation(module: str, name: str) -> str | None:
    """What to write instead of a name that a module does not have; None where that cannot be told."""
    if name.startswith("_"):  # what Python itself looks for, again and again
        return None
    from fastconv._core.missing import remedy_for

    if (remedy := remedy_for(module.removeprefix("fastconv").lstrip("."), name)) is not None:
        return f"{module} has no {name}: {remedy}"
    nearest = nearest_name(name, getattr(sys.modules.get(module), "__all__", ()))
    return f"module {module!r} has no attribute {name!r}; did you mean {nearest!r}?" if nearest else None


class _Implementation(ModuleType):
    """A file of a public package, such as ``fastconv.layers.dense``."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        package, _, name = self.__name__.rpartition(".")
        same = [
            public
            for public in sys.modules[package].__all__
            if plain_spelling(public) == plain_spelling(name)
        ]
        meant = f"; did you mean {package.removeprefix(_PREFIX)}.{same[0]}?" if same else ""
        raise TypeError(f"{self.__name__} is a file of fastconv, which cannot be called{meant}")


class _MissingNames:
    """The last of ``sys.meta_path``: asked for what no other finder has found.

    ``import fastconv.preprocessing`` comes here, and so does ``from fastconv.layers import LSTM``: where a
    module with a ``__path__`` has no such attribute, Python looks for a submodule. Without this finder the
    error would be "cannot import name 'LSTM'", whatever the AttributeError says.
    """

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> None:
        if not name.startswith(_PREFIX):
            return
        module, _, missing = name.rpartition(".")
        if (explanation := _explanation(module, missing)) is not None:
            # Were it a ModuleNotFoundError, `from package import name` would swallow it.
            raise ImportError(explanation, name=name)


if not any(finder.__name__ == "_MissingNames" for finder in sys.meta_path if isinstance(finder, type)):
    sys.meta_path.append(_MissingNames)
