"""Objects as plain dictionaries and back, by the names of their classes, and as text.

``Registry``    the classes of one kind: ``get("mse")``, ``serialize`` and ``deserialize``
``plain``       what is in a configuration, as JSON can hold it
``call_of``     what an object looks like when printed: the call that makes one like it
"""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from types import MappingProxyType
from typing import Any, Generic, TypeVar, overload

import numpy as np

from fastconv._config import constructors
from fastconv._core.checks import plain_spelling, unknown_or_missing

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


# ---- nested configurations ----------------------------------------------------------------------


def each_object(given: Any, function: Callable[[Any], Any]) -> Any:
    """``function`` of each object, name or configuration in nested lists and dictionaries.

    A dictionary with a "class_name" is one configuration.
    """
    if isinstance(given, (list, tuple)):
        return [each_object(item, function) for item in given]
    if isinstance(given, Mapping) and "class_name" not in given:
        return {name: each_object(item, function) for name, item in given.items()}
    return function(given)


# ---- values as JSON can hold them ---------------------------------------------------------------

_KEYS = (str, int, float, bool, type(None))


def plain(value: Any, place: str, array: Callable[[Any, str], Any] | None = None) -> Any:
    """``value`` in Python's numbers, strings, lists and dictionaries; NumPy's numbers become Python's.

    place : what ``value`` is called in errors; its parts are "place/name" and "place/0"
    array : called with each array and its place; what it returns is kept instead. None: lists of numbers

    Raises TypeError that names the place for what JSON cannot hold.
    """
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Mapping):
        for name in value:
            if not isinstance(name, _KEYS):
                raise TypeError(f"cannot save {place}: {name!r}, one of its keys, is not a string")
        return {name: plain(part, f"{place}/{name}", array) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(part, f"{place}/{index}", array) for index, part in enumerate(value)]
    if isinstance(value, (np.ndarray, np.generic)):
        if value.dtype == np.longdouble:
            value = value.astype(np.float64)
        if isinstance(value, np.ndarray) and array is not None and value.dtype.kind in "biuf":
            return array(value, place)
        if value.dtype.kind in "biufUO":
            return plain(value.tolist(), place)
    raise TypeError(
        f"cannot save {place}: {value!r} is neither a number, a string, a list, a dictionary nor an array"
    )


# ---- objects as text ----------------------------------------------------------------------------
#
# Only arguments that are not at their defaults are shown: of the twenty that a layer may have,
# ``Conv2D(name='conv2d', filters=6, kernel_size=(5, 5), activation='relu')`` shows what is special.


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
        return value is None or _comparable(value) in ("linear", _comparable(class_name))
    if isinstance(value, (tuple, list)) and not isinstance(default, (tuple, list)):
        default = (default,) * 2
    return _comparable(value) == _comparable(default)


def _comparable(value: Any) -> str:
    """The same text for "he_normal" and ``HeNormal()``, for 1 and 1.0, for a list and a tuple."""
    if isinstance(value, (tuple, list)):
        return ",".join(map(_comparable, value))
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
