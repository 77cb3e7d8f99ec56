"""Descriptions of models in the notation of Keras 3: the way back from ``keras_reading``."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from fastconv import constraints, initializers, layers, losses, metrics, optimizers, regularizers
from fastconv._core.configuration import each_object
from fastconv.layers import serialization
from fastconv.models.model import Model
from fastconv.optimizers import schedules

_PACKAGES = {
    "initializers": initializers,
    "regularizers": regularizers,
    "constraints": constraints,
    "losses": losses,
    "metrics": metrics,
    "optimizers": optimizers,
    "optimizers.schedules": schedules,
}

_ALONE = {
    "initializers": {"FanInUniform", "RandomSigns"},
    "losses": {"Crossentropy", "MaximumAPosteriori"},
    "metrics": {"ConfusionMatrix", "NearestAccuracy"},
    "optimizers.schedules": {"OneCycle", "PowerDecay"},
}
"""What Keras has not."""

_FLOAT32 = {
    "module": "keras",
    "class_name": "DTypePolicy",
    "config": {"name": "float32"},
    "registered_name": None,
}


def to_keras(model: Model) -> tuple[dict[str, Any], list[str]]:
    """The model, and what ``compile`` chose, as Keras 3 writes them; and what is left out, in words.

    Left out are initializers, losses, metrics and schedules that Keras has not. Raises ValueError that names
    the layer and argument for the rest of what Keras has not.
    """
    writer = _Writer()
    description = writer.object(serialization.serialize(model))
    left_out = writer.left_out
    if model.compiled:
        description["compile_config"], missing = _compile_config(model)
        if missing:
            left_out = [*left_out, f"what compile chose, for {', '.join(missing)}"]
    return description, left_out


class _Writer:
    """One description. What it refers to again is written in full each time, as in Keras."""

    def __init__(self) -> None:
        self.shared: dict[int, Mapping[str, Any]] = {}
        self.left_out: list[str] = []

    def object(self, entry: Mapping[str, Any]) -> dict[str, Any]:
        """A layer or model."""
        number = entry.get("shared_object_id")
        if number is not None:
            entry = {**self.shared.setdefault(number, entry), **entry}
        kind, config = entry["class_name"], dict(entry["config"])
        owner = f"the layer {config.get('name')!r} ({kind})"
        if "input_layers" in config:
            made = self._functional(kind, config)
        elif kind == "Sequential":
            made = self._sequential(config, owner)
        elif kind not in layers.__all__ and kind not in ("Divide", "WithNumber"):
            made = {"module": None, "class_name": kind.rpartition(">")[2], "registered_name": kind}
            made["config"] = copy.deepcopy(config)
        else:
            made = {"module": "keras.layers", "class_name": kind, "registered_name": None}
            made["config"] = self._config(kind, config, owner)
        extra = {key: entry[key] for key in ("build_config", "shared_object_id") if key in entry}
        return {**made, **extra}

    # ---- models

    def _sequential(self, config: dict[str, Any], owner: str) -> dict[str, Any]:
        described = [_in_chain(layer, owner) for layer in config["layers"]]
        shape = config["build_input_shape"]
        made = [self.object(layer) for layer in described]
        if shape is not None:
            name = f"{config['name']}_input"
            made.insert(
                0, self.object({"class_name": "InputLayer", "config": {"name": name, "shape": shape[1:]}})
            )
        return {
            "module": "keras",
            "class_name": "Sequential",
            "registered_name": None,
            "config": {**config, "dtype": _FLOAT32, "layers": made},
        }

    def _functional(self, kind: str, config: dict[str, Any]) -> dict[str, Any]:
        entries = [self._with_calls(entry) for entry in config["layers"]]
        models = {
            entry["name"] for entry in config["layers"] if "input_layers" in (entry.get("config") or {})
        }

        def counted(places: Any) -> Any:
            """Keras counts the call by which a model inside was made, here and nowhere else."""
            if isinstance(places, Mapping):
                return {name: counted(place) for name, place in places.items()}
            if len(places) == 3 and isinstance(places[0], str):
                layer, call, output = places
                return [layer, call + (layer in models), output]
            return [counted(place) for place in places]

        config |= {"layers": entries, "output_layers": counted(config["output_layers"])}
        own = kind != "Functional"
        return {
            "module": None if own else "keras.src.models.functional",
            "class_name": kind.rpartition(">")[2],
            "registered_name": kind,
            "config": config,
        }

    def _with_calls(self, entry: Mapping[str, Any]) -> dict[str, Any]:
        name, calls = entry["name"], copy.deepcopy(entry["inbound_nodes"])
        if entry["class_name"] not in ("WithNumber", "Divide"):
            return {**self.object(entry), "name": name, "inbound_nodes": calls}
        config = entry["config"]
        operation = config.get("operation", "divide").capitalize()
        for call in calls:
            if entry["class_name"] == "Divide":
                call["args"] = list(call["args"][0])
            else:
                call["args"].insert(0 if config["number_first"] else 1, config["number"])
        return {
            "module": "keras.src.ops.numpy",
            "class_name": operation,
            "config": {"name": name},
            "registered_name": operation,
            "name": name,
            "inbound_nodes": calls,
        }

    # ---- layers

    def _config(self, kind: str, config: dict[str, Any], owner: str) -> dict[str, Any]:
        if kind in ("RBF", "Subsampling2D"):
            raise ValueError(f"{owner}: Keras has no such layer; save the model as .safetensors")
        if kind == "InputLayer":
            batch_shape = [config.get("batch_size"), *config["shape"]]
            return {"batch_shape": batch_shape, "dtype": "float32", "name": config["name"]}
        if config.get("connections") is not None:
            raise ValueError(f"{owner}: Keras has no connections=; save the model as .safetensors")
        padding = config.get("padding", "valid")
        if "Padding" not in kind and not isinstance(padding, str):
            raise ValueError(
                f"{owner}: Keras has no padding={padding!r}, only 'valid' and 'same'; a ZeroPadding layer in "
                "front of a convolution does the same"
            )
        for name in ("input_shape", "algorithm", "connections", "rms_scaling"):
            if name != "rms_scaling" or not config.get(name):
                config.pop(name, None)
        if config.get("trainable") or kind in ("SpatialDropout2D", "Pipeline"):  # which have no such argument
            config.pop("trainable", None)
        made: dict[str, Any] = {}
        for name, value in config.items():
            if name.endswith("activation"):
                made[name] = _activation(value, owner)
            elif name in ("layer", "layers"):
                made[name] = [self.object(one) for one in value] if name == "layers" else self.object(value)
            elif isinstance(value, Mapping) and "class_name" in value:
                package = f"{name.rpartition('_')[2]}s"
                if value["class_name"] in _ALONE.get(package, ()):
                    self.left_out.append(f"{name}={value['class_name']} of {owner}")
                else:
                    made[name] = _named(value, package) if value["class_name"] != "function" else value
            else:
                made[name] = value
        return made if kind == "Pipeline" else {**made, "dtype": _FLOAT32}


def _in_chain(entry: Mapping[str, Any], owner: str) -> Mapping[str, Any]:
    """A layer of a Sequential, where Keras has no bare operations."""
    if entry["class_name"] != "WithNumber":
        return entry
    config = entry["config"]
    number, first = config["number"], config["number_first"]
    scale, offset = {
        "add": (1.0, number),
        "subtract": (-1.0, number) if first else (1.0, -number),
        "multiply": (number, 0.0),
        "divide": (None if first or not number else 1 / number, 0.0),
    }[config["operation"]]
    if scale is None:
        raise ValueError(f"{owner}: {config['name']!r} divides by its input, which no layer of Keras does")
    made = {"name": config["name"], "scale": scale, "offset": offset}
    return {**entry, "class_name": "Rescaling", "config": made}


def _named(entry: Mapping[str, Any], package: str) -> dict[str, Any]:
    """An object of one of Keras' packages, or one of the user's own."""
    name = entry["class_name"]
    own = name not in _PACKAGES[package].__all__
    return {
        "module": None if own else f"keras.{package}",
        "class_name": name.rpartition(">")[2],
        "config": entry["config"],
        "registered_name": name if own else None,
    }


_LAYERS_OF = {
    "leaky_relu": ("LeakyReLU", {"negative_slope"}),
    "elu": ("ELU", {"alpha"}),
    "relu": ("ReLU", {"negative_slope", "max_value", "threshold"}),
    "softmax": ("Softmax", {"axis"}),
}


def _activation(value: Any, owner: str) -> Any:
    """An activation by its name, or one with parameters as the layer that Keras has for it."""
    if not isinstance(value, Mapping):
        if value in ("scaled_tanh", "gelu_tanh"):
            raise ValueError(f"{owner}: Keras has no activation {value!r}; save the model as .safetensors")
        return value
    name, config = value["class_name"], dict(value["config"])
    layer, parameters = _LAYERS_OF.get(name, (None, set()))
    if layer is None or config.keys() - parameters:
        raise ValueError(
            f"{owner}: Keras has no activation {name!r} with {config}; save the model as .safetensors"
        )
    return {"module": "keras.layers", "class_name": layer, "config": config, "registered_name": None}


# ---- training -----------------------------------------------------------------------------------


def _compile_config(model: Model) -> tuple[dict[str, Any] | None, list[str]]:
    """The arguments of ``compile``, and what Keras lacks of them; None where it lacks something."""
    config = model.get_compile_config()
    missing: list[str] = []

    def measure(package: str, given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        if given["class_name"] in _ALONE[package]:
            missing.append(f"{package}.{given['class_name']}")
        return _named(given, package)

    def optimizer(given: Mapping[str, Any]) -> dict[str, Any]:
        settings = dict(given["config"])
        if settings.pop("exclude_from_weight_decay", None) is not None:
            missing.append("exclude_from_weight_decay")
        rate = settings["learning_rate"]
        if isinstance(rate, Mapping):
            if rate["class_name"] in _ALONE["optimizers.schedules"]:
                missing.append(f"optimizers.schedules.{rate['class_name']}")
            settings["learning_rate"] = _named(rate, "optimizers.schedules")
        return _named({**given, "config": settings}, "optimizers")

    made = {
        "optimizer": optimizer(config["optimizer"]),
        "loss": each_object(config["loss"], lambda given: measure("losses", given)),
        "loss_weights": config.get("loss_weights"),
        "metrics": each_object(config["metrics"], lambda given: measure("metrics", given)),
        "weighted_metrics": each_object(config["weighted_metrics"], lambda given: measure("metrics", given)),
        "run_eagerly": False,
        "steps_per_execution": 1,
        "jit_compile": config["jit_compile"],
    }
    return (None if missing else made), missing
