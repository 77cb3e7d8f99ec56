"""Layers to and from plain dictionaries, as model files keep them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastconv._registry import Registry
from fastconv.layers.layer import Layer

_registry: Registry[Layer] = Registry("layer", Layer, {})


def add_class(cls: type[Layer]) -> None:
    """Make one more class of layers known by its name; ``fastconv.layers`` does so with all of its own."""
    _registry.add(cls)


def serialize(layer: Layer) -> dict[str, Any]:
    """{"class_name": "Conv2D", "config": {...}}: for ``deserialize``; without the weights."""
    return _registry.serialize(layer)


def deserialize(config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Layer:
    """The layer for a configuration; classes of your own come by name in ``custom_objects``.

    Where the configuration says for which shape the layer was built, as Keras' do, it is built.
    """
    layer = _registry.deserialize(config, custom_objects)
    if isinstance(config, Mapping) and config.get("build_config") and not layer.is_input:
        layer.build_from_config(config["build_config"])
    return layer
