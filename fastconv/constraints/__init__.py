"""Rules that weights keep to: the optimizer applies them after every step.

``Dense(100, kernel_constraint="max_norm")``, or ``constraints.MaxNorm(1.0)``; for a convolution
``constraints.MaxNorm(1.0, axis=[0, 1, 2])``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fastconv._core.configuration import Registry
from fastconv._core.names import publish
from fastconv.constraints.constraint import Constraint
from fastconv.constraints.non_neg import NonNeg
from fastconv.constraints.norms import MaxNorm, MinMaxNorm, UnitNorm

_registry: Registry[Constraint] = Registry(
    "constraint",
    Constraint,
    {"max_norm": MaxNorm, "min_max_norm": MinMaxNorm, "non_neg": NonNeg, "unit_norm": UnitNorm},
)

ConstraintFunction = Callable[[Any], Any]
ConstraintLike = str | Mapping[str, Any] | type[Constraint] | ConstraintFunction


def get(identifier: ConstraintLike | None) -> ConstraintFunction | None:
    """The constraint for a name ("max_norm"), a configuration, a class, or any function of the weights."""
    if callable(identifier) and not isinstance(identifier, type):
        return identifier
    return _registry.get(identifier)


def serialize(constraint: ConstraintFunction | None) -> dict[str, Any] | None:
    """The configuration from which ``get`` makes the constraint again; None for None."""
    if constraint is None:
        return None
    if not isinstance(constraint, Constraint):
        raise ValueError(
            f"the constraint {constraint!r} is a function of your own and has no configuration to save: "
            "make it a subclass of fastconv.constraints.Constraint, or use save_weights()"
        )
    return _registry.serialize(constraint)


def deserialize(
    config: str | Mapping[str, Any] | None, custom_objects: Mapping[str, Any] | None = None
) -> Constraint | None:
    """The way back from ``serialize``; classes of your own come by name in ``custom_objects``."""
    return None if config is None else _registry.deserialize(config, custom_objects)


# The names Keras gives the classes in lower case, for `constraints.max_norm(1.0)`.
max_norm, min_max_norm, non_neg, unit_norm = MaxNorm, MinMaxNorm, NonNeg, UnitNorm

__all__ = [
    "Constraint",
    "MaxNorm",
    "MinMaxNorm",
    "NonNeg",
    "UnitNorm",
    "deserialize",
    "get",
    "max_norm",
    "min_max_norm",
    "non_neg",
    "serialize",
    "unit_norm",
]

publish(__name__)
