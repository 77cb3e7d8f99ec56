"""A handful of images, with something written above each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastconv.visualize._figure import WIDTH, new_figure, show_image


def images(x: ArrayLike, titles: Sequence[str] | None = None, columns: int = 8, *, figure: Any = None) -> Any:
    """Draw images (N, H, W), (N, H, W, 1) or (N, H, W, 3) side by side, ``columns`` in a row.

    Bytes and values in 0..1 are shown as they are, others are stretched to black and white, each image by
    itself. ``titles`` are written above. Returns matplotlib's Figure.

    Raises ValueError where there are no images, or not as many titles.
    """
    pictures = np.asarray(x)
    if pictures.ndim not in (3, 4) or len(pictures) == 0:
        raise ValueError(f"images must be (N, H, W), (N, H, W, 1) or (N, H, W, 3), got {pictures.shape}")
    if titles is not None and len(titles) != len(pictures):
        raise ValueError(f"there are {len(pictures)} images and {len(titles)} titles")
    columns = min(columns, len(pictures))
    rows = math.ceil(len(pictures) / columns)
    lines = max((title.count("\n") + 1 for title in titles), default=0) if titles is not None else 0
    side = min(WIDTH / columns, 2.0)  # few images need not fill the page
    tall = side * pictures.shape[1] / pictures.shape[2] + 0.15 * lines + 0.05
    figure = new_figure(columns * side, rows * tall, figure=figure)
    grid = figure.subplots(rows, columns, squeeze=False)
    for number, axes in enumerate(grid.flat):
        if number < len(pictures):
            show_image(axes, pictures[number], None if titles is None else titles[number])
        else:
            axes.set_axis_off()
    return figure
