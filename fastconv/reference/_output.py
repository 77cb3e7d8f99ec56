"""Results written to arrays of the caller's."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

Array = NDArray[Any]


def written(result: Array, out: Array | None) -> Array:
    """``result``, copied to ``out`` where that is not None."""
    if out is None:
        return result
    out[...] = result
    return out
