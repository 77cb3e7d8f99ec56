"""Objects by name: ``get("mse")``, and to and from a plain dictionary for model files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any, Generic, TypeVar, overload

from fastconv._errors import plain_spelling, unknown_or_missing

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
        self._classes = {plain_spelling(name): cls for name, cls in known.items()}
        self._classes |= {plain_spelling(cls.__name__): cls for cls in known.values()}

    def add(self, cls: type[T], name: str | None = None) -> None:
        """Make one more class known by its own name, and by ``name``, under which it is then saved."""
        self.names = sorted([*self.names, name or cls.__name__])
        self._classes[plain_spelling(cls.__name__)] = cls
        if name is not None:
            self._classes[plain_spelling(name)] = cls
            _registered_names[cls] = name

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
        """The class of that name; ``custom_object`` is asked first."""
        own = custom_object(name, custom_objects, self.kind)
        if own is not None:
            return own
        try:
            return self._classes[plain_spelling(name)]
        except KeyError:
            module = self.base.__module__.removeprefix("fastconv.").rpartition(".")[0]
            raise unknown_or_missing(self.kind, module, name, self.names) from None

    def serialize(self, instance: Any) -> dict[str, Any]:
        """{"class_name": ..., "config": ...}, of plain numbers and strings."""
        return {"class_name": saved_name(type(instance), self.kind), "config": instance.get_config()}

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
        name = config["class_name"]
        try:
            cls = self.find(name, custom_objects)
        except ValueError as error:
            own = name.rpartition(">")[2]
            raise ValueError(
                f"{error} A class of your own is found where it is registered, by "
                f"@saving.register_keras_serializable(), or given as custom_objects={{{own!r}: {own}}}"
            ) from None
        with custom_object_scope(custom_objects):
            return cls.from_config(dict(config.get("config") or {}))


# ---- classes and functions of the user's own

_registered: dict[str, Any] = {}
_registered_names: dict[Any, str] = {}
_scope: ContextVar[Mapping[str, Any]] = ContextVar("custom_objects", default=MappingProxyType({}))
_copied: ContextVar[dict[tuple[str, str], Any] | None] = ContextVar("copied", default=None)


def custom_object(name: str, custom_objects: Mapping[str, Any] | None = None, kind: str = "") -> Any:
    """The user's own class or function of that name: from ``custom_objects``, from the scopes that are open,
    or a registered one, in this order; None where there is none.

    What was saved as "package>Name" is known as "Name" too, where it comes back without being registered.
    """
    if (copied := (_copied.get() or {}).get((kind, name))) is not None:
        return copied
    for known in (custom_objects or {}, _scope.get(), _registered):
        for alias in (name, name.rpartition(">")[2]):
            if alias in known:
                return known[alias]
    return None


def saved_name(thing: Any, kind: str) -> str:
    """What a configuration calls a class or function of this kind."""
    name = get_registered_name(thing)
    if (copied := _copied.get()) is not None:
        while copied.get((kind, name), thing) is not thing:  # another one of the same name
            name += "'"
        copied[kind, name] = thing
    return name


def serialize_function(function: Any) -> dict[str, Any]:
    """A function in a configuration: its name, for ``deserialize_function``."""
    return {"module": "builtins", "class_name": "function", "config": saved_name(function, "function")}


def deserialize_function(config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The function of the user's own that a configuration names. Raises ValueError where it is not known."""
    name = str(config["config"])
    function = custom_object(name, custom_objects, "function")
    if function is None:
        own = name.rpartition(">")[2]
        raise ValueError(
            f"unknown function {name!r}: register it, with @saving.register_keras_serializable(), or give "
            f"custom_objects={{{own!r}: the function}}"
        )
    return function


def comes_back(function: Any) -> bool:
    """Whether a configuration that names this function finds it: it is registered, or this is a copy."""
    return _copied.get() is not None or custom_object(get_registered_name(function)) is function


@contextmanager
def custom_object_scope(custom_objects: Mapping[str, Any] | None) -> Iterator[None]:
    """Meanwhile what is made from its configuration may be of these classes and functions: name -> object.

    >>> with custom_object_scope({"Shift": Shift}):
    ...     model = load_model("model.safetensors")
    """
    token = _scope.set({**_scope.get(), **(custom_objects or {})})
    try:
        yield
    finally:
        _scope.reset(token)


@contextmanager
def copying() -> Iterator[None]:
    """Meanwhile what is serialized can be made again, whether its class is known by name or not."""
    token = _copied.set({})
    try:
        yield
    finally:
        _copied.reset(token)


def register_keras_serializable(package: str = "Custom", name: str | None = None) -> Callable[[T], T]:
    """A decorator of classes and functions of your own: files and configurations that hold them can be
    loaded without ``custom_objects``.

    >>> @register_keras_serializable("my_project")
    ... class Shift(Layer): ...

    They are saved under "package>name"; ``name`` is that of the class where None. Raises ValueError for a
    class without ``get_config``, TypeError where the parentheses are missing.
    """
    if not isinstance(package, str):
        raise TypeError("write @register_keras_serializable(), with parentheses, in front of a class")

    def register(thing: T) -> T:
        own_name: str = getattr(thing, "__name__", "") if name is None else name
        if isinstance(thing, type) and not hasattr(thing, "get_config"):
            raise ValueError(f"{own_name} has no get_config(), from which it could be made again")
        _registered[f"{package}>{own_name}"] = thing
        _registered_names[thing] = f"{package}>{own_name}"
        return thing

    return register


def get_custom_objects() -> dict[str, Any]:
    """The registered classes and functions by name: a dictionary that may be changed."""
    return _registered


def get_registered_name(obj: Any) -> str:
    """The name under which a class or function is saved: "package>name" where registered, else its own."""
    registered = _registered_names.get(obj)
    own: str = getattr(obj, "__name__", type(obj).__name__) if registered is None else registered
    return own


def get_registered_object(
    name: str,
    custom_objects: Mapping[str, Any] | None = None,
    module_objects: Mapping[str, Any] | None = None,
) -> Any:
    """The class or function of that name: your own, or else one of ``module_objects``; None for none."""
    own = custom_object(name, custom_objects)
    return (module_objects or {}).get(name) if own is None else own
