"""Images, and below them what a unit sees in them."""

from __future__ import annotations

from typing import Any

from numpy.typing import ArrayLike

from fastconv.models import Model
from fastconv.visualize._layers import LayerLike, find_layer
from fastconv.visualize._per_image import as_batch
from fastconv.visualize._projections import COLUMNS, image_grid, pictures, show_picture, signed_pictures
from fastconv.visualize.deconvnet import deconvnet


def plot_deconvnet(
    model: Model,
    layer: LayerLike,
    x: ArrayLike,
    map: int | ArrayLike | None = None,
    unit: tuple[int, int] | ArrayLike | None = None,
    modes: tuple[str, ...] = ("deconvnet",),
    *,
    figure: Any = None,
) -> Any:
    """Images side by side, and below them what ``deconvnet`` gives in each of the ``modes``.

    Each projection is brought to its own full contrast. In color, gray is zero; of gray images, white is
    zero, red positive and blue negative. ``modes=visualize.MODES`` shows all of them. The other arguments are
    those of ``deconvnet``; x may be a single image. Returns matplotlib's figure.

    Raises ImportError where matplotlib is missing; else as ``deconvnet``.
    """
    images, _ = as_batch(model, x)
    rows = {"image": pictures(images)}
    for mode in modes:
        rows[mode] = signed_pictures(deconvnet(model, layer, images, map, unit, mode))
    figure, grid = image_grid(figure, images.shape, len(rows), title=find_layer(model, layer), beside=0.3)
    for n, below in enumerate(grid):
        for axes, (name, row) in zip(below, rows.items(), strict=True):
            show_picture(axes, row[n])
            if n % COLUMNS == 0:
                axes.set_ylabel(name)
    return figure
