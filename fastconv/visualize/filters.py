"""The filters of a convolution, as images: what each looks for."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv.layers import Conv2D
from fastconv.layers._arguments import whole
from fastconv.layers.layer import Layer
from fastconv.models.model import Model
from fastconv.parameter import Array
from fastconv.visualize._figure import (
    SMALL,
    WIDTH,
    as_colors,
    enlarged,
    even_columns,
    first_of,
    mosaic,
    new_figure,
    scaled,
    show_image,
    show_numbers,
)
from fastconv.visualize._layers import LayerLike, check_model, find_layer, layer_paths

TALLEST = 0.9  # inches, of one tile
PIXELS, GAP = 6, 5  # the side of a weight, and from one filter to the next


def filter_images(model: Model | Layer, layer: LayerLike | None = None) -> Array:
    """The kernel of a convolution as images, (filters, channels, KH, KW): a copy.

    Where ``connections`` leave a channel out of a filter, there is NaN.

    ``model`` is a model, with ``layer`` as one of its convolutions, the first where None; or the convolution
    itself. Raises ValueError where there is none, or it has no weights yet.
    """
    found = _convolution(model, layer)
    kernel, table = found.kernel.value, getattr(found, "table", None)
    if table is not None:  # (KH, KW, connections), by channel and then by filter
        dense = np.full((*kernel.shape[:2], *table.shape), np.nan, np.float32)
        dense[:, :, table] = kernel
        kernel = dense
    return np.ascontiguousarray(kernel.transpose(3, 2, 0, 1))


def plot_filters(
    model: Model | Layer,
    layer: LayerLike | None = None,
    *,
    scale: str = "each",
    max_filters: int = 64,
    max_channels: int = 16,
    figure: Any = None,
) -> Any:
    """Draw the filters of a convolution, the first of a model where ``layer`` is None.

    Over three channels each filter is an image in colours, grey where the weights are zero: what it looks for
    in an RGB image. Over one channel it is an image in blue (negative), white and red (positive). Over others
    there is a row for every channel and a column for every filter.

    Parameters
    ----------
    model : a model, or a convolution itself
    layer : a layer of the model
    scale : "each" draws the largest weight of each filter in the strongest colour, "all" the largest of all
    max_filters, max_channels : draw the first so many

    Returns matplotlib's Figure. Raises ValueError where there is no convolution, or it has no weights yet.
    """
    found, kernels = _convolution(model, layer), filter_images(model, layer)
    n, channels, kh, kw = kernels.shape
    shown = kernels[: whole(max_filters, "max_filters"), : whole(max_channels, "max_channels")]
    in_color = channels == shown.shape[1] == 3
    grid = channels > 1 and not in_color
    columns = min(len(shown), 32) if grid else even_columns(len(shown), 8 if len(shown) <= 32 else 16)
    shown = scaled(shown[:columns] if grid else shown, scale)
    if in_color:
        tiles = as_colors(shown.transpose(0, 2, 3, 1))
    else:  # a row for each channel
        tiles = shown.transpose(1, 0, 2, 3).reshape(-1, kh, kw)
    picture = mosaic(enlarged(tiles, PIXELS), columns, GAP)

    inch = min(WIDTH / picture.shape[1], TALLEST / (kh * PIXELS))  # of one pixel
    title = f"{found.name}: {first_of(len(shown), n, 'filter')} of {kh}×{kw}"
    if grid:
        title += f" (across) over {first_of(shown.shape[1], channels, 'channel')} (down)"
    figure = new_figure(
        max(inch * picture.shape[1], 4) + 0.4, inch * picture.shape[0] + 0.7, figure=figure, title=title
    )
    axes = figure.add_subplot()
    if in_color:
        show_image(axes, np.nan_to_num(picture, nan=1.0))  # white between the filters
    else:
        drawn = show_numbers(axes, picture, signed=True)
        if scale == "all":
            figure.colorbar(drawn, ax=axes, fraction=0.03, pad=0.02).ax.tick_params(labelsize=SMALL)
    if grid:
        _number(axes, columns, shown.shape[1], (kh * PIXELS, kw * PIXELS))
    return figure


def _number(axes: Any, columns: int, rows: int, size: tuple[int, int]) -> None:
    """Write the filters' numbers above and the channels' on the left, every fourth of many."""
    h, w = size
    for axis, count, length in ((axes.xaxis, columns, w), (axes.yaxis, rows, h)):
        which = range(0, count, 4 if count > 20 else 1)
        axis.set_ticks([n * (length + GAP) + (length - 1) / 2 for n in which], [str(n) for n in which])
    axes.tick_params(length=0, labelsize=SMALL, labeltop=True, labelbottom=False)


def _convolution(model: Model | Layer, layer: LayerLike | None) -> Conv2D:
    if isinstance(model, Model):
        check_model(model)
        paths = layer_paths(model)
        convolutions = {path: found for path, found in paths.items() if isinstance(found, Conv2D)}
        if layer is None and not convolutions:
            raise ValueError(f"{model} has no convolution")
        path = next(iter(convolutions)) if layer is None else find_layer(model, layer)
        if path not in convolutions:
            known = ", ".join(convolutions) or "none"
            raise ValueError(
                f"{paths[path]} is not a convolution and has no filters; the convolutions are {known}"
            )
        return convolutions[path]
    if layer is not None:
        raise TypeError(f"layer={layer!r} needs a model, {model!r} is not one")
    if not isinstance(model, Conv2D):
        raise TypeError(f"expected a model or a Conv2D layer, got {model!r}")
    if not model.built:
        raise ValueError(f"{model} has no weights yet: build it, or the model it is in")
    return model
