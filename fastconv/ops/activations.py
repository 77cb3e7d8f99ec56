"""Activations and their derivatives."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from fastconv import _kernels, reference
from fastconv._errors import unknown_name
from fastconv.ops import _door
from fastconv.ops._door import Array

ACTIVATIONS = (*_kernels.ACTIVATIONS, "softmax")

# What alpha is where none is given (Keras): the slope of leaky ReLU for x < 0, and how deep ELU goes.
DEFAULT_ALPHA = {"leaky_relu": 0.2, "elu": 1.0}


def activation(x: ArrayLike, name: str, alpha: float | None = None) -> Array:
    """y = φ(x), element by element; softmax runs along the last axis.

    ``name`` is "linear", "relu", "leaky_relu", "sigmoid", "tanh", "elu", "selu" or "softmax". ``alpha`` is
    the slope of leaky ReLU for x < 0 (0.2 if None) and the depth of ELU (1 if None); the others have none.
    Raises ValueError for another name, and for a softmax of a single number.
    """
    x = _door.array(x, "x")
    _check_name(name, x)
    if _door.on_reference():
        return reference.activation(x, name, alpha)
    return _activate(x, name, alpha, np.empty_like(x))


def activation_backward(dy: ArrayLike, y: ArrayLike, name: str, alpha: float | None = None) -> Array:
    """dx = dy · φ′(x), from the output y = φ(x) alone; dy and y have the same shape.

    Leaky ReLU and ELU with a negative ``alpha`` raise ValueError: y then does not tell the sign of x.
    """
    dy, y = _door.array(dy, "dy"), _door.array(y, "y")
    _check_name(name, y)
    _door.check_shape(dy, "dy", y.shape, "that of y")
    if alpha is not None and alpha < 0 and name in DEFAULT_ALPHA:
        raise ValueError(f"{name} can be derived from y only where alpha is not negative; got {alpha}")
    if _door.on_reference():
        return reference.activation_backward(dy, y, name, alpha)
    dx = np.empty_like(y)
    if not y.size:
        return dx
    if name == "softmax":
        _kernels.softmax_backward(_rows(dy), _rows(y), _rows(dx))
    else:
        kind = _kernels.ACTIVATIONS[name]
        _kernels.activation_backward(kind, _alpha(name, alpha), dy.reshape(-1), y.reshape(-1), dx.reshape(-1))
    return dx


def activate_result(y: Array, name: str) -> Array:
    """φ(y) for a fresh array that nobody else holds: its memory is used again."""
    _check_name(name, y)
    return reference.activation(y, name) if _door.on_reference() else _activate(y, name, None, y)


def _activate(x: Array, name: str, alpha: float | None, y: Array) -> Array:
    if not x.size:
        return y
    if name == "softmax":
        _kernels.softmax(_rows(x), _rows(y))
    else:
        _kernels.activation(_kernels.ACTIVATIONS[name], _alpha(name, alpha), x.reshape(-1), y.reshape(-1))
    return y


def _alpha(name: str, alpha: float | None) -> float:
    return DEFAULT_ALPHA.get(name, 0.0) if alpha is None else alpha


def _rows(x: Array) -> Array:
    return x.reshape(-1, x.shape[-1])


def _check_name(name: str, x: Array) -> None:
    if name not in ACTIVATIONS:
        raise unknown_name("activation", name, ACTIVATIONS)
    if name == "softmax" and x.ndim == 0:
        raise ValueError("softmax runs along the last axis, but got a single number")
