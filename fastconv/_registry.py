"""Objects by name: ``get("mse")``, and to and from a plain dictionary for model files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Generic, TypeVar, overload

from fastconv._errors import unknown_name

T = TypeVar("T")


class Registry(Generic[T]):
    """The classes of one kind that a string may name; case and underscores do not matter.

    kind   what an error message calls them, such as "loss"
    base   the class that all of them extend
    known  name -> class; a class is known by its own name as well
    """

    def __init__(self, kind: str, base: type[T], known: Mapping[str, type[T]]) -> None:
        self.kind = kind
        self.base = base
        self.names = sorted(known)
        self._classes = {_canonical(name): cls for name, cls in known.items()}
        self._classes |= {_canonical(cls.__name__): cls for cls in known.values()}

    @overload
    def get(self, identifier: None) -> None: ...

    @overload
    def get(self, identifier: str | Mapping[str, Any] | type[T] | T) -> T: ...

    def get(self, identifier: Any) -> T | None:
        """The object for a name, a class, a dictionary made by ``serialize``, or an object; None for None."""
        if identifier is None:
            return None
        if isinstance(identifier, str):
            return self.find(identifier)()
        if isinstance(identifier, Mapping):
            return self.deserialize(identifier)
        if isinstance(identifier, type) and issubclass(identifier, self.base):
            return identifier()
        if isinstance(identifier, self.base):
            return identifier
        raise TypeError(
            f"{identifier!r} is no {self.kind}: expected a name, an instance of fastconv's "
            f"{self.base.__name__}, or a dictionary made by serialize"
        )

    def find(self, name: str, custom_objects: Mapping[str, Any] | None = None) -> Any:
        """The class of that name; ``custom_objects`` (name -> class) are looked at first."""
        for custom in (custom_objects or {}, _custom_objects.get() or {}):
            if name in custom:
                return custom[name]
        try:
            return self._classes[_canonical(name)]
        except KeyError:
            raise unknown_name(self.kind, name, self.names) from None

    def serialize(self, instance: Any) -> dict[str, Any]:
        """{"class_name": ..., "config": ...}, of plain numbers and strings."""
        return {"class_name": type(instance).__name__, "config": instance.get_config()}

    def deserialize(
        self, config: str | Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None
    ) -> T:
        """The way back from ``serialize``; classes of your own come by name in ``custom_objects``."""
        if isinstance(config, str):
            return self.find(config, custom_objects)()
        if "class_name" not in config:
            raise ValueError(
                f'a serialized {self.kind} is {{"class_name": ..., "config": ...}}; got {dict(config)!r}'
            )
        cls = self.find(config["class_name"], custom_objects)
        with _known_inside(custom_objects):
            return cls.from_config(dict(config.get("config") or {}))


# What the object being made from its configuration may be made of: a layer has initializers and more.
_custom_objects: ContextVar[Mapping[str, Any] | None] = ContextVar("custom_objects", default=None)


def custom_object(name: str) -> Any:
    """What goes by this name in the ``custom_objects`` of the object that is being made; None for nothing."""
    return (_custom_objects.get() or {}).get(name)


@contextmanager
def _known_inside(custom_objects: Mapping[str, Any] | None) -> Iterator[None]:
    token = _custom_objects.set({**(_custom_objects.get() or {}), **(custom_objects or {})})
    try:
        yield
    finally:
        _custom_objects.reset(token)


def _canonical(name: str) -> str:
    return name.replace("_", "").lower()
