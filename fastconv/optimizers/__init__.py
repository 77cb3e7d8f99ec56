"""Optimizers: how gradients move parameters. Each class's docstring is its update rule.

>>> optimizer = optimizers.get("nadam")
>>> optimizer.step(model.parameters)
"""

from __future__ import annotations

from fastconv._registry import Registry
from fastconv.optimizers.adam import Adam
from fastconv.optimizers.nadam import Nadam
from fastconv.optimizers.optimizer import Optimizer
from fastconv.optimizers.rmsprop import RMSprop
from fastconv.optimizers.sgd import SGD

__all__ = ["SGD", "Adam", "Nadam", "Optimizer", "RMSprop", "deserialize", "get", "serialize"]

_registry: Registry[Optimizer] = Registry(
    "optimizer", Optimizer, {"sgd": SGD, "adam": Adam, "nadam": Nadam, "rmsprop": RMSprop}
)
get = _registry.get
serialize = _registry.serialize
deserialize = _registry.deserialize
