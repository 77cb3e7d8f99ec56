"""Layers to and from plain dictionaries, as model files keep them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Any

from fastconv._core.configuration import Registry
from fastconv.layers.layer import Layer

_registry: Registry[Layer] = Registry("layer", Layer, {})


def add_class(cls: type[Layer], name: str | None = None) -> None:
    """Make one more class of layers known by its name; ``fastconv.layers`` does so with all of its own.

    ``name`` is what files call it, where that is not its own name.
    """
    _registry.add(cls, name)


def serialize(layer: Layer) -> dict[str, Any]:
    """{"class_name": "Conv2D", "config": {...}}: for ``deserialize``; without the weights.

    A layer that stands in several models inside each other is described once; its other places refer to that
    by "shared_object_id". A model of your own that is built says so under "build_config".
    """
    with _one_description(_written) as written:
        if id(layer) in written:
            first = written[id(layer)]
            numbered = sum("shared_object_id" in entry for entry in written.values())
            number = first.setdefault("shared_object_id", numbered)
            return {"class_name": first["class_name"], "shared_object_id": number}
        entry = _registry.serialize(layer)
        if not layer._config_says_shape and layer._input_shape is not None:
            entry["build_config"] = layer.get_build_config()
        if not layer.is_input:
            written[id(layer)] = entry
        return entry


def deserialize(config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Layer:
    """The layer for a configuration; classes of your own come by name in ``custom_objects``.

    Where the configuration says for which shape the layer was built, as Keras' do, it is built.
    """
    with _one_description(_read) as read:
        number = config.get("shared_object_id") if isinstance(config, Mapping) else None
        if number in read:
            return read[number]
        if number is not None and config.get("config") is None:
            raise ValueError(f"the description refers to the layer {number!r} before it describes it")
        with _named_in_errors(config):
            layer = _registry.deserialize(config, custom_objects)
        if number is not None:
            read[number] = layer
        built = layer._input_shape is not None
        if isinstance(config, Mapping) and config.get("build_config") and not built:
            layer.build_from_config(config["build_config"])
        return layer


@contextmanager
def _named_in_errors(config: Any) -> Iterator[None]:
    """Errors say which layer it is, from the outermost model inwards."""
    try:
        yield
    except (ValueError, TypeError) as error:
        arguments = config.get("config") if isinstance(config, Mapping) else None
        name = arguments.get("name") if isinstance(arguments, Mapping) else None
        if name is None or type(error) not in (ValueError, TypeError):
            raise
        kind = config["class_name"]
        raise type(error)(f"the layer {name!r} ({kind}): {error}") from (error.__cause__ or error)


_written: ContextVar[dict[int, dict[str, Any]] | None] = ContextVar("written", default=None)
_read: ContextVar[dict[int, Layer] | None] = ContextVar("read", default=None)


@contextmanager
def _one_description(known: ContextVar[dict[int, Any] | None]) -> Iterator[dict[int, Any]]:
    """The layers that the description at work has so far: empty where it begins."""
    present = known.get()
    if present is not None:
        yield present
        return
    opened: dict[int, Any] = {}
    token = known.set(opened)
    try:
        yield opened
    finally:
        known.reset(token)


def described_together() -> AbstractContextManager[Any]:
    """Meanwhile what is serialized is one description: what its layers share is described once."""
    return _one_description(_written)


def made_together() -> AbstractContextManager[Any]:
    """Meanwhile what is deserialized is one description, as ``described_together`` has it."""
    return _one_description(_read)
