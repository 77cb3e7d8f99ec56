"""What to say when an array does not fit a layer: expected, got, and the likely remedy."""

from __future__ import annotations

import math
from collections.abc import Sequence


def input_shape_error(layer: object, expected: Sequence[int | str], got: Sequence[int | None]) -> ValueError:
    """A ValueError for an input of shape ``got``; both shapes have the batch axis.

    >>> raise input_shape_error("Conv2D 'conv2d_1'", ("N", "H", "W", 1), (32, 28, 28))
    ValueError: Conv2D 'conv2d_1' expects input (N, H, W, 1), got (32, 28, 28): add the channel axis with x[..., None]
    """
    remedy = _remedy(expected, got)
    return ValueError(
        f"{layer} expects input {_show(expected)}, got {_show(got)}" + (f": {remedy}" if remedy else "")
    )


def _show(shape: Sequence[int | str | None]) -> str:
    axes = ["N" if n is None else str(n) for n in shape]
    return f"({', '.join(axes)}{',' if len(axes) == 1 else ''})"


def _remedy(expected: Sequence[int | str], got: Sequence[int | None]) -> str | None:
    last = expected[-1]
    if len(expected) == 4:
        if len(got) == 3:
            if got[-1] == last:
                return "add the batch axis with x[None]"
            return "add the channel axis with x[..., None]" if last in (1, "C") else None
        if len(got) == 2:
            return "these are flat vectors: restore the images with x.reshape(-1, height, width, channels)"
        if len(got) == 4 and got[1] == last:
            return "this looks like channels first (NCHW): move them last with np.moveaxis(x, 1, -1)"
        if len(got) == 4 and isinstance(last, int):
            return f"the last axis must hold {last} channel{'s' if last > 1 else ''}, it holds {got[-1]}"
    if len(expected) == 2 and isinstance(last, int):
        rest = [n for n in got[1:] if n is not None]
        if len(got) == 1 and got[0] == last:
            return "add the batch axis with x[None]"
        if len(got) > 2 and math.prod(rest) == last:
            return "flatten the examples first, with a Flatten() layer or x.reshape(len(x), -1)"
    return None
