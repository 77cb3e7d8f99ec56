"""The patches that activate a few feature maps most, beside their projections."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastconv.models import Model
from fastconv.parameter import Array
from fastconv.visualize._figure import SMALL, fitted, mosaic, new_figure, width_of
from fastconv.visualize._layers import LayerLike
from fastconv.visualize._projections import pictures, show_picture, signed_pictures
from fastconv.visualize.deconvnet import deconvnet
from fastconv.visualize.patches import cut_patches
from fastconv.visualize.top_activations import TopActivations, top_activations

GAP = 0.1  # inches, between the titles of neighbours


def plot_top_activations(
    model: Model,
    layer: LayerLike,
    x: ArrayLike,
    maps: int | Sequence[int] = 6,
    count: int = 9,
    mode: str = "deconvnet",
    columns: int = 3,
    *,
    top: TopActivations | None = None,
    figure: Any = None,
) -> Any:
    """For each feature map, on the right what its ``count`` strongest units see, on the left projections.

    A projection is that of ``deconvnet``, each brought to its own full contrast. In color, gray is zero; of
    gray images, white is zero, red positive and blue negative. Patches show the unit's receptive field, empty
    beyond the image's border.

    Parameters
    ----------
    maps : which feature maps of the layer; a number takes so many of the strongest
    mode : what ReLU does on the way back, as in ``deconvnet``
    columns : feature maps side by side
    top : what ``top_activations(model, layer, x)`` returned, to use it again; ``count`` is then its own
    figure : matplotlib's figure to draw in; a new one where None

    Returns the figure. Raises ImportError where matplotlib is missing; else as ``top_activations`` and
    ``deconvnet``.

    Zeiler & Fergus 2013, "Visualizing and Understanding Convolutional Networks", figure 2.
    """
    if top is None:
        top = top_activations(model, layer, x, count)
    chosen = top.strongest_maps(maps) if isinstance(maps, int) else np.asarray(maps)
    columns = min(columns, len(chosen))
    rows = math.ceil(len(chosen) / columns)
    tiles = math.ceil(math.sqrt(top.values.shape[1]))
    blocks = [_block(model, layer, top, m, mode) for m in chosen.tolist()]
    h, w = blocks[0][0].shape[1:3]
    width = width_of(figure)
    side = width / columns
    titles = [
        fitted(f"feature map {m}: activations {values[0]:.3g} to {values[-1]:.3g}", side - GAP)
        for m, values in zip(chosen.tolist(), top.values[chosen], strict=True)
    ]
    lines = max(title.count("\n") + 1 for title in titles)
    tall = side / 2 * h / w * math.ceil(top.values.shape[1] / tiles) / tiles + 0.07 + 0.15 * lines
    figure = new_figure(width, rows * tall + 0.3, figure=figure, title=_title(top))
    for part, title, (signals, patches) in zip(
        figure.subfigures(rows, columns, squeeze=False).flat, titles, blocks, strict=False
    ):
        left, right = part.subplots(1, 2)
        show_picture(left, mosaic(signals, tiles))
        show_picture(right, mosaic(patches, tiles))
        part.suptitle(title, fontsize=SMALL)
    return figure


def _block(model: Model, layer: LayerLike, top: TopActivations, m: int, mode: str) -> tuple[Array, Array]:
    """(projections, patches) of the strongest units of feature map m, as pictures, empty beyond the image."""
    images = top.x[top.images[m]]
    signals = deconvnet(model, layer, images, map=m, unit=top.positions[m], mode=mode)
    cut_signals, seen = (
        cut_patches(whole, top.boxes[m], fill=np.nan) for whole in (signals, pictures(images))
    )
    return signed_pictures(cut_signals), seen


def _title(top: TopActivations) -> str:
    h, w = (top.boxes[0, 0, 2:] - top.boxes[0, 0, :2]).tolist()
    return (
        f"{top.layer}: the patches of {h}×{w} pixels that activate it most, and on their left the projections"
    )
