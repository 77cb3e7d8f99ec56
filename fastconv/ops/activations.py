"""Activations and their derivatives."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from fastconv import _kernels, reference
from fastconv._core.checks import unknown_name
from fastconv.ops import _door
from fastconv.ops._door import Array

ACTIVATIONS = (*_kernels.ACTIVATIONS, "softmax", "log_softmax", "sparsemax")

# Their derivative is made of the input x: two x have the same y, or x is no short formula of y.
NEEDS_INPUT = ("silu", "hard_silu", "gelu", "gelu_tanh", "mish", "tanh_shrink")

# What alpha is where none is given (Keras): the slope of leaky ReLU for x < 0, how deep ELU and CELU go, the
# threshold of the shrinks, what squareplus adds to x².
DEFAULT_ALPHA = {
    "leaky_relu": 0.2,
    "elu": 1.0,
    "celu": 1.0,
    "hard_shrink": 0.5,
    "soft_shrink": 0.5,
    "squareplus": 4.0,
}


def _sparsemax(x: Array, y: Array) -> None:
    """y = max(x − τ, 0) of each row: τ follows from the k largest numbers, as many as stay above it."""
    with np.errstate(invalid="ignore", divide="ignore"):  # rows with NaN or infinity become NaN
        shifted = x - x.max(-1, keepdims=True)
        largest = -np.sort(-shifted, axis=-1)
        thresholds = (np.cumsum(largest, axis=-1, dtype=np.float64) - 1) / np.arange(1, x.shape[-1] + 1)
        count = (largest > thresholds).sum(-1, keepdims=True)
        threshold = np.take_along_axis(thresholds, np.maximum(count - 1, 0), axis=-1)
        np.maximum(shifted - threshold, 0, out=y, casting="same_kind")


def _sparsemax_backward(dy: Array, y: Array, dx: Array) -> None:
    """dx = dy less its average over the numbers that are not 0, for these."""
    among = y != 0
    average = (dy * among).sum(-1, keepdims=True, dtype=np.float64) / among.sum(-1, keepdims=True)
    dx[...] = np.where(among, dy - average, 0)


_ALONG_ROWS = {
    "softmax": (_kernels.softmax, _kernels.softmax_backward),
    "log_softmax": (_kernels.log_softmax, _kernels.log_softmax_backward),
    "sparsemax": (_sparsemax, _sparsemax_backward),
}


def activation(x: ArrayLike, name: str, alpha: float | None = None) -> Array:
    """y = φ(x), element by element; softmax, log_softmax and sparsemax run along the last axis.

    ``name`` is one of ``ops.ACTIVATIONS``; their formulas are in ``fastconv/reference/activations.py``.
    ``alpha`` is the slope of leaky ReLU for x < 0 (0.2 if None), the depth of ELU and CELU (1 if None), the
    threshold of hard_shrink and soft_shrink (0.5 if None), and what squareplus adds to x² (4 if None); the
    others have none. Raises ValueError for another name, for a softmax of a single number, for an ``alpha``
    of CELU that is not positive and for one of squareplus that is negative.
    """
    x = _door.array(x, "x")
    _check(name, x, alpha)
    if _door.on_reference():
        return reference.activation(x, name, alpha)
    return _activate(x, name, alpha, _door.empty(x.shape))


def activation_backward(
    dy: ArrayLike, y: ArrayLike | None, name: str, alpha: float | None = None, x: ArrayLike | None = None
) -> Array:
    """dx = dy · φ′(x), of the shape of dy.

    Most derivatives are made of the output y = φ(x) alone, those of ``ops.NEEDS_INPUT`` of the input ``x``;
    the other one of the two is not looked at and may be None.

    Raises ValueError where the one that is needed is missing, and for leaky ReLU and ELU with a negative
    ``alpha``: y then does not tell the sign of x.
    """
    needed, kept = ("x", x) if name in NEEDS_INPUT else ("y", y)
    if kept is None:
        if name in ACTIVATIONS:
            raise ValueError(f"the derivative of {name} is made of {needed}: give {needed}, not None")
        raise unknown_name("activation", name, ACTIVATIONS)
    dy, kept = _door.array(dy, "dy"), _door.array(kept, needed)
    _check(name, kept, alpha)
    _door.check_shape(dy, "dy", kept.shape, f"that of {needed}")
    if alpha is not None and alpha < 0 and name in ("leaky_relu", "elu"):
        raise ValueError(f"{name} can be derived from y only where alpha is not negative; got {alpha}")
    if _door.on_reference():
        return reference.activation_backward(dy, kept, name, alpha, kept)
    dx = _door.empty(kept.shape)
    if not kept.size:
        return dx
    if name in _ALONG_ROWS:
        _ALONG_ROWS[name][1](_rows(dy), _rows(kept), _rows(dx))
    else:
        _kernels.activation_backward(_kernels.ACTIVATIONS[name], _alpha(name, alpha), dy, kept, dx)
    return dx


def activate_result(y: Array, name: str, alpha: float | None = None) -> Array:
    """φ(y) for a fresh array that nobody else holds: its memory is used again."""
    _check(name, y, alpha)
    if name == "linear":
        return y
    return reference.activation(y, name, alpha) if _door.on_reference() else _activate(y, name, alpha, y)


def _activate(x: Array, name: str, alpha: float | None, y: Array) -> Array:
    if not x.size:
        return y
    if name in _ALONG_ROWS:
        _ALONG_ROWS[name][0](_rows(x), _rows(y))
    else:
        _kernels.activation(_kernels.ACTIVATIONS[name], _alpha(name, alpha), x, y)
    return y


def _alpha(name: str, alpha: float | None) -> float:
    return DEFAULT_ALPHA.get(name, 0.0) if alpha is None else _door.number(alpha, "alpha")


def _rows(x: Array) -> Array:
    return x.reshape(-1, x.shape[-1])


def _check(name: str, x: Array, alpha: float | None) -> None:
    if name not in ACTIVATIONS:
        raise unknown_name("activation", name, ACTIVATIONS)
    if name in _ALONG_ROWS and x.ndim == 0:
        raise ValueError(f"{name} runs along the last axis, but got a single number")
    if name == "celu" and alpha is not None and alpha <= 0:
        raise ValueError(f"celu divides by alpha, which must be positive; got {alpha}")
    if name == "squareplus" and alpha is not None and not alpha >= 0:
        raise ValueError(f"squareplus takes the root of alpha, which must not be negative; got {alpha}")
