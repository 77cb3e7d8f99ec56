"""A whole network at a glance: a column of small feature maps for each layer, and the probabilities.

As Stanford's course CS231n and A. Karpathy's ConvNetJS show their networks at work.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastconv.models.model import Model
from fastconv.parameter import Array
from fastconv.visualize._figure import (
    BETWEEN,
    COLORS,
    SMALL,
    WIDTH,
    enlarged,
    mosaic,
    new_figure,
    show_numbers,
)
from fastconv.visualize._inputs import names_of_classes, one_image
from fastconv.visualize._layer_maps import Maps, maps_of, probabilities, show_input, squares
from fastconv.visualize._layers import LayerLike

TALLEST, HEAD, GAP, INPUT, BARS, LETTER = 3.6, 0.9, 0.08, 1.1, 1.1, 0.075  # inches
PIXELS = 40  # of a tile: small maps are enlarged, that all tiles be alike
MOST_CLASSES = 10


def plot_activation_strip(
    model: Model,
    image: ArrayLike,
    class_names: Sequence[str] | None = None,
    layers: Iterable[LayerLike] | LayerLike | None = None,
    *,
    scale: str = "each",
    max_maps: int = 40,
    figure: Any = None,
) -> Any:
    """Draw all of a network at work on one image: a column of feature maps for each layer.

    Black is zero; where a layer has negative outputs too, blue is negative, white zero and red positive. A
    network that ends in a softmax has the probabilities of its classes on the right, in the order of the
    classes; of more than ten, the ten largest.

    Parameters
    ----------
    image : one image, as the model takes it: (H, W, C), (1, H, W, C) or, with one channel, (H, W)
    class_names : what the classes are called; their numbers where None
    layers : those to draw; all where None, but for those that do not change the picture, such as dropout
    scale : the strongest colour is the largest output of "each" feature map, or of "all" of a layer
    max_maps : draw the first so many feature maps of a layer

    Returns matplotlib's Figure; ``extract_features`` returns the arrays. Raises ValueError where the image,
    the class names or a layer do not suit the model.
    """
    batch = one_image(model, image)
    columns = maps_of(model, batch, layers, max_maps, scale)
    chances = probabilities(model, batch)
    if chances is not None:
        names = names_of_classes(class_names, len(chances))
        if layers is None:
            columns.pop()  # the bars show it
        words = LETTER * max(map(len, names)) + 0.2
    width = WIDTH if figure is None else figure.bbox.width / figure.dpi
    room = width - INPUT - (0.0 if chances is None else words + BARS) - GAP * (len(columns) + 3)
    tallest = TALLEST if figure is None else figure.bbox.height / figure.dpi - HEAD
    rows, tile = _best_tiles(columns, room, tallest)
    if hasattr(figure, "set_layout_engine"):
        figure.set_layout_engine("none")  # places are chosen here
    figure = new_figure(width, max(rows * tile, INPUT) + HEAD + GAP, figure=figure, arranged=False)
    height = figure.bbox.height / figure.dpi

    def place(left: float, wide: float, tall: float) -> Any:
        """Axes so many inches from the left, below the head."""
        return figure.add_axes(
            (left / width, (height - HEAD - tall) / height, wide / width, tall / height), anchor="NW"
        )

    left = GAP
    axes = place(left, INPUT, INPUT)
    show_input(axes, batch[0])
    _write_above(axes, "input")
    left += INPUT + GAP
    for maps in columns:
        across = _across(maps, rows)
        axes = place(left, across * tile, rows * tile)
        axes.set_facecolor(BETWEEN if maps.are_units else "none")
        show_numbers(axes, _column(maps, rows, across))
        shown = "" if len(maps.tiles) == maps.number else f" ({len(maps.tiles)} of {maps.number})"
        _write_above(axes, maps.title + shown, slant=35)
        left += across * tile + GAP
    if chances is not None:
        _bars(place(left + words, BARS, max(rows * tile, INPUT)), chances, names)
    return figure


def _across(maps: Maps, rows: int) -> int:
    """How many tiles wide the column of a layer is. Units, which are small squares, never need more."""
    return 1 if maps.are_units else math.ceil(len(maps.tiles) / rows)


def _best_tiles(columns: list[Maps], room: float, tallest: float) -> tuple[int, float]:
    """How many maps to put on top of each other, so that tiles are largest; and how large, in inches."""

    def size(rows: int) -> float:
        return min(room / max(sum(_across(maps, rows) for maps in columns), 1), tallest / rows)

    most = max((len(maps.tiles) for maps in columns if not maps.are_units), default=1)
    rows = max(range(1, most + 1), key=size)
    return rows, size(rows)


def _column(maps: Maps, rows: int, across: int) -> Array:
    """A layer as one image, filled downwards: ``rows`` tiles of equal size, or squares of the same height."""
    n, h, w = maps.tiles.shape
    if maps.are_units:
        side = math.ceil(math.sqrt(n / rows))  # squares in a row, and as many rows of them in a tile's height
        return squares(_filled(maps.tiles, math.ceil(n / side) * side), side)
    rows = math.ceil(n / across)  # of columns side by side, none is much longer
    times = max(PIXELS // max(h, w), 1)
    tiles = enlarged(_filled(maps.tiles, rows * across), times)
    downwards = tiles.reshape(across, rows, *tiles.shape[1:]).swapaxes(0, 1).reshape(tiles.shape)
    return mosaic(downwards, across, gap=max(times * max(h, w) // 20, 1))


def _filled(tiles: Array, number: int) -> Array:
    """So many tiles, those that are missing empty."""
    missing = np.full((number - len(tiles), *tiles.shape[1:]), np.nan, tiles.dtype)
    return np.concatenate([tiles, missing])


def _bars(axes: Any, chances: Array, names: list[str]) -> None:
    shown = np.sort(np.argsort(-chances, kind="stable")[:MOST_CLASSES])  # in the order of the units beside
    colors = [COLORS[0] if label == chances.argmax() else "0.75" for label in shown]
    axes.barh(range(len(shown)), chances[shown], color=colors)
    for place, label in enumerate(shown):
        axes.text(chances[label] + 0.02, place, f"{chances[label]:.0%}", va="center", fontsize=SMALL - 1)
    axes.set(xlim=(0, 1.35), xticks=[], ylim=(max(len(shown), 5) - 0.5, -0.5))
    axes.set_yticks(range(len(shown)), [names[label] for label in shown], fontsize=SMALL)
    axes.tick_params(length=0)
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    _write_above(axes, "probability")


def _write_above(axes: Any, text: str, slant: float = 0) -> None:
    """From the left upper corner on; slanting, long names fit above narrow columns."""
    axes.annotate(
        text,
        (0, 1),
        (3, 3),
        xycoords="axes fraction",
        textcoords="offset points",
        rotation=slant,
        rotation_mode="anchor",
        fontsize=SMALL - 1,
    )
