"""What a layer computes, and whether that has changed since somebody looked.

Programs, and all else that is worked out from layers once and used at every step, depend on attributes of the
layers. Each assignment to an attribute makes a new ``version``: as long as that is the same object, nothing
has changed, and there is nothing to look at again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, ClassVar, Generic, TypeVar

T = TypeVar("T")

_version = object()
_unnoticed = threading.local()


def version() -> object:
    """Another object after each change of a ``Structured`` one. To be asked for before looking at layers."""
    return _version


def changed() -> None:
    """Make a new version, unless this thread is ``unnoticed``."""
    global _version
    if not getattr(_unnoticed, "now", False):
        _version = object()  # a number would not do: two threads could count up to the same one


@contextmanager
def unnoticed() -> Iterator[None]:
    """Meanwhile, what this thread assigns makes no new version: for layers that are made on the way, and
    which nobody has looked at.
    """
    before = getattr(_unnoticed, "now", False)
    _unnoticed.now = True
    try:
        yield
    finally:
        _unnoticed.now = before


class Latest(Generic[T]):
    """What is worked out from layers, once for each version. A copy of a model has layers of its own, and
    works it out anew.
    """

    def __init__(self) -> None:
        self._version: object = None
        self._value: Any = None

    def of(self, work_out: Callable[[], T]) -> T:
        """What ``work_out`` returned for the layers as they are now."""
        now = _version  # before the layers are looked at
        if self._version is not now:
            self._value = work_out()
            self._version = now
        value: T = self._value
        return value

    def __reduce__(self) -> tuple[Any, ...]:
        return Latest, ()


class Structured:
    """Base of layers and activation functions: to assign to an attribute or delete it makes a new version.

    ``_changes_while_running`` names attributes that change at each step and on which nothing depends.
    """

    _changes_while_running: ClassVar[frozenset[str]] = frozenset()

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name not in self._changes_while_running:
            changed()

    def __delattr__(self, name: str) -> None:
        global _version
        super().__delattr__(name)
        _version = object()


def is_exactly(thing: object, *types: type) -> bool:
    """Whether a thing is of one of these classes, not of a subclass, and has no methods of its own either."""
    cls: Any = type(thing)
    return cls in types and _methods(cls).isdisjoint(vars(thing))


def knows(thing: object, shortcut: str, *methods: str) -> bool:
    """Whether the method ``shortcut`` was written for these methods, or for older ones of a base class.

    >>> class Mine(Dense):
    ...     def call(self, x, training): ...
    >>> knows(Mine(3), "backward_from_logits", "call")  # Dense's, which does not know of it
    False
    """
    cls: Any = type(thing)
    return vars(thing).keys().isdisjoint((shortcut, *methods)) and _class_knows(cls, shortcut, methods)


@lru_cache(maxsize=256)
def _methods(cls: type) -> frozenset[str]:
    return frozenset(name for name in dir(cls) if callable(getattr(cls, name, None)))


@lru_cache(maxsize=256)
def _class_knows(cls: type, shortcut: str, methods: tuple[str, ...]) -> bool:
    return all(_age(cls, shortcut) <= _age(cls, method) for method in methods)


def _age(cls: type, name: str) -> int:
    """How far from the class the definition of its method is, in the method resolution order."""
    return next((age for age, base in enumerate(cls.__mro__) if name in vars(base)), len(cls.__mro__))
