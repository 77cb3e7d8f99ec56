"""Activation functions by name: each computes y = φ(x) and carries a gradient back to x.

``get("relu")`` returns one. They are callable, ``activations.relu(x)``, and layers take them as
``activation=``. The formulas are in ``fastconv/reference/activations.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, TypeAlias

from fastconv._core.checks import unknown_or_missing
from fastconv._core.names import publish
from fastconv.activations.activation_function import (
    PARAMETER,
    ActivationFunction,
    AlongAxis,
    GatedLinear,
    ShapedRelu,
    Threshold,
)

celu = ActivationFunction("celu")
elu = ActivationFunction("elu")
exponential = ActivationFunction("exponential")
gelu = ActivationFunction("gelu")
gelu_tanh = ActivationFunction("gelu_tanh")  # Keras' gelu(x, approximate=True)
glu = GatedLinear()
hard_shrink = ActivationFunction("hard_shrink")
hard_sigmoid = ActivationFunction("hard_sigmoid")
hard_silu = ActivationFunction("hard_silu")
hard_tanh = ActivationFunction("hard_tanh")
leaky_relu = ActivationFunction("leaky_relu")
linear = ActivationFunction("linear")
log_sigmoid = ActivationFunction("log_sigmoid")
log_softmax = ActivationFunction("log_softmax")
mish = ActivationFunction("mish")
relu = ActivationFunction("relu")
relu6 = ActivationFunction("relu6")
scaled_tanh = ActivationFunction("scaled_tanh")  # LeCun et al. 1998: 1.7159 tanh(2x/3); beyond Keras
selu = ActivationFunction("selu")
sigmoid = ActivationFunction("sigmoid")
silu = ActivationFunction("silu")
soft_shrink = ActivationFunction("soft_shrink")
softmax = ActivationFunction("softmax")
softplus = ActivationFunction("softplus")
softsign = ActivationFunction("softsign")
sparse_plus = ActivationFunction("sparse_plus")
sparse_sigmoid = ActivationFunction("sparse_sigmoid")
sparsemax = ActivationFunction("sparsemax")
squareplus = ActivationFunction("squareplus")
tanh = ActivationFunction("tanh")
tanh_shrink = ActivationFunction("tanh_shrink")
threshold = Threshold()

# Keras' other names.
swish = silu
hard_swish = hard_silu

_KNOWN = {name: value for name, value in globals().items() if isinstance(value, ActivationFunction)}


__all__ = ["ActivationFunction", "deserialize", "get", "serialize", *sorted(_KNOWN)]


class HasActivation(Protocol):
    """A layer that is nothing but an activation, such as ``LeakyReLU(0.1)``."""

    @property
    def as_activation(self) -> ActivationFunction | None: ...


ActivationLike: TypeAlias = str | Mapping[str, Any] | ActivationFunction | HasActivation | None


def get(identifier: ActivationLike) -> ActivationFunction:
    """The activation for a name, for what ``serialize`` made, or for a layer that is nothing but an
    activation, such as ``LeakyReLU(0.1)``; None is the linear one, y = x.

    Raises ValueError for an unknown name and TypeError for a function, whose derivative nobody knows, and for
    ``threshold`` without its parameters.
    """
    function = _get(identifier)
    if isinstance(function, Threshold):
        function.check()
    return function


def _get(identifier: ActivationLike) -> ActivationFunction:
    if identifier is None:
        return linear
    if isinstance(identifier, str):
        return _by_name(identifier)
    if isinstance(identifier, Mapping):
        if identifier["class_name"][:1].isupper():  # a layer: so Keras writes Dense(2, LeakyReLU(0.1))
            from fastconv.layers.serialization import deserialize as layer_of

            return get(layer_of(identifier))  # type: ignore[arg-type]
        return _by_name(identifier["class_name"]).with_parameters(**identifier["config"])
    function = getattr(identifier, "as_activation", identifier)
    if isinstance(function, ActivationFunction):
        return function
    raise TypeError(
        f"activation must be one of the names {', '.join(map(repr, sorted(_KNOWN)))}, or a layer such as "
        f"LeakyReLU(0.1), got {identifier!r}. A function of your own has no derivative here: write it as a "
        "Layer with call and backward"
    )


def _by_name(name: str) -> ActivationFunction:
    if name in _KNOWN:
        return _KNOWN[name]
    raise unknown_or_missing("activation", "activations", name, _KNOWN)


def serialize(activation: ActivationFunction) -> str | dict[str, Any]:
    """The name, with its parameter where that was given, from which ``get`` makes the activation again."""
    if isinstance(activation, ShapedRelu):
        return {"class_name": relu.name, "config": activation.parameters}
    if isinstance(activation, AlongAxis):
        return {"class_name": vars(activation)["base"], "config": activation.parameters}
    if isinstance(activation, (GatedLinear, Threshold)) and activation.parameters != {"axis": -1}:
        return {"class_name": activation.name, "config": activation.parameters}
    if activation.alpha is None:
        return activation.name
    return {"class_name": activation.name, "config": {PARAMETER[activation.name]: activation.alpha}}


deserialize = get

publish(__name__)
