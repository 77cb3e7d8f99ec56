"""Activation functions by name: each computes y = φ(x) and carries a gradient back to x.

``get("relu")`` returns one. They are callable, ``activations.relu(x)``, and layers take them as
``activation=``. The formulas are in ``fastconv/reference/activations.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from numpy.typing import ArrayLike

from fastconv import ops
from fastconv._errors import unknown_or_missing, unsupported_argument
from fastconv._public import publish
from fastconv._structure import Structured
from fastconv.parameter import Array

# Keras' name for what the operations call alpha.
_PARAMETER = {"leaky_relu": "negative_slope", "elu": "alpha", "celu": "alpha"}


class ActivationFunction(Structured):
    """y = φ(x) element by element; softmax and log_softmax along the last axis.

    Leaky ReLU has slope 0.2, ELU and CELU depth 1 (Keras), unless ``alpha`` says otherwise:
    ``leaky_relu.with_parameters(negative_slope=0.1)``.
    """

    name: str
    alpha: float | None

    def __init__(self, name: str, alpha: float | None = None) -> None:
        vars(self).update(name=name, alpha=alpha)  # makes no new version: no layer has this function yet

    @property
    def needs_input(self) -> bool:
        """True where the derivative is made of the input x; of all others it is made of the output y."""
        return self.name in ops.NEEDS_INPUT

    def __call__(self, x: ArrayLike, **parameters: Any) -> Array:
        function = self.with_parameters(**parameters)
        return ops.activation(x, function.name, function.alpha)

    def backward(self, dy: Array, kept: Array) -> Array:
        """d loss / d x from d loss / d y and the output y; or the input x, where ``needs_input``."""
        return dy if self.name == "linear" else ops.activation_backward(dy, kept, self.name, self.alpha, kept)

    def with_parameters(self, **parameters: Any) -> ActivationFunction:
        """The function with another shape: ``negative_slope`` of leaky_relu, ``alpha`` of elu and celu,
        ``approximate`` of gelu. Raises ValueError for what Keras' function has and this one has not.
        """
        function = self
        for argument, value in parameters.items():
            if (self.name, argument) == ("gelu", "approximate"):
                function = gelu_tanh if value else gelu
            elif _PARAMETER.get(self.name) == argument:
                function = ActivationFunction(self.name, float(value))
            else:
                raise unsupported_argument(
                    f"activations.{self.name}", argument, "the layers ReLU and Softmax have more of them"
                )
        return function

    def __repr__(self) -> str:
        shape = "" if self.alpha is None else f"({_PARAMETER[self.name]}={self.alpha:g})"
        return f"{self.name}{shape}"


celu = ActivationFunction("celu")
elu = ActivationFunction("elu")
exponential = ActivationFunction("exponential")
gelu = ActivationFunction("gelu")
gelu_tanh = ActivationFunction("gelu_tanh")  # Keras' gelu(x, approximate=True)
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
softmax = ActivationFunction("softmax")
softplus = ActivationFunction("softplus")
softsign = ActivationFunction("softsign")
tanh = ActivationFunction("tanh")

# Keras' other names.
swish = silu
hard_swish = hard_silu

_KNOWN = {name: value for name, value in globals().items() if isinstance(value, ActivationFunction)}


__all__ = ["ActivationFunction", "deserialize", "get", "serialize", *sorted(_KNOWN)]


class HasActivation(Protocol):
    """A layer that is nothing but an activation, such as ``LeakyReLU(0.1)``."""

    @property
    def as_activation(self) -> ActivationFunction | None: ...


ActivationLike = str | Mapping[str, Any] | ActivationFunction | HasActivation | None


def get(identifier: ActivationLike) -> ActivationFunction:
    """The activation for a name, for what ``serialize`` made, or for a layer that is nothing but an
    activation, such as ``LeakyReLU(0.1)``; None is the linear one, y = x.

    Raises ValueError for an unknown name and TypeError for a function, whose derivative nobody knows.
    """
    if identifier is None:
        return linear
    if isinstance(identifier, str):
        return _by_name(identifier)
    if isinstance(identifier, Mapping):
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
    if activation.alpha is None:
        return activation.name
    return {"class_name": activation.name, "config": {_PARAMETER[activation.name]: activation.alpha}}


deserialize = get

publish(__name__)
