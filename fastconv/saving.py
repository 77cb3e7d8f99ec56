"""Models and their parts in files and as plain dictionaries, and the classes of your own that are in them.

>>> @saving.register_keras_serializable("my_project")
... class Shift(layers.Layer): ...
>>> saving.save_model(model, "model.safetensors")
>>> saving.load_model("model.safetensors")          # finds Shift by itself
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fastconv import constraints, initializers, layers, losses, metrics, optimizers, regularizers
from fastconv._core.configuration import (
    custom_object_scope,
    deserialize_function,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
    serialize_function,
)
from fastconv._core.names import publish
from fastconv.models.model import Model
from fastconv.models.saving import load_model, load_weights, save_model, save_weights
from fastconv.optimizers import schedules

CustomObjectScope = custom_object_scope

__all__ = [
    "CustomObjectScope",
    "custom_object_scope",
    "deserialize_keras_object",
    "get_custom_objects",
    "get_registered_name",
    "get_registered_object",
    "load_model",
    "load_weights",
    "register_keras_serializable",
    "save_model",
    "save_weights",
    "serialize_keras_object",
]

_KINDS: dict[type, Any] = {
    layers.Layer: layers,
    losses.Loss: losses,
    metrics.Metric: metrics,
    optimizers.Optimizer: optimizers,
    schedules.LearningRateSchedule: schedules,
    initializers.Initializer: initializers,
    regularizers.Regularizer: regularizers,
    constraints.Constraint: constraints,
}


def serialize_keras_object(obj: Any) -> Any:
    """{"module": ..., "class_name": ..., "config": ...} of a layer, model, loss, metric, optimizer, schedule,
    initializer, regularizer or constraint; of a compiled model "compile_config" as well.

    Numbers, strings, None, arrays (as lists), and lists and dictionaries of all these are plain then; a
    function is its name. Weights are not part of it. Raises TypeError for anything else.
    """
    if obj is None or isinstance(obj, (bool, int, float, str)):
        return obj
    if isinstance(obj, (np.ndarray, np.generic)):
        return obj.tolist()
    if isinstance(obj, (list, tuple)):
        return [serialize_keras_object(item) for item in obj]
    if isinstance(obj, Mapping):
        return {name: serialize_keras_object(value) for name, value in obj.items()}
    for base, package in _KINDS.items():
        if isinstance(obj, base):
            config = {"module": package.__name__, **package.serialize(obj)}
            if isinstance(obj, Model) and obj.compiled:
                config["compile_config"] = obj.get_compile_config()
            return serialize_keras_object(config)
    if hasattr(obj, "__name__"):
        return serialize_function(obj)
    raise TypeError(
        f"cannot serialize {obj!r}: it is no layer, model, loss, metric, optimizer, schedule, initializer, "
        "regularizer or constraint"
    )


def deserialize_keras_object(
    config: Any, custom_objects: Mapping[str, Any] | None = None, safe_mode: bool = True
) -> Any:
    """The way back from ``serialize_keras_object``; a model has new weights, and is compiled where it was.

    Classes and functions of your own come by name in ``custom_objects``, or are registered. ``safe_mode``
    has nothing to switch: nothing in a configuration is executed. Raises ValueError for what is unknown or
    no configuration.
    """
    if isinstance(config, list):
        return [deserialize_keras_object(item, custom_objects) for item in config]
    if not isinstance(config, Mapping):
        return config
    if "class_name" not in config:
        return {name: deserialize_keras_object(value, custom_objects) for name, value in config.items()}
    if config["class_name"] == "function":
        return deserialize_function(config, custom_objects)
    kinds = {package.__name__.rpartition(".")[2]: package for package in _KINDS.values()}
    module = str(config.get("module", "")).rpartition(".")[2]
    if config["class_name"] in ("Sequential", "Functional", "Model"):
        module = "layers"
    if module not in kinds:
        raise ValueError(
            "the configuration of an object has a module, such as 'fastconv.layers', which says of what kind "
            f"it is; got {dict(config)!r}"
        )
    restored = kinds[module].deserialize(config, custom_objects)
    if isinstance(restored, Model) and config.get("compile_config"):
        restored.compile_from_config(config["compile_config"], custom_objects)
    return restored


publish(__name__)
