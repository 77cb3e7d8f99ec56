"""The leaky rectifier with learned slopes, and its gradients."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from fastconv import _kernels, reference
from fastconv.ops import _door
from fastconv.ops._door import Array


def prelu(x: ArrayLike, alpha: ArrayLike) -> Array:
    """y = x, or α·x where x < 0

    x is (N, ...); ``alpha`` has the shape of one example, with 1 for axes along which its slopes are shared:
    for images (H, W, C), or (1, 1, C) for one slope a channel. Raises ValueError for another shape.
    """
    x, alpha = _checked(x, alpha)
    if _door.on_reference():
        return reference.prelu(x, alpha)
    y = _door.empty(x.shape)
    if y.size:
        slopes = _slopes(alpha, x.shape)
        _kernels.prelu(x.reshape(-1, slopes.size), slopes.reshape(-1), y.reshape(-1, slopes.size))
    return y


def prelu_backward(dy: ArrayLike, x: ArrayLike, alpha: ArrayLike) -> tuple[Array, Array]:
    """(dx, dalpha): dx = dy, or α·dy where x is not positive; dalpha = Σ dy·x over where x < 0 and α is
    shared.
    """
    dy = _door.array(dy, "dy")
    x, alpha = _checked(x, alpha)
    _door.check_shape(dy, "dy", x.shape, "that of x")
    if _door.on_reference():
        return reference.prelu_backward(dy, x, alpha)
    dx = _door.empty(x.shape)
    if not x.size:
        return dx, np.zeros_like(alpha)
    slopes = _slopes(alpha, x.shape)
    columns = slopes.size
    dslopes = _door.empty(slopes.shape)
    _kernels.prelu_backward(
        dy.reshape(-1, columns), x.reshape(-1, columns), slopes.reshape(-1), dx.reshape(-1, columns),
        dslopes.reshape(-1),
    )  # fmt: skip
    repeated = tuple(i for i in range(alpha.ndim) if alpha.shape[i] != slopes.shape[i])
    return dx, dslopes.sum(axis=repeated, keepdims=True).reshape(alpha.shape) if repeated else dslopes


def _slopes(alpha: Array, x_shape: tuple[int, ...]) -> Array:
    """``alpha`` written out for the columns that the kernel knows: leading shared axes count as rows of x,
    along with the batch; what is shared further in is repeated.
    """
    shared = 0
    while shared < alpha.ndim - 1 and alpha.shape[shared] == 1:
        shared += 1
    shape = (1,) * shared + x_shape[1 + shared :]
    return np.ascontiguousarray(np.broadcast_to(alpha, shape))


def _checked(x: ArrayLike, alpha: ArrayLike) -> tuple[Array, Array]:
    x, alpha = _door.array(x, "x"), _door.array(alpha, "alpha")
    example = x.shape[1:]
    fits = x.ndim >= 2 and alpha.ndim == len(example)
    if not fits or any(a not in (1, n) for a, n in zip(alpha.shape, example, strict=True)):
        raise ValueError(
            f"alpha must have the shape of one example of x, with 1 where its slopes are shared; got alpha "
            f"{alpha.shape} for x {x.shape}"
        )
    return x, alpha
