"""Activation functions by name: each computes y = φ(x) and carries a gradient back to x.

``get("relu")`` returns one. They are callable, ``activations.relu(x)``, and layers take them as
``activation=``. The formulas are in ``fastconv/reference/activations.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike

from fastconv import ops
from fastconv._errors import unknown_or_missing, unsupported_argument
from fastconv._numbers import is_real
from fastconv._public import publish
from fastconv._structure import Structured
from fastconv.graph.symbolic import SymbolicTensor
from fastconv.ops._door import array as floats
from fastconv.parameter import Array

# Keras' name for what the operations call alpha.
_PARAMETER = {"leaky_relu": "negative_slope", "elu": "alpha", "celu": "alpha"}


class ActivationFunction(Structured):
    """y = φ(x) element by element; softmax and log_softmax along the last axis. Called on a symbolic tensor,
    it returns one.

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

    def __call__(self, x: Any, **parameters: Any) -> Any:
        if parameters:
            return self.with_parameters(**parameters)(x)
        if isinstance(x, SymbolicTensor):
            from fastconv.layers.activation import Activation

            return Activation(self)(x)
        return self._of(x)

    def _of(self, x: ArrayLike) -> Array:
        return ops.activation(x, self.name, self.alpha)

    def backward(self, dy: Array, kept: Array) -> Array:
        """d loss / d x from d loss / d y and the output y; or the input x, where ``needs_input``."""
        return dy if self.name == "linear" else ops.activation_backward(dy, kept, self.name, self.alpha, kept)

    def with_parameters(self, **parameters: Any) -> ActivationFunction:
        """The function with another shape: ``negative_slope`` of leaky_relu, ``alpha`` of elu and celu,
        ``approximate`` of gelu, ``negative_slope``, ``max_value`` and ``threshold`` of relu. Raises
        ValueError for what Keras' function has and this one has not.
        """
        if self.name == "relu":
            return _shaped_relu(**parameters)
        function = self
        for argument, value in parameters.items():
            if (self.name, argument) == ("gelu", "approximate"):
                function = gelu_tanh if value else gelu
            elif _PARAMETER.get(self.name) == argument:
                function = ActivationFunction(self.name, float(value))
            else:
                raise unsupported_argument(
                    f"activations.{self.name}", argument, "the layer Softmax has an axis, no other has more"
                )
        return function

    def __repr__(self) -> str:
        shape = "" if self.alpha is None else f"({_PARAMETER[self.name]}={self.alpha:g})"
        return f"{self.name}{shape}"


class ShapedRelu(ActivationFunction):
    """The rectifier with a threshold or a ceiling, made by ``relu.with_parameters``.

        y = x                                  for x > threshold, but at most max_value
        y = negative_slope · (x - threshold)   for x ≤ threshold

    Its derivative is 1, 0 where the ceiling acts, and negative_slope from the threshold down.
    """

    @property
    def needs_input(self) -> bool:
        return True

    def __init__(
        self, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0
    ) -> None:
        super().__init__("shaped_relu")
        self.negative_slope, self.max_value, self.threshold = negative_slope, max_value, threshold

    def _of(self, x: ArrayLike) -> Array:
        x = floats(x, "x")
        above = x.copy() if self.max_value is None else np.minimum(x, x.dtype.type(self.max_value))
        return np.where(x <= self.threshold, self._below(x), above)

    def _below(self, x: Array) -> Array:
        if self.negative_slope == 0:  # 0 · (−∞) is no number
            return np.zeros_like(x)
        return x.dtype.type(self.negative_slope) * (x - x.dtype.type(self.threshold))

    def backward(self, dy: Array, kept: Array) -> Array:
        slope = np.where(kept <= self.threshold, self.negative_slope, 1.0)
        if self.max_value is not None:
            slope = np.where((kept > self.threshold) & (kept >= self.max_value), 0.0, slope)
        return dy * slope.astype(dy.dtype)

    def with_parameters(self, **parameters: Any) -> ActivationFunction:
        return _shaped_relu(**{**self.parameters, **parameters})

    @property
    def parameters(self) -> dict[str, Any]:
        return {
            "negative_slope": self.negative_slope,
            "max_value": self.max_value,
            "threshold": self.threshold,
        }

    def __repr__(self) -> str:
        shape = ", ".join(f"{name}={value:g}" for name, value in self.parameters.items() if value)
        return f"relu({shape})"


def _shaped_relu(
    negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0, **unknown: Any
) -> ActivationFunction:
    """The rectifier of this shape: one that C knows, where there is one."""
    for argument in unknown:
        raise TypeError(f"activations.relu has no argument {argument!r}")
    given = {"negative_slope": negative_slope, "threshold": threshold}
    for name, value in (given if max_value is None else {**given, "max_value": max_value}).items():
        if not is_real(value) or not value >= 0:
            raise ValueError(f"ReLU: {name} must not be negative, got {value!r}")
    if max_value is None and threshold == 0:
        return leaky_relu.with_parameters(negative_slope=negative_slope) if negative_slope else relu
    return ShapedRelu(
        float(negative_slope), None if max_value is None else float(max_value), float(threshold)
    )


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
    if activation.alpha is None:
        return activation.name
    return {"class_name": activation.name, "config": {_PARAMETER[activation.name]: activation.alpha}}


deserialize = get

publish(__name__)
