"""Activations: the nonlinearity after each weighted sum, element by element.

    linear      y = x                                   dy/dx = 1
    relu        y = max(x, 0)                           1 where y > 0, else 0
    leaky_relu  y = x, or α·x where x < 0               1 where y > 0, else α
    sigmoid     y = 1 / (1 + e^−x)                      y · (1 − y)
    tanh        y = tanh x                              1 − y²
    elu         y = x, or α·(e^x − 1) where x < 0       1 where y > 0, else y + α
    selu        y = λ · elu(x, α)                       λ where y > 0, else y + λ·α
    softmax     y_i = e^x_i / Σj e^x_j (last axis)      dx_i = y_i · (dy_i − Σj dy_j·y_j)

All these derivatives can be written with the output y, so a layer has to keep only that one array.

Sources: ReLU: Nair & Hinton 2010; leaky ReLU: Maas et al. 2013; ELU: Clevert et al. 2016; SELU: Klambauer
et al. 2017, whose α and λ make mean 0 and variance 1 a fixed point of the layer.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastconv._errors import unknown_name
from fastconv.reference import ieee

Array = NDArray[np.float64]

SELU_ALPHA = 1.6732632423543772
SELU_SCALE = 1.0507009873554805
DEFAULT_ALPHA = {"leaky_relu": 0.2, "elu": 1.0}


def activation(x: ArrayLike, name: str, alpha: float | None = None) -> Array:
    """y = φ(x). ``alpha`` is the slope of leaky ReLU (0.2 if None) and the depth of ELU (1 if None)."""
    x = np.asarray(x, np.float64)
    if name == "softmax":
        return _along_last_axis(softmax, x)
    function = _by_name(FUNCTIONS, name)
    a = DEFAULT_ALPHA.get(name, 0.0) if alpha is None else alpha
    return np.array([function(value, a) for value in x.ravel().tolist()], np.float64).reshape(x.shape)


def activation_backward(dy: ArrayLike, y: ArrayLike, name: str, alpha: float | None = None) -> Array:
    """dx = dy · φ′, with φ′ written in terms of the output y = φ(x)."""
    dy, y = np.asarray(dy, np.float64), np.asarray(y, np.float64)
    if name == "softmax":
        return _along_last_axis(_softmax_backward, dy, y)
    slope = _by_name(SLOPES, name)
    a = DEFAULT_ALPHA.get(name, 0.0) if alpha is None else alpha
    pairs = zip(dy.ravel().tolist(), y.ravel().tolist(), strict=True)
    return np.array([gradient * slope(value, a) for gradient, value in pairs], np.float64).reshape(y.shape)


def sigmoid(x: float) -> float:
    """1 / (1 + e^−x), rewritten as e^x / (1 + e^x) for negative x, where e^−x would overflow."""
    return 1 / (1 + ieee.exp(-x)) if x >= 0 else ieee.exp(x) / (1 + ieee.exp(x))


def softmax(row: list[float]) -> list[float]:
    """e^x_i / Σj e^x_j. Shifting all x by their maximum changes nothing and keeps e^x from overflowing."""
    largest = ieee.maximum(row)
    exponentials = [ieee.exp(value - largest) for value in row]
    total = sum(exponentials)
    return [value / total for value in exponentials]


def _softmax_backward(dy: list[float], y: list[float]) -> list[float]:
    inner = sum(gradient * value for gradient, value in zip(dy, y, strict=True))
    return [value * (gradient - inner) for gradient, value in zip(dy, y, strict=True)]


def _elu(x: float, a: float) -> float:
    return x if x >= 0 else a * math.expm1(x)


# Comparisons are arranged so that a NaN falls through to the branch that returns it.
FUNCTIONS: dict[str, Callable[[float, float], float]] = {
    "linear": lambda x, a: x,
    "relu": lambda x, a: 0.0 if x <= 0 else x,
    "leaky_relu": lambda x, a: a * x if x < 0 else x,
    "sigmoid": lambda x, a: sigmoid(x),
    "tanh": lambda x, a: math.tanh(x),
    "elu": _elu,
    "selu": lambda x, a: SELU_SCALE * _elu(x, SELU_ALPHA),
}
SLOPES: dict[str, Callable[[float, float], float]] = {
    "linear": lambda y, a: 1.0,
    "relu": lambda y, a: 1.0 if y > 0 else 0.0,
    "leaky_relu": lambda y, a: 1.0 if y > 0 else a,
    "sigmoid": lambda y, a: y * (1 - y),
    "tanh": lambda y, a: 1 - y * y,
    "elu": lambda y, a: 1.0 if y > 0 else y + a,
    "selu": lambda y, a: SELU_SCALE if y > 0 else y + SELU_SCALE * SELU_ALPHA,
}


def _by_name(table: dict[str, Callable[[float, float], float]], name: str) -> Callable[[float, float], float]:
    if name not in table:
        raise unknown_name("activation", name, [*table, "softmax"])
    return table[name]


def _along_last_axis(function: Callable[..., list[float]], *arrays: Array) -> Array:
    """Apply a function of rows to each row along the last axis."""
    shape = arrays[0].shape
    if arrays[0].size == 0:
        return np.empty(shape)
    rows = zip(*(array.reshape(-1, shape[-1]).tolist() for array in arrays), strict=True)
    return np.array([function(*row) for row in rows], np.float64).reshape(shape)
