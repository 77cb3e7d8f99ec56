"""Penalties that keep weights, or a layer's outputs, small: they are part of the loss.

``Conv2D(8, 3, kernel_regularizer="l2")``, or ``regularizers.L2(1e-4)``; biases and outputs (activities) have
theirs. The penalty on outputs is divided by the number of examples in the batch. ``layer.losses`` are the
penalties as they stand. In a loop written by hand ``penalize`` follows ``backward``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from fastconv._core.configuration import Registry
from fastconv._core.names import publish
from fastconv.parameter import Parameter
from fastconv.regularizers.l1_l2 import L1, L1L2, L2
from fastconv.regularizers.orthogonal import OrthogonalRegularizer
from fastconv.regularizers.regularizer import Regularizer

_registry: Registry[Regularizer] = Registry(
    "regularizer",
    Regularizer,
    {"l1": L1, "l2": L2, "l1_l2": L1L2, "orthogonal_regularizer": OrthogonalRegularizer},
)

RegularizerLike = str | Mapping[str, Any] | type[Regularizer] | Regularizer


def get(identifier: RegularizerLike | None) -> Regularizer | None:
    """The regularizer for a name ("l1", "l2", "l1_l2": factors 0.01), a configuration or a class.

    Raises TypeError for a plain function: it has no derivative here.
    """
    if isinstance(identifier, str) and _registry.find(identifier) is L1L2:
        return L1L2(0.01, 0.01)
    if callable(identifier) and not isinstance(identifier, (type, Regularizer)):
        raise TypeError(
            f"the regularizer {identifier!r} is a function, which has no derivative here: make it a subclass "
            "of fastconv.regularizers.Regularizer with __call__(x) and gradient(x)"
        )
    return _registry.get(identifier)


def serialize(regularizer: Regularizer | None) -> dict[str, Any] | None:
    """The configuration from which ``get`` makes the regularizer again; None for None."""
    return None if regularizer is None else _registry.serialize(regularizer)


def deserialize(
    config: str | Mapping[str, Any] | None, custom_objects: Mapping[str, Any] | None = None
) -> Regularizer | None:
    """The way back from ``serialize``; classes of your own come by name in ``custom_objects``."""
    return None if config is None else _registry.deserialize(config, custom_objects)


def penalize(parameters: Iterable[Parameter]) -> float:
    """Add the gradients of all the parameters' penalties to their ``grad``; returns the sum of the penalties.

    >>> model.backward(dlogits)  # in a loop of your own
    >>> loss += fastconv.regularizers.penalize(model.parameters)
    """
    return sum(
        parameter.regularizer.penalize(parameter.value, parameter.grad)
        for parameter in parameters
        if parameter.regularizer is not None
    )


# The names Keras gives the classes in lower case, for `regularizers.l2(1e-4)`.
l1, l2, l1_l2 = L1, L2, L1L2
orthogonal_regularizer = OrthogonalRegularizer

__all__ = [
    "L1",
    "L1L2",
    "L2",
    "OrthogonalRegularizer",
    "Regularizer",
    "deserialize",
    "get",
    "l1",
    "l1_l2",
    "l2",
    "orthogonal_regularizer",
    "penalize",
    "serialize",
]

publish(__name__)
