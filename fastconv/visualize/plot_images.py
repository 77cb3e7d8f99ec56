"""A handful of images, with something written above each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastconv.layers._arguments import whole
from fastconv.visualize._figure import TITLE, WIDTH, fitted, new_figure, show_image, width_of

GAP = 0.05  # inches, between the titles of neighbours


def plot_images(
    x: ArrayLike,
    titles: Sequence[str] | None = None,
    columns: int = 8,
    *,
    title: str | None = None,
    figure: Any = None,
) -> Any:
    """Draw images (N, H, W), (N, H, W, 1) or (N, H, W, 3) side by side, ``columns`` in a row.

    Bytes and values in 0..1 are shown as they are, others are stretched to black and white, each image by
    itself. ``titles`` are written above the images, ``title`` above all. Returns matplotlib's Figure.

    Raises ValueError where x has another shape, or there are not as many titles.
    """
    pictures = np.asarray(x)
    if pictures.ndim not in (3, 4):
        raise ValueError(f"images must be (N, H, W), (N, H, W, 1) or (N, H, W, 3), got {pictures.shape}")
    if titles is not None and len(titles) != len(pictures):
        raise ValueError(f"there are {len(pictures)} images and {len(titles)} titles")
    columns = min(whole(columns, "columns"), max(len(pictures), 1))
    rows = math.ceil(len(pictures) / columns)
    side = min(WIDTH / columns, 2.0) if figure is None else width_of(figure) / columns
    titles = None if titles is None else [fitted(str(text), side - GAP) for text in titles]
    lines = max((text.count("\n") + 1 for text in titles or ()), default=0)
    tall = side * pictures.shape[1] / pictures.shape[2] + 0.15 * lines + 0.05
    width = max(columns * side, 3.0)  # few images need not fill the page
    head = 0.0 if title is None else 0.1 + 0.2 * (fitted(title, width, TITLE).count("\n") + 1)
    figure = new_figure(width, max(rows, 1) * tall + head, figure=figure, title=title)
    for number, picture in enumerate(pictures):
        axes = figure.add_subplot(rows, columns, number + 1)
        show_image(axes, picture, None if titles is None else titles[number])
    return figure
