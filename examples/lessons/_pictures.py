"""Pictures as convolution sees them: images, matrices with their numbers, frames around windows."""

from __future__ import annotations

from typing import Any

import numpy as np
from _figures import COLORS


def picture(axis: Any, image: np.ndarray, title: str = "", **imshow: Any) -> None:
    """An image (H, W), grey unless ``cmap`` says otherwise, with square pixels and no ticks."""
    axis.imshow(image, **{"cmap": "gray", "interpolation": "nearest", **imshow})
    bare(axis, title)


def matrix(
    axis: Any,
    values: np.ndarray,
    title: str = "",
    limit: float | None = None,
    size: float = 10,
    **imshow: Any,
) -> None:
    """A matrix (rows, columns) with its numbers: red above zero, blue below, nothing where one is NaN.

    ``limit`` is the number whose colour is the strongest, by default twice the largest, which keeps the
    numbers legible; ``size`` is that of the letters, in points.
    """
    values = np.asarray(values, np.float64)
    limit = limit or 2 * float(np.nanmax(np.abs(values))) or 1.0
    shown = {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit, "interpolation": "nearest", **imshow}
    axis.imshow(values, **shown)
    for row, column in np.argwhere(~np.isnan(values)):
        label = f"{values[row, column]:.4g}".replace("-", "−")
        axis.text(column, row, label, ha="center", va="center", fontsize=size)
        frame(axis, row, column, 1, 1, color="0.75", linewidth=0.6)
    bare(axis, title)


def frame(
    axis: Any,
    top: float,
    left: float,
    height: float,
    width: float,
    color: str = COLORS[1],
    linewidth: float = 2.5,
) -> None:
    """A rectangle around the pixels of rows ``top`` … and columns ``left`` …"""
    from matplotlib.patches import Rectangle

    corner = (left - 0.5, top - 0.5)
    axis.add_patch(
        Rectangle(corner, width, height, fill=False, edgecolor=color, linewidth=linewidth, clip_on=False)
    )


def bare(axis: Any, title: str = "") -> None:
    """No ticks, no grid, no spines: what is drawn speaks."""
    axis.set(xticks=[], yticks=[])
    axis.set_title(title, fontsize=10)
    axis.grid(False)
    axis.spines[:].set_visible(False)
