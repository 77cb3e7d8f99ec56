"""Signals at the pixels as pictures: gray, or white, is zero."""

from __future__ import annotations

import numpy as np

from fastconv.parameter import Array
from fastconv.visualize._figure import as_picture, each_to_one


def signed_pictures(signals: Array) -> Array:
    """Signals (N, H, W, C) as pictures: (N, H, W, 3) in 0..1, zero in the middle, or (N, H, W) in -1..1.

    Each is divided by its own largest size: signals of different units have different scales.
    """
    scaled = each_to_one(signals)
    return scaled[..., 0] if signals.shape[-1] == 1 else 0.5 + scaled / 2


def pictures(images: Array) -> Array:
    """Images (N, H, W, C) as pictures (N, H, W) or (N, H, W, 3) in 0..1, all stretched alike."""
    N, H, W, C = images.shape
    return as_picture(images.reshape(N * H, W, C)).reshape(N, H, W, *([C] if C > 1 else []))
