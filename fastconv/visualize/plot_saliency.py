"""Images, and below them which pixels the class score depends on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastconv.models import Model
from fastconv.visualize._figure import show_numbers
from fastconv.visualize._per_image import as_batch, per_image
from fastconv.visualize._projections import image_grid, pictures, show_picture
from fastconv.visualize._scores import class_titles
from fastconv.visualize.saliency import saliency


def plot_saliency(
    model: Model,
    x: ArrayLike,
    label: int | ArrayLike | None = None,
    classes: Sequence[str] | None = None,
    samples: int = 0,
    mode: str = "gradient",
    *,
    figure: Any = None,
) -> Any:
    """Images side by side, with their class and the model's output for it; below them the ``saliency``.

    Bright pixels are those whose change would change the score most. Each image has a scale of its own, on
    which the largest half percent of the pixels are white. ``classes`` are names for the numbers; the other
    arguments are those of ``saliency``, and x may be a single image. Returns matplotlib's figure.

    Raises ImportError where matplotlib is missing; else as ``saliency``.
    """
    images, _ = as_batch(model, x)
    labels, titles = class_titles(model, images, per_image(label, "label", (len(images),)), classes)
    maps = saliency(model, images, labels, mode, samples)
    figure, grid = image_grid(figure, images.shape, 2, titles)
    for axes, picture in zip(grid[:, 0], pictures(images), strict=True):
        show_picture(axes, picture)
    for axes, heat in zip(grid[:, 1], maps, strict=True):
        show_numbers(axes, heat, limit=float(np.quantile(heat, 0.995)) or None)
    return figure
