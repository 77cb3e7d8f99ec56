"""Feature maps and single units alike."""

from __future__ import annotations

from fastconv.layers.layer import Layer
from fastconv.parameter import Array


def as_maps(y: Array, layer: Layer) -> Array:
    """The output of a layer as feature maps (N, H, W, C), a view; a unit of (N, units) is a map of one pixel.

    Raises ValueError for anything else.
    """
    if y.ndim == 2:
        return y[:, None, None, :]
    if y.ndim != 4:
        raise ValueError(
            f"{layer} has outputs {('N', *y.shape[1:])}, which are neither feature maps (N, H, W, C) nor "
            "units (N, units)"
        )
    return y
