"""Activations: the nonlinearity after each weighted sum, element by element.

    linear        y = x                                   dy/dx = 1
    relu          y = max(x, 0)                           1 where y > 0, else 0
    relu6         y = x, between 0 and 6                  1 where 0 < y < 6, else 0
    leaky_relu    y = x, or α·x where x < 0               1 where y > 0, else α
    sigmoid       y = 1 / (1 + e^−x)                      y · (1 − y)
    hard_sigmoid  y = (x + 3) / 6, between 0 and 1        1/6 where 0 < y < 1, else 0
    log_sigmoid   y = −log(1 + e^−x)                      1 − e^y
    tanh          y = tanh x                              1 − y²
    scaled_tanh   y = A · tanh(⅔x), A = 1.7159            ⅔ · (A − y²/A)
    hard_tanh     y = x, between −1 and 1                 1 where −1 < y < 1, else 0
    elu           y = x, or α·(e^x − 1) where x < 0       1 where y > 0, else y + α
    celu          y = x, or α·(e^(x/α) − 1) where x < 0   1 where y > 0, else y/α + 1
    selu          y = λ · elu(x, α)                       λ where y > 0, else y + λ·α
    softplus      y = log(1 + e^x)                        1 − e^−y
    softsign      y = x / (1 + |x|)                       (1 − |y|)²
    exponential   y = e^x                                 y
    hard_shrink   y = x, or 0 where |x| ≤ α               1 where |y| > α, else 0
    soft_shrink   y = x ∓ α, or 0 where |x| ≤ α           1 where y ≠ 0, else 0
    sparse_plus   y = 0, (x + 1)²/4 from −1, x from 1     √y, at most 1
    sparse_sigmoid  y = (x + 1) / 2, between 0 and 1      1/2 where 0 < y < 1, else 0
    squareplus    y = (x + √(x² + α)) / 2                 y² / (y² + α/4)
    softmax       y_i = e^x_i / Σj e^x_j (last axis)      dx_i = y_i · (dy_i − Σj dy_j·y_j)
    log_softmax   y_i = x_i − log Σj e^x_j (last axis)    dx_i = dy_i − e^y_i · Σj dy_j
    sparsemax     y_i = max(x_i − τ, 0), Σj y_j = 1       dx_i = 0, or dy_i − average dy_j where y_j > 0

These derivatives can be written with the output y, so a layer has to keep only that one array. The following
functions go down before they go up, so that two x have the same y, or their x is no short formula of y, and a
layer has to keep x. (σ is the sigmoid; Φ and φ the normal distribution and its density;
u = √(2/π) · (x + 0.044715·x³).)

    silu          y = x · σ(x)                            σ(x) · (1 + x·(1 − σ(x)))
    hard_silu     y = x · hard_sigmoid(x)                 0 for x ≤ −3, 1 for x ≥ 3, between (2x + 3) / 6
    gelu          y = x · Φ(x)                            Φ(x) + x·φ(x)
    gelu_tanh     y = x · (1 + tanh u) / 2                σ(2u) · (1 + x·(1 − σ(2u))·2u′)
    mish          y = x · tanh(softplus(x))               y/x + x·σ(x)·(1 − (y/x)²)
    tanh_shrink   y = x − tanh x                          tanh² x

Sources: scaled tanh: LeCun et al. 1998, appendix A, where 1 stays 1; ReLU: Nair & Hinton 2010; leaky ReLU:
Maas et al. 2013; ELU: Clevert et al. 2016; SELU: Klambauer et al. 2017, whose α and λ make mean 0 and
variance 1 a fixed point of the layer; CELU: Barron 2017; GELU and SiLU: Hendrycks & Gimpel 2016; SiLU as
swish: Ramachandran et al. 2017; hard SiLU: Howard et al. 2019; mish: Misra 2019;
sparsemax: Martins & Astudillo 2016; squareplus: Barron 2021; soft shrink: Donoho 1995.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastconv._core.checks import unknown_name
from fastconv.reference import ieee

Array = NDArray[np.float64]

SELU_ALPHA = 1.6732632423543772
SELU_SCALE = 1.0507009873554805
SQUASH_HEIGHT, SQUASH_RATE = 1.7159, 2 / 3
DEFAULT_ALPHA = {
    "leaky_relu": 0.2,
    "elu": 1.0,
    "celu": 1.0,
    "hard_shrink": 0.5,
    "soft_shrink": 0.5,
    "squareplus": 4.0,
}


def activation(x: ArrayLike, name: str, alpha: float | None = None) -> Array:
    """y = φ(x). ``alpha`` is the slope of leaky ReLU (0.2 if None), the depth of ELU and CELU (1 if None),
    the threshold of the shrinks (0.5 if None), what squareplus adds to x² (4 if None).
    """
    x = np.asarray(x, np.float64)
    if name in FUNCTIONS_OF_ROWS:
        return _along_last_axis(FUNCTIONS_OF_ROWS[name], x)
    if name not in FUNCTIONS:
        raise unknown_name("activation", name, [*FUNCTIONS, *FUNCTIONS_OF_ROWS])
    function, a = FUNCTIONS[name], _alpha(name, alpha)
    return np.array([function(value, a) for value in x.ravel().tolist()], np.float64).reshape(x.shape)


def activation_backward(
    dy: ArrayLike, y: ArrayLike | None, name: str, alpha: float | None = None, x: ArrayLike | None = None
) -> Array:
    """dx = dy · φ′, with φ′ written in terms of the output y = φ(x), or else of the input x."""
    dy = np.asarray(dy, np.float64)
    kept = np.asarray(x if name in SLOPES_OF_INPUT else y, np.float64)
    if name in BACKWARD_OF_ROWS:
        return _along_last_axis(BACKWARD_OF_ROWS[name], dy, kept)
    slopes = SLOPES | SLOPES_OF_INPUT
    if name not in slopes:
        raise unknown_name("activation", name, [*FUNCTIONS, *FUNCTIONS_OF_ROWS])
    slope, a = slopes[name], _alpha(name, alpha)
    pairs = zip(dy.ravel().tolist(), kept.ravel().tolist(), strict=True)
    return np.array([gradient * slope(value, a) for gradient, value in pairs], np.float64).reshape(dy.shape)


def _alpha(name: str, alpha: float | None) -> float:
    return DEFAULT_ALPHA.get(name, 0.0) if alpha is None else alpha


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


def log_softmax_of_row(row: list[float]) -> list[float]:
    largest = ieee.maximum(row)
    log_total = math.log(sum(ieee.exp(value - largest) for value in row))
    return [value - largest - log_total for value in row]


def _log_softmax_backward(dy: list[float], y: list[float]) -> list[float]:
    total = sum(dy)
    return [gradient - ieee.exp(value) * total for gradient, value in zip(dy, y, strict=True)]


def sparsemax(row: list[float]) -> list[float]:
    """The point nearest to x among those of which no number is negative and all add up to 1.

    τ follows from the k largest numbers, as many as stay above it: k·τ = their sum − 1.
    """
    largest = ieee.maximum(row)
    shifted = [value - largest for value in row]
    total, threshold = 0.0, math.nan
    for k, value in enumerate(sorted(shifted, reverse=True), 1):
        if not value > (total + value - 1) / k:
            break
        total += value
        threshold = (total - 1) / k
    return [ieee.maximum([value - threshold, 0.0]) for value in shifted]


def _sparsemax_backward(dy: list[float], y: list[float]) -> list[float]:
    among = [gradient for gradient, value in zip(dy, y, strict=True) if value != 0]
    average = ieee.divide(sum(among), len(among))
    return [0.0 if value == 0 else gradient - average for gradient, value in zip(dy, y, strict=True)]


def _between(least: float, most: float, x: float) -> float:
    """x, or the nearer of the two ends; of a NaN, NaN."""
    return least if x <= least else most if x >= most else x


def _elu(x: float, a: float) -> float:
    return x if x >= 0 else a * math.expm1(x)


def _hard_sigmoid(x: float) -> float:
    return _between(0.0, 6.0, x + 3) / 6


def softplus(x: float) -> float:
    """log(1 + e^x), rewritten so that e^x cannot overflow nor 1 + e^x lose a small e^x."""
    return (x if x > 0 else 0.0) + math.log1p(math.exp(-abs(x)))


def _normal_below(x: float) -> float:
    """Φ(x), how much of the normal distribution lies below x."""
    return math.erfc(-x / math.sqrt(2)) / 2


def _gelu_slope(x: float) -> float:
    return _normal_below(x) + x * math.exp(-x * x / 2) / math.sqrt(2 * math.pi)


def _gelu_tanh(x: float) -> float:
    """(1 + tanh u) / 2 is σ(2u), which keeps its digits where tanh u is near −1."""
    return x * sigmoid(math.sqrt(8 / math.pi) * (x + 0.044715 * x * x * x))


def _gelu_tanh_slope(x: float) -> float:
    x = _between(-16.0, 16.0, x)  # where the slope is 0 and 1, and x² no infinity
    gate = math.sqrt(8 / math.pi) * (x + 0.044715 * x * x * x)
    steepness = math.sqrt(8 / math.pi) * (1 + 3 * 0.044715 * x * x)
    return sigmoid(gate) * (1 + x * sigmoid(-gate) * steepness)


def _mish_slope(x: float) -> float:
    gate = math.tanh(softplus(x))
    return gate + x * sigmoid(x) * (1 - gate * gate)


def _soft_shrink(x: float, a: float) -> float:
    return 0.0 if abs(x) <= a else x - a if x > a else x + a


def _sparse_plus(x: float) -> float:
    return x if x >= 1 else _between(0.0, 2.0, x + 1) ** 2 / 4


def _squareplus(x: float, a: float) -> float:
    """Where x < 0 written as a quotient, in which nothing cancels."""
    y = abs(x) / 2 + math.hypot(x, math.sqrt(a)) / 2
    return a / 4 / y if x < 0 else y


def _squareplus_slope(y: float, a: float) -> float:
    ratio = ieee.divide(math.sqrt(a) / 2, y)
    return 0.0 if y <= 0 else 1 / (1 + ratio * ratio)


def _tanh_shrink(x: float) -> float:
    """The first digits of x − tanh x cancel where x is small: there the first terms of its series will do."""
    if not abs(x) < 0.05:
        return x - math.tanh(x)
    w, total = x * x, 0.0
    for term in (-21844 / 6081075, 1382 / 155925, -62 / 2835, 17 / 315, -2 / 15, 1 / 3):
        total = total * w + term
    return x * w * total


# Comparisons are arranged so that a NaN falls through to the branch that returns it.
FUNCTIONS: dict[str, Callable[[float, float], float]] = {
    "linear": lambda x, a: x,
    "relu": lambda x, a: 0.0 if x <= 0 else x,
    "relu6": lambda x, a: _between(0.0, 6.0, x),
    "leaky_relu": lambda x, a: a * x if x < 0 else x,
    "sigmoid": lambda x, a: sigmoid(x),
    "hard_sigmoid": lambda x, a: _hard_sigmoid(x),
    "log_sigmoid": lambda x, a: -softplus(-x),
    "tanh": lambda x, a: math.tanh(x),
    "scaled_tanh": lambda x, a: SQUASH_HEIGHT * math.tanh(SQUASH_RATE * x),
    "hard_tanh": lambda x, a: _between(-1.0, 1.0, x),
    "elu": _elu,
    "celu": lambda x, a: x if x >= 0 else a * math.expm1(x / a),
    "selu": lambda x, a: SELU_SCALE * _elu(x, SELU_ALPHA),
    "softplus": lambda x, a: softplus(x),
    "softsign": lambda x, a: x / (1 + abs(x)),
    "exponential": lambda x, a: ieee.exp(x),
    "hard_shrink": lambda x, a: 0.0 if abs(x) <= a else x,
    "soft_shrink": _soft_shrink,
    "sparse_plus": lambda x, a: _sparse_plus(x),
    "sparse_sigmoid": lambda x, a: _between(0.0, 2.0, x + 1) / 2,
    "squareplus": _squareplus,
    "silu": lambda x, a: x * sigmoid(x),
    "hard_silu": lambda x, a: x * _hard_sigmoid(x),
    "gelu": lambda x, a: x * _normal_below(x),
    "gelu_tanh": lambda x, a: _gelu_tanh(x),
    "mish": lambda x, a: x * math.tanh(softplus(x)),
    "tanh_shrink": lambda x, a: _tanh_shrink(x),
}
SLOPES: dict[str, Callable[[float, float], float]] = {
    "linear": lambda y, a: 1.0,
    "relu": lambda y, a: 1.0 if y > 0 else 0.0,
    "relu6": lambda y, a: 1.0 if 0 < y < 6 else 0.0,
    "leaky_relu": lambda y, a: 1.0 if y > 0 else a,
    "sigmoid": lambda y, a: y * (1 - y),
    "hard_sigmoid": lambda y, a: 1 / 6 if 0 < y < 1 else 0.0,
    "log_sigmoid": lambda y, a: -math.expm1(y),
    "tanh": lambda y, a: 1 - y * y,
    "scaled_tanh": lambda y, a: SQUASH_RATE * (SQUASH_HEIGHT - y * y / SQUASH_HEIGHT),
    "hard_tanh": lambda y, a: 1.0 if -1 < y < 1 else 0.0,
    "elu": lambda y, a: 1.0 if y > 0 else y + a,
    "celu": lambda y, a: 1.0 if y > 0 else y / a + 1,
    "selu": lambda y, a: SELU_SCALE if y > 0 else y + SELU_SCALE * SELU_ALPHA,
    "softplus": lambda y, a: -math.expm1(-y),
    "softsign": lambda y, a: (1 - abs(y)) ** 2,
    "exponential": lambda y, a: y,
    "hard_shrink": lambda y, a: 0.0 if abs(y) <= a else 1.0,
    "soft_shrink": lambda y, a: 0.0 if y == 0 else 1.0,
    "sparse_plus": lambda y, a: math.sqrt(_between(0.0, 1.0, y)),
    "sparse_sigmoid": lambda y, a: 0.5 if 0 < y < 1 else 0.0,
    "squareplus": _squareplus_slope,
}
SLOPES_OF_INPUT: dict[str, Callable[[float, float], float]] = {
    "silu": lambda x, a: sigmoid(x) * (1 + x * sigmoid(-x)),
    "hard_silu": lambda x, a: 1.0 if x >= 3 else 0.0 if x <= -3 else (2 * x + 3) / 6,
    "gelu": lambda x, a: _gelu_slope(x),
    "gelu_tanh": lambda x, a: _gelu_tanh_slope(x),
    "mish": lambda x, a: _mish_slope(x),
    "tanh_shrink": lambda x, a: math.tanh(x) ** 2,
}
FUNCTIONS_OF_ROWS: dict[str, Callable[..., list[float]]] = {
    "softmax": softmax,
    "log_softmax": log_softmax_of_row,
    "sparsemax": sparsemax,
}
BACKWARD_OF_ROWS: dict[str, Callable[..., list[float]]] = {
    "softmax": _softmax_backward,
    "log_softmax": _log_softmax_backward,
    "sparsemax": _sparsemax_backward,
}


def _along_last_axis(function: Callable[..., list[float]], *arrays: Array) -> Array:
    """Apply a function of rows to each row along the last axis."""
    shape = arrays[0].shape
    if arrays[0].size == 0:
        return np.empty(shape)
    rows = zip(*(array.reshape(-1, shape[-1]).tolist() for array in arrays), strict=True)
    return np.array([function(*row) for row in rows], np.float64).reshape(shape)
