"""Images, and signals at their pixels, as pictures side by side: gray, or white, is a signal of zero."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastconv.parameter import Array
from fastconv.visualize._figure import (
    SMALL,
    as_picture,
    fitted,
    new_figure,
    show_image,
    show_numbers,
    width_of,
)

COLUMNS = 8
GAP = 0.05  # inches, between the titles of neighbours
NOTHING = (0.84, 0.9, 0.96)  # a pale blue between tiles and beyond images: white is a color of theirs


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


def show_picture(axes: Any, picture: Array) -> None:
    """Draw one of these, (H, W) or (H, W, 3); where it is NaN, there is nothing."""
    if picture.ndim == 2 and np.nanmin(picture) < 0:
        show_numbers(axes, picture, limit=1)
        axes.set_facecolor(NOTHING)
    else:
        colors = picture if picture.ndim == 3 else np.repeat(picture[..., None], 3, axis=2)
        show_image(axes, np.where(np.isnan(colors), np.asarray(NOTHING, np.float32), colors))


def image_grid(
    figure: Any,
    images: tuple[int, ...],
    rows: int,
    titles: Sequence[str] = ("",),
    *,
    title: str | None = None,
    beside: float = 0.0,
) -> tuple[Any, Any]:
    """(figure, axes): for each of the images (N, H, W, C) ``rows`` axes below each other, (N, rows), at most
    ``COLUMNS`` images side by side.

    ``titles`` are written above the images, ``title`` above all. ``beside`` inches are free for something at
    the side. Raises ValueError where there are no images.
    """
    count, H, W, _ = images
    if not count:
        raise ValueError(f"there are no images to draw: their shape is {images}")
    columns = min(count, COLUMNS)
    lines = math.ceil(count / columns)
    side = (width_of(figure) - beside) / columns
    if figure is None:
        side = min(side, 2.0)  # few images need not fill the page
    titles = [fitted(text, side - GAP) for text in titles]
    above = 0.05 + 0.15 * max(text.count("\n") + 1 for text in titles)
    height = lines * (rows * side * H / W + above) + (0.3 if title else 0)
    figure = new_figure(columns * side + beside, height, figure=figure, title=title)
    grid = figure.subplots(lines * rows, columns, squeeze=False)
    axes = grid.reshape(lines, rows, columns).swapaxes(1, 2).reshape(-1, rows)
    for unused in axes[count:].flat:
        unused.set_axis_off()
    for top, text in zip(axes[:, 0], titles, strict=False):
        top.set_title(text, fontsize=SMALL)
    return figure, axes[:count]
