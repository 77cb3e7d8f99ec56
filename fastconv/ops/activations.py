"""Activations and their derivatives."""

from __future__ import annotations

from numpy.typing import ArrayLike

from fastconv import _kernels, reference
from fastconv._errors import unknown_name
from fastconv.ops import _door
from fastconv.ops._door import Array

ACTIVATIONS = (*_kernels.ACTIVATIONS, "softmax", "log_softmax")

# Their derivative is made of the input x: two x have the same y.
NEEDS_INPUT = ("silu", "hard_silu", "gelu", "gelu_tanh", "mish")

# What alpha is where none is given (Keras): the slope of leaky ReLU for x < 0, and how deep ELU and CELU go.
DEFAULT_ALPHA = {"leaky_relu": 0.2, "elu": 1.0, "celu": 1.0}

_ALONG_ROWS = {
    "softmax": (_kernels.softmax, _kernels.softmax_backward),
    "log_softmax": (_kernels.log_softmax, _kernels.log_softmax_backward),
}


def activation(x: ArrayLike, name: str, alpha: float | None = None) -> Array:
    """y = φ(x), element by element; softmax and log_softmax run along the last axis.

    ``name`` is one of ``ops.ACTIVATIONS``; their formulas are in ``fastconv/reference/activations.py``.
    ``alpha`` is the slope of leaky ReLU for x < 0 (0.2 if None) and the depth of ELU and CELU (1 if None);
    the others have none. Raises ValueError for another name, for a softmax of a single number, and for an
    ``alpha`` of CELU that is not positive.
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
    if alpha is not None and alpha < 0 and name in DEFAULT_ALPHA:
        raise ValueError(f"{name} can be derived from y only where alpha is not negative; got {alpha}")
    if _door.on_reference():
        return reference.activation_backward(dy, kept, name, alpha, kept)
    dx = _door.empty(kept.shape)
    if not kept.size:
        return dx
    if name in _ALONG_ROWS:
        _ALONG_ROWS[name][1](_rows(dy), _rows(kept), _rows(dx))
    else:
        kind = _kernels.ACTIVATIONS[name]
        _kernels.activation_backward(
            kind, _alpha(name, alpha), dy.reshape(-1), kept.reshape(-1), dx.reshape(-1)
        )
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
        _kernels.activation(_kernels.ACTIVATIONS[name], _alpha(name, alpha), x.reshape(-1), y.reshape(-1))
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
