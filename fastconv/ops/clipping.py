"""Gradient clipping: gradients that explode are made smaller, and training goes on.

An optimizer does this as part of its step (``clipvalue``, ``clipnorm``, ``global_clipnorm``); these functions
are for loops of your own. Equations are in ``fastconv/reference/clipping.py``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from fastconv import _kernels, reference
from fastconv.ops import _door
from fastconv.ops._door import Array
from fastconv.ops.update_arrays import UpdateOptions


def clip_by_value(grad: ArrayLike, limit: float) -> Array:
    """A copy of ``grad`` with every element between −limit and limit: [0.9, 100] becomes [0.9, 1] at limit 1.

    The direction may change. ``limit`` must be positive.
    """
    if _door.on_reference():
        return reference.clip_by_value(_door.array(grad, "grad"), _positive(limit, "limit"))
    return _clipped([grad], UpdateOptions(clipvalue=_positive(limit, "limit")))[0]


def clip_by_norm(grad: ArrayLike, norm: float) -> Array:
    """A copy of ``grad`` scaled so that its ℓ2 norm is at most ``norm``, a positive number.

    The direction stays: [0.9, 100] becomes [0.009, 0.99996] at norm 1.
    """
    if _door.on_reference():
        return reference.clip_by_norm(_door.array(grad, "grad"), _positive(norm, "norm"))
    return _clipped([grad], UpdateOptions(clipnorm=_positive(norm, "norm")))[0]


def clip_by_global_norm(grads: Sequence[ArrayLike], norm: float) -> list[Array]:
    """Copies of ``grads`` scaled alike so that the ℓ2 norm of all together is at most ``norm``.

    ``norm`` must be positive. All become NaN if one holds NaN or infinity.
    """
    if _door.on_reference():
        arrays = [_door.array(grad, f"grads[{i}]") for i, grad in enumerate(grads)]
        return reference.clip_by_global_norm(arrays, _positive(norm, "norm"))
    return _clipped(grads, UpdateOptions(global_clipnorm=_positive(norm, "norm")))


def _clipped(grads: Sequence[ArrayLike], options: UpdateOptions) -> list[Array]:
    arrays = [_door.array(grad, "grad") for grad in grads]
    clipped = [np.empty_like(grad) for grad in arrays]
    rows = [(None, grad, [out], None, None, False) for grad, out in zip(arrays, clipped, strict=True)]
    _kernels.prepare_step(_kernels.Parameters(rows), options, 0.0)
    return clipped


def _positive(value: float, name: str) -> float:
    if not value > 0:
        raise ValueError(f"{name} must be positive; got {value!r}")
    return _door.number(value, name)
