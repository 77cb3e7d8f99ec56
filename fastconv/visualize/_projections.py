"""Images, and signals at their pixels, as pictures side by side: gray, or white, is a signal of zero."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv.parameter import Array
from fastconv.visualize._figure import WIDTH, as_picture, show_image, show_numbers


def pictures(images: Array) -> Array:
    """Images (N, H, W, C) as pictures (N, H, W) or (N, H, W, 3) in 0..1, all stretched alike."""
    N, H, W, C = images.shape
    return as_picture(images.reshape(N * H, W, C)).reshape(N, H, W, *([C] if C > 1 else []))


def signed_pictures(signals: Array) -> Array:
    """Signals (N, H, W, C) as pictures: (N, H, W, 3) in 0..1, zero in the middle, or (N, H, W) in -1..1.

    Each has its own scale, for signals of different units have different ones: a hundredth of its numbers has
    full contrast. NaN stays. Raises ValueError where C is neither 1 nor 3.
    """
    if signals.shape[-1] not in (1, 3):
        raise ValueError(f"a picture has 1 or 3 channels, these images have {signals.shape[-1]}")
    sizes = np.nanquantile(np.abs(signals), 0.99, axis=(1, 2, 3), keepdims=True)
    scaled = np.clip(signals / np.where(sizes > 0, sizes, 1), -1, 1)
    return scaled[..., 0] if signals.shape[-1] == 1 else 0.5 + scaled / 2


def show_picture(axes: Any, picture: Array, title: str | None = None) -> None:
    """Draw one of these, (H, W) or (H, W, 3), white where it is NaN."""
    if picture.ndim == 2 and np.nanmin(picture) < 0:
        show_numbers(axes, picture, title, limit=1)
    else:
        show_image(axes, np.nan_to_num(picture, nan=1.0), title)


def grid_size(
    images: tuple[int, ...], rows: int, text: float = 0.2, beside: float = 0.0
) -> tuple[float, float]:
    """Width and height in inches of a figure with ``rows`` of these images (N, H, W, C) below each other,
    with so many inches of ``text`` above and of something else ``beside`` them.
    """
    side = min((WIDTH - beside) / images[0], 2.0)  # few images need not fill the page
    return images[0] * side + beside, rows * (side * images[1] / images[2]) + text
