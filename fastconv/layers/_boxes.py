"""A part of each image, stretched to a given size: what cropping and resizing have in common."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fastconv import ops
from fastconv._core.geometry import Window, frame
from fastconv.ops.images import resizing
from fastconv.parameter import Array

Size = tuple[int, int]


class Box(NamedTuple):
    """A rectangle of pixels."""

    top: int
    left: int
    height: int
    width: int


def central_box(image: Size, size: Size) -> Box:
    """The box of this size in the middle of an image; where that is too small, the largest box of the same
    shape, height to width, in its middle.
    """
    (H, W), (height, width) = image, size
    if height > H or width > W:
        return shaped_box(image, size)
    return Box((H - height) // 2, (W - width) // 2, height, width)


def shaped_box(image: Size, size: Size) -> Box:
    """The largest box in the middle of an image with height to width as in ``size``."""
    (H, W), (height, width) = image, size
    box_height = max(min(H, W * height // width), 1)
    box_width = max(min(W, H * width // height), 1)
    return Box((H - box_height) // 2, (W - box_width) // 2, box_height, box_width)


def cut_windows(image: Size, box: Box, size: Size) -> tuple[Window, ...]:
    """What a place of the cut box sees of the image; ValueError where the box is resized."""
    if (box.height, box.width) != size:
        raise ValueError(
            f"resizing {box.height}x{box.width} pixels to {size[0]}x{size[1]} leaves no whole steps between "
            "the pixels that two neighbours see"
        )
    rows = (-box.top, box.top + box.height - image[0])
    columns = (-box.left, box.left + box.width - image[1])
    return (frame(image, (rows, columns)),)


def cut(x: Array, box: Box, size: Size, interpolation: str = "bilinear") -> Array:
    """The pixels of the box, (N, *size, C), resized if it is of another size."""
    part = x[:, box.top : box.top + box.height, box.left : box.left + box.width]
    if (box.height, box.width) == size:
        return np.ascontiguousarray(part)
    transform = resizing((box.height, box.width), size)
    return ops.affine_transform(part, transform, interpolation, "nearest", output_size=size)


def cut_backward(dy: Array, box: Box, input_shape: tuple[int, ...], interpolation: str = "bilinear") -> Array:
    """dx of ``input_shape``: zero outside the box."""
    N, _, _, C = input_shape
    size = dy.shape[1:3]
    if (box.height, box.width) != size:
        transform = resizing((box.height, box.width), size)
        part_shape = (N, box.height, box.width, C)
        dy = ops.affine_transform_backward(dy, transform, part_shape, interpolation, "nearest")
    dx = np.zeros(input_shape, dy.dtype)
    dx[:, box.top : box.top + box.height, box.left : box.left + box.width] = dy
    return dx
