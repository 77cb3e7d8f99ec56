"""The penalties on large weights."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastconv import _kernels, reference
from fastconv.ops import _door
from fastconv.ops._door import Array


def l1_l2_penalty(x: ArrayLike, l1: float, l2: float, grad: Array | None = None, scale: float = 1.0) -> float:
    """penalty = l1 · Σ|x_i| + l2 · Σ x_i²; in the same pass grad_i += scale · (l1 · sign x_i + 2 · l2 · x_i)

    ``grad`` is changed in place: where given, it must be a writeable, C-contiguous float32 array of x's shape
    (on the reference backend, float32 or float64). sign 0 is 0. Sums are taken in an order that does not
    depend on the number of threads.
    """
    x = _door.array(x, "x")
    if grad is not None:
        _check_grad(grad, x)
    if _door.on_reference():
        return reference.l1_l2_penalty(x, l1, l2, grad, scale)
    if not x.size:
        return 0.0
    factors = _door.number(l1, "l1"), _door.number(l2, "l2")
    slopes = None if grad is None else grad.reshape(-1)
    return _kernels.l1_l2_penalty(x.reshape(-1), *factors, slopes, _door.number(scale, "scale"))


def _check_grad(grad: Any, x: Array) -> None:
    allowed = (np.float32, np.float64) if _door.on_reference() else (np.float32,)
    if not isinstance(grad, np.ndarray) or grad.dtype not in allowed:
        got = f"dtype {grad.dtype}" if isinstance(grad, np.ndarray) else type(grad).__name__
        raise TypeError(f"grad is changed in place and must be a float32 array; got {got}")
    _door.check_shape(grad, "grad", x.shape, "that of x")
    if not (grad.flags.c_contiguous and grad.flags.aligned and grad.flags.writeable):
        raise ValueError("grad is changed in place and must be C-contiguous, aligned and writeable")
