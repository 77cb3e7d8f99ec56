"""Images, and below them how sure the model is of the class while a rectangle covers some of the pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import ArrayLike

from fastconv._core.geometry import Pair
from fastconv.models import Model
from fastconv.visualize._figure import SMALL
from fastconv.visualize._per_image import as_batch, per_image
from fastconv.visualize._projections import image_grid, pictures, show_picture
from fastconv.visualize._scores import class_titles
from fastconv.visualize.occlusion import occlusion


def plot_occlusion(
    model: Model,
    x: ArrayLike,
    size: int | Pair = 8,
    stride: int | Pair = 1,
    fill: float | Sequence[float] | None = None,
    label: int | ArrayLike | None = None,
    classes: Sequence[str] | None = None,
    *,
    figure: Any = None,
) -> Any:
    """Images side by side, with their class and the model's output for it; below them, ``occlusion``.

    A pixel of the lower picture is the output for the class when the rectangle covers that place, on a scale
    from 0 to 1: dark places are those that the model cannot do without. ``classes`` are names for the
    numbers; the other arguments are those of ``occlusion``, and x may be a single image. Returns matplotlib's
    figure.

    Raises ImportError where matplotlib is missing; else as ``occlusion``.
    """
    images, _ = as_batch(model, x)
    labels, titles = class_titles(model, images, per_image(label, "label", (len(images),)), classes)
    maps = occlusion(model, images, size, stride, fill, labels)
    figure, grid = image_grid(figure, images.shape, 2, titles, beside=0.8)
    for axes, picture in zip(grid[:, 0], pictures(images), strict=True):
        show_picture(axes, picture)
    for axes, heat in zip(grid[:, 1], maps, strict=True):
        drawn = axes.imshow(
            heat, cmap="viridis", vmin=0, vmax=1, extent=(0, images.shape[2], images.shape[1], 0)
        )
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
    bar = figure.colorbar(drawn, ax=grid.ravel().tolist(), aspect=12)
    bar.set_label("output for the class\nwith this place covered", fontsize=SMALL)
    bar.ax.tick_params(labelsize=SMALL)
    return figure
