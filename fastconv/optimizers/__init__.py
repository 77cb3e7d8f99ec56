"""Optimizers: how gradients move parameters. Each class's docstring is its update rule.

>>> optimizer = optimizers.get("nadam")
>>> optimizer.step(model.parameters)

``schedules`` has learning rates that change with the number of steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastconv._core.configuration import Registry
from fastconv._core.names import publish
from fastconv.optimizers import learning_rate as _rates
from fastconv.optimizers import schedules
from fastconv.optimizers.adadelta import Adadelta
from fastconv.optimizers.adagrad import Adagrad
from fastconv.optimizers.adam import Adam
from fastconv.optimizers.adamax import Adamax
from fastconv.optimizers.adamw import AdamW
from fastconv.optimizers.nadam import Nadam
from fastconv.optimizers.optimizer import Optimizer
from fastconv.optimizers.rmsprop import RMSprop
from fastconv.optimizers.sgd import SGD

__all__ = [
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Nadam",
    "Optimizer",
    "RMSprop",
    "deserialize",
    "get",
    "schedules",
    "serialize",
]

_registry: Registry[Optimizer] = Registry(
    "optimizer",
    Optimizer,
    {
        "sgd": SGD,
        "adadelta": Adadelta,
        "adagrad": Adagrad,
        "adam": Adam,
        "adamw": AdamW,
        "adamax": Adamax,
        "nadam": Nadam,
        "rmsprop": RMSprop,
    },
)
get = _registry.get
serialize = _registry.serialize


def deserialize(
    config: str | Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None
) -> Optimizer:
    """The way back from ``serialize``. What is your own, optimizers, schedules and functions for rates,
    comes by name in ``custom_objects``.
    """
    if not isinstance(config, str) and "learning_rate" in (config.get("config") or {}):
        rate = _rates.restored(config["config"]["learning_rate"], custom_objects)
        config = {**config, "config": {**config["config"], "learning_rate": rate}}
    return _registry.deserialize(config, custom_objects)


publish(__name__)
