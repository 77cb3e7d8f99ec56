"""An image on its way through a network, layer by layer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from numpy.typing import ArrayLike

from fastconv.models.model import Model
from fastconv.parameter import Array
from fastconv.visualize._figure import (
    BETWEEN,
    SMALL,
    WIDTH,
    even_columns,
    largest,
    mosaic,
    new_figure,
    show_numbers,
)
from fastconv.visualize._inputs import one_image
from fastconv.visualize._layer_maps import SQUARE, Maps, maps_of, show_input, squares
from fastconv.visualize._layers import LayerLike

INPUT, LARGEST_TILE, TITLE_HEIGHT = 1.2, 0.9, 0.3  # inches
UNITS_IN_A_ROW = 60


def plot_feature_maps(
    model: Model,
    image: ArrayLike,
    layers: Iterable[LayerLike] | LayerLike | None = None,
    *,
    scale: str = "all",
    max_maps: int = 32,
    figure: Any = None,
) -> Any:
    """Draw an image and, below it, what each layer makes of it, one after the other.

    Black is zero; where a layer has negative outputs too, blue is negative, white zero and red positive. The
    units of dense layers, which are no images, are a line of small squares.

    Parameters
    ----------
    image : one image, as the model takes it: (H, W, C), (1, H, W, C) or, with one channel, (H, W)
    layers : those to draw; all where None, but for those that do not change the picture, such as dropout
    scale : the strongest colour is the largest output of "each" feature map, or of "all" of a layer
    max_maps : draw the first so many feature maps of a layer

    Returns matplotlib's Figure; ``extract_features`` returns the arrays. Raises ValueError where the image or
    a layer is not of this model.
    """
    batch = one_image(model, image)
    rows = maps_of(model, batch, layers, max_maps, scale)
    pictures = [_picture(maps) for maps in rows]
    heights = [INPUT, *(height for _, height in pictures)]
    figure = new_figure(WIDTH, sum(heights) + TITLE_HEIGHT * len(heights), figure=figure)
    grid = figure.subplots(len(heights), 1, squeeze=False, gridspec_kw={"height_ratios": heights})[:, 0]
    show_input(grid[0], batch[0])
    grid[0].set_title("input", loc="left", fontsize=SMALL)
    for axes, maps, (picture, _) in zip(grid[1:], rows, pictures, strict=True):
        axes.set_facecolor(BETWEEN if maps.are_units else "none")
        show_numbers(axes, picture)
        axes.set_anchor("W")
        axes.set_title(f"{maps.title} · {maps.how_many} · {_range(maps.tiles)}", loc="left", fontsize=SMALL)
    return figure


def _range(numbers: Array) -> str:
    """``values up to 2.42``, or ``values up to ±2.42``: what the strongest colour stands for."""
    return f"values up to {'±' if (numbers < 0).any() else ''}{largest(numbers):.3g}"


def _picture(maps: Maps) -> tuple[Array, float]:
    """All of a layer as one image, and how tall it is in inches."""
    n, h, w = maps.tiles.shape
    if maps.are_units:
        picture = squares(maps.tiles, even_columns(n, UNITS_IN_A_ROW))
        inch = WIDTH / UNITS_IN_A_ROW / SQUARE
    else:
        picture = mosaic(maps.tiles, even_columns(n, 8 if n <= 8 else 20))
        inch = min(WIDTH / picture.shape[1], LARGEST_TILE / max(h, w))
    return picture, inch * picture.shape[0]
