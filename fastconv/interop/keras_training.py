"""What ``compile`` chose, as Keras notes it, and the order in which it keeps what optimizers remember."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from fastconv._core.configuration import each_object
from fastconv.optimizers import Optimizer
from fastconv.parameter import Array, Parameter

_OBSOLETE = {"jit_compile", "is_legacy_optimizer", "decay"}
_RENAMED = {"lr": "learning_rate"}


def compile_from_keras(config: Mapping[str, Any]) -> dict[str, Any] | None:
    """The arguments of ``compile``, for ``compile_from_config``; None where there was no loss.

    config : Keras 3's ``compile_config``, or ``training_config`` of an HDF5 file
    """
    if config.get("loss") is None:
        return None
    if "optimizer_config" in config:
        config = {**config, "optimizer": config["optimizer_config"]}
    return {
        "optimizer": _optimizer(config["optimizer"]),
        "loss": each_object(config["loss"], _measure),
        "loss_weights": config.get("loss_weights"),
        "metrics": each_object(config.get("metrics"), _measure),
        "weighted_metrics": each_object(config.get("weighted_metrics"), _measure),
        "jit_compile": config.get("jit_compile") if config.get("jit_compile") is False else "auto",
    }


def _optimizer(given: Any) -> Any:
    if not isinstance(given, Mapping):
        return given
    config = {_RENAMED.get(name, name): value for name, value in (given.get("config") or {}).items()}
    if config.get("decay"):
        raise ValueError(
            "the optimizer has decay=, which Keras 3 has no more: a schedule such as "
            "optimizers.schedules.InverseTimeDecay is its equal"
        )
    config = {name: value for name, value in config.items() if name not in _OBSOLETE}
    return {**given, "class_name": given["class_name"].removeprefix("Custom>"), "config": config}


def _measure(given: Any) -> Any:
    """A loss or metric: functions by their names, and arguments as Keras 3 has them."""
    if not isinstance(given, Mapping):
        return given
    if given.get("class_name") == "function":
        return given["config"]
    config = dict(given.get("config") or {})
    if given.get("class_name") == "MeanMetricWrapper" and isinstance(config.get("fn"), Mapping):
        config["fn"] = config["fn"].get("config")
    if config.get("reduction") == "auto":
        config["reduction"] = "sum_over_batch_size"
    return {**given, "config": config}


# ---- what optimizers remember -------------------------------------------------------------------

_GROUPS = {
    "SGD": (("momentum",),),
    "Adam": (("momentum", "velocity"), ("velocity_hat",)),
    "AdamW": (("momentum", "velocity"), ("velocity_hat",)),
    "Nadam": (("momentum", "velocity"),),
    "Adamax": (("momentum", "norm"),),
    "Adagrad": (("accumulator",),),
    "Adadelta": (("accumulated_grad", "accumulated_delta_var"),),
    "RMSprop": (("velocity",), ("momentum",), ("average_gradient",)),
}
"""The arrays that Keras' optimizers keep: those of one group stand side by side, parameter by parameter."""


def state_order(optimizer: Optimizer, in_order: list[Parameter]) -> list[str] | None:
    """The names of ``optimizer.state_dict()`` in the order of Keras' ``optimizer.variables``; None for a
    class that Keras has not.

    in_order : the trainable weights of the model in Keras' order
    """
    groups = _GROUPS.get(type(optimizer).__name__)
    if groups is None or not type(optimizer).__module__.startswith("fastconv."):
        return None
    kept = optimizer.state_dict()
    numbers = {id(parameter): index for index, parameter in enumerate(optimizer._parameters)}

    def names() -> Iterator[str]:
        yield "iterations"
        if "learning_rate" in kept:
            yield "learning_rate"
        for group in (("moving_average",), ("gathered_gradient",), *groups):
            for parameter in in_order:
                for slot in group:
                    name = f"{slot}.{numbers.get(id(parameter))}"
                    if name in kept:
                        yield name
        yield from (name for name in optimizer.scalars if name in kept)

    order = list(names())
    return order if sorted(order) == sorted(kept) else None


def state_as_keras(name: str, value: Array | int) -> Array:
    """One of those, of the type that Keras has."""
    return np.asarray(value, np.int32 if name == "iterations" else np.float32)
