"""Where in an image the evidence for a class is: cover it bit by bit, and see when the class goes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from fastconv._core.geometry import Pair, pair
from fastconv.layers._arguments import whole
from fastconv.models import Model
from fastconv.ops import _door
from fastconv.parameter import Array
from fastconv.visualize._per_image import as_batch, per_image
from fastconv.visualize._scores import chosen_labels


def occlusion(
    model: Model,
    x: ArrayLike,
    size: int | Pair = 8,
    stride: int | Pair = 1,
    fill: float | Sequence[float] | None = None,
    label: int | ArrayLike | None = None,
    batch_size: int = 128,
) -> Array:
    """The model's output for a class while a gray rectangle covers part of the image: low where the evidence
    is. (⌈H / stride⌉, ⌈W / stride⌉) for an image (H, W, C), with an N in front for images (N, H, W, C).

    heat[i, j] is what the model says with the middle of the rectangle upon the middle of the ``stride``
    pixels from row i · stride and column j · stride on. What of it lies beyond the border is cut off.

    Parameters
    ----------
    size : of the rectangle, a whole number or (height, width)
    stride : how far it moves, likewise; 1 gives a map with a number for each pixel
    fill : what it is filled with, one number or one a channel; None for each image's mean color
    label : which class, one number or one for each image; None for the one the model says uncovered
    batch_size : how many covered images are predicted at a time

    Raises ValueError where the model is not built, does not put out one number a class, or there is NaN.

    Zeiler & Fergus 2013, "Visualizing and Understanding Convolutional Networks", section 4.2.
    """
    images, single = as_batch(model, x)
    size, stride = pair(size, "size"), pair(stride, "stride")
    batch_size = whole(batch_size, "batch_size")
    labels = per_image(label, "label", (len(images),))
    if fill is not None and np.shape(fill) not in ((), images.shape[3:]):
        raise ValueError(
            f"fill must be a number, or one for each of {images.shape[3]} channels; got {fill!r}"
        )
    boxes = covering_boxes(images.shape[1:3], size, stride)
    maps = np.empty((len(images), *boxes.shape[:2]), _door.dtype())
    for n, image in enumerate(images):
        image = _door.array(image, "x")
        whole_image = _predict(model, image[None], n)
        chosen = chosen_labels(model, whole_image, None if labels is None else labels[n : n + 1])
        color = image.mean(axis=(0, 1)) if fill is None else fill
        heat = maps[n].reshape(-1)
        for start in range(0, len(heat), batch_size):
            part = boxes.reshape(-1, 4)[start : start + batch_size]
            covered = np.repeat(image[None], len(part), axis=0)
            for copy, (top, left, bottom, right) in zip(covered, part.tolist(), strict=True):
                copy[top:bottom, left:right] = color
            heat[start : start + batch_size] = _predict(model, covered, n)[:, chosen[0]]
    return maps[0] if single else maps


def covering_boxes(image: Pair, size: Pair, stride: Pair) -> Array:
    """(rows, columns, 4): top, left, bottom, right of the rectangles of ``occlusion``, cut at the border."""
    edges = []
    for pixels, side, step in zip(image, size, stride, strict=True):
        first = np.arange(0, pixels, step) + (step - side) // 2
        edges.append((first.clip(0, pixels), (first + side).clip(0, pixels)))
    (top, bottom), (left, right) = edges
    grid = np.broadcast_arrays(top[:, None], left[None], bottom[:, None], right[None])
    return np.stack(grid, axis=-1)


def _predict(model: Model, x: Array, number: int) -> Array:
    y = model.predict_on_batch(x)
    if np.isnan(y).any():
        raise ValueError(
            f"the output of {model} for image {number} is NaN: check the image and the weights with np.isnan"
        )
    return y
