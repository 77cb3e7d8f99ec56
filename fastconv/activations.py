"""Activation functions by name: each computes y = φ(x) and, from y, carries a gradient back to x.

``get("relu")`` returns one. They are callable, ``activations.relu(x)``, and layers take them as
``activation=``. The formulas are in ``fastconv/reference/activations.py``.
"""

from __future__ import annotations

from numpy.typing import ArrayLike

from fastconv import ops
from fastconv._errors import unknown_name
from fastconv.parameter import Array


class ActivationFunction:
    """y = φ(x) element by element; softmax along the last axis. Leaky ReLU has slope 0.2, ELU depth 1
    (Keras).
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, x: ArrayLike) -> Array:
        return ops.activation(x, self.name)

    def backward(self, dy: Array, y: Array) -> Array:
        """d loss / d x from d loss / d y and the output y."""
        return dy if self.name == "linear" else ops.activation_backward(dy, y, self.name)

    def __repr__(self) -> str:
        return f"<activation {self.name}>"


linear = ActivationFunction("linear")
relu = ActivationFunction("relu")
leaky_relu = ActivationFunction("leaky_relu")
sigmoid = ActivationFunction("sigmoid")
tanh = ActivationFunction("tanh")
elu = ActivationFunction("elu")
selu = ActivationFunction("selu")
softmax = ActivationFunction("softmax")

_KNOWN = {f.name: f for f in (linear, relu, leaky_relu, sigmoid, tanh, elu, selu, softmax)}


def get(identifier: str | ActivationFunction | None) -> ActivationFunction:
    """The activation of that name; None is the linear one, y = x."""
    if identifier is None:
        return linear
    if isinstance(identifier, ActivationFunction):
        return identifier
    if isinstance(identifier, str):
        if identifier not in _KNOWN:
            raise unknown_name("activation", identifier, _KNOWN)
        return _KNOWN[identifier]
    raise TypeError(
        f"activation must be one of the names {', '.join(map(repr, sorted(_KNOWN)))}, got {identifier!r}. "
        "A function of your own has no derivative here: write it as a Layer with call and backward"
    )


def serialize(activation: ActivationFunction) -> str:
    """The name from which ``get`` finds the activation again."""
    return activation.name
