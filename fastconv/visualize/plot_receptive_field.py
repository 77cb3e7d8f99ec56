"""What units of a network see of an image, as boxes on it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastconv.models.model import Model
from fastconv.models.receptive_field import receptive_field as field_of
from fastconv.visualize._figure import COLORS, SMALL, as_picture, fitted, new_figure, show_image, width_of
from fastconv.visualize._inputs import one_image
from fastconv.visualize._layers import LayerLike, find_layer, layer_paths

Unit = tuple[int, int]
Box = tuple[int, int, int, int]

WHOLE, BESIDE = 4.0, 1.6  # inches: the width of the image, and of what is seen of it


def boxes(
    model: Model, layers: Iterable[LayerLike] | LayerLike, units: Sequence[Unit] | Unit | None = None
) -> dict[tuple[str, Unit], Box]:
    """{(path of the layer, unit): (top, left, bottom, right)} of the pixels that each unit sees.

    ``units`` are (row, column) in the layers' feature maps; where None, the middle one of each.
    """
    listed: Any = layers if isinstance(layers, Iterable) and not isinstance(layers, str) else [layers]
    paths = layer_paths(model)
    found = {}
    for which in listed:
        path = find_layer(model, which)
        field = field_of(model, paths[path])
        for unit in _units(units, field.map_size):
            found[path, unit] = field.box(*unit)
    return found


def plot_receptive_field(
    model: Model,
    layers: Iterable[LayerLike] | LayerLike,
    image: ArrayLike,
    units: Sequence[Unit] | Unit | None = None,
    *,
    figure: Any = None,
) -> Any:
    """Draw an image with the receptive fields of units as boxes, and beside it what lies in each box.

    Parameters
    ----------
    layers : one layer or several, by name, place or itself: a colour for each
    image : one image, as the model takes it: (H, W, C), (1, H, W, C) or, with one channel, (H, W)
    units : (row, column) in the layers' feature maps, or several such pairs; the middle one where None

    Returns matplotlib's Figure; the boxes are those of ``fastconv.models.receptive_field``. Raises ValueError
    for an unknown layer or a wrong image, IndexError for a unit outside the feature map.
    """
    pixels = as_picture(one_image(model, image)[0])  # before it is cut, so that cuts are no brighter
    found = boxes(model, layers, units)
    if not found:
        raise ValueError("layers or units is empty: give at least one layer and one unit")
    order = list(dict.fromkeys(path for path, _ in found))
    rows = min(len(found), 4)
    columns = -(-len(found) // rows)
    room = BESIDE if figure is None else BESIDE * width_of(figure) / (WHOLE + BESIDE * columns)
    figure = new_figure(WHOLE + BESIDE * columns, 4, figure=figure)
    from matplotlib.patches import Rectangle  # after new_figure, which says what to install if there is none

    grid = figure.add_gridspec(rows, 1 + columns, width_ratios=[WHOLE, *[BESIDE - 0.2] * columns])
    whole_image = figure.add_subplot(grid[:, 0])
    show_image(whole_image, pixels)
    for number, ((path, unit), (top, left, bottom, right)) in enumerate(found.items()):
        color = COLORS[order.index(path) % len(COLORS)]
        frame = Rectangle((left - 0.5, top - 0.5), right - left, bottom - top, fill=False, clip_on=False)
        frame.set(edgecolor=color, linewidth=2)
        frame.set_zorder(2 + 1 / ((bottom - top) * (right - left)))  # smaller ones on top of larger ones
        whole_image.add_patch(frame)
        axes = figure.add_subplot(grid[number % rows, 1 + number // rows])
        title = fitted(f"{path}, unit {unit}: {bottom - top}×{right - left}", room)
        show_image(axes, pixels[top:bottom, left:right], title)
        axes.spines[:].set(visible=True, color=color, linewidth=2)
        axes.title.set_fontsize(SMALL)
    return figure


def _units(units: Sequence[Unit] | Unit | None, map_size: Unit) -> list[Unit]:
    if units is None:
        return [(map_size[0] // 2, map_size[1] // 2)]
    pairs = np.asarray(units)
    if pairs.dtype.kind not in "iu" or pairs.shape[-1:] != (2,) or pairs.ndim > 2:
        raise ValueError(f"a unit is (row, column) in a layer's feature map; got {units!r}")
    return [(int(i), int(j)) for i, j in pairs.reshape(-1, 2)]
