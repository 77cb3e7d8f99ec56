"""Boxes cut out of images, all of the same size."""

from __future__ import annotations

import numpy as np

from fastconv.parameter import Array


def cut_patches(images: Array, boxes: Array, fill: float = 0.0) -> Array:
    """boxes[n] of image n, ``fill`` where there is no image: (N, h, w, C) of ``images`` (N, H, W, C), or
    (N, h, w) of (N, H, W).

    A box is (top, left, bottom, right), the last two excluded; all have the same height and width. A box
    higher or wider than the images would show little but ``fill``: along such an axis the patch is as large
    as the image, and shows what of it is in the box, in its place.
    """
    size = images.shape[1:3]
    sides = [min(int(side), pixels) for side, pixels in zip(boxes[0, 2:] - boxes[0, :2], size, strict=True)]
    patches = np.full((len(images), *sides, *images.shape[3:]), fill, images.dtype)
    for patch, image, box in zip(patches, images, boxes.tolist(), strict=True):
        (from_rows, to_rows), (from_columns, to_columns) = (
            _overlap(box[axis], box[axis + 2], size[axis]) for axis in (0, 1)
        )
        patch[to_rows, to_columns] = image[from_rows, from_columns]
    return patches


def _overlap(start: int, stop: int, pixels: int) -> tuple[slice, slice]:
    """Along one axis, where image and box overlap: in the image, and in the patch."""
    first = min(max(start, 0), pixels)
    last = max(min(stop, pixels), first)
    corner = start if stop - start < pixels else 0
    return slice(first, last), slice(first - corner, last - corner)
