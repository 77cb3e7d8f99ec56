"""Images of another size: a part of each, stretched to the size where it is of another one."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fastconv import ops
from fastconv._core.checks import unsupported_argument
from fastconv._core.geometry import Window, frame
from fastconv.layers._arguments import check_data_format, check_interpolation, errors_named, whole
from fastconv.layers.augmentation import Augmentation
from fastconv.layers.layer import Layer, Shape
from fastconv.ops.images import resizing
from fastconv.parameter import Array

Size = tuple[int, int]


class _OfSize(Layer):
    """Base of layers whose output is a box of each image, ``_box``, in (height, width) pixels."""

    input_rank: int | None = 4

    height: int
    width: int

    def _take_size(self, height: int, width: int) -> None:
        name = type(self).__name__
        self.height, self.width = whole(height, f"{name}: height"), whole(width, f"{name}: width")

    @property
    def _size(self) -> Size:
        return self.height, self.width

    def _box(self, image: Size) -> Box:
        """The part of an image of this size that is shown, while not training: the one in the middle."""
        return central_box(image, self._size)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        self.check_input((None, *input_shape))
        return (*self._size, input_shape[-1])

    def windows(self) -> tuple[Window, ...]:
        (H, W, _), _ = self.shapes()
        with errors_named(self):
            return cut_windows((H, W), self._box((H, W)), self._size)


class Resizing(_OfSize):
    """(N, H, W, C) → (N, height, width, C)

    Each output pixel shows the place that lies where it lies: y[h, w] = x at the row (h + ½) H / height − ½
    and the column (w + ½) W / width − ½, blended of four pixels or, with "nearest", of one.

    Parameters
    ----------
    interpolation : "bilinear" or "nearest"
    crop_to_aspect_ratio : True cuts off what would not fit without distortion
    pad_to_aspect_ratio, antialias : not supported: errors. fill_mode and fill_value are for padding alone
    """

    def __init__(
        self,
        height: int,
        width: int,
        interpolation: str = "bilinear",
        crop_to_aspect_ratio: bool = False,
        pad_to_aspect_ratio: bool = False,
        fill_mode: str = "constant",
        fill_value: float = 0.0,
        antialias: bool = False,
        data_format: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        check_data_format(data_format, "Resizing")
        for argument, given in (("pad_to_aspect_ratio", pad_to_aspect_ratio), ("antialias", antialias)):
            if given:
                raise unsupported_argument("Resizing", argument)
        if fill_mode != "constant" or fill_value:
            raise unsupported_argument("Resizing", "fill_mode" if fill_value == 0 else "fill_value")
        check_interpolation(interpolation, "Resizing")
        self._take_size(height, width)
        self.interpolation = interpolation
        self.crop_to_aspect_ratio = bool(crop_to_aspect_ratio)

    def _box(self, image: Size) -> Box:
        return shaped_box(image, self._size) if self.crop_to_aspect_ratio else Box(0, 0, *image)

    def call(self, x: Array, training: bool = False) -> Array:
        box = self._box((x.shape[1], x.shape[2]))
        self.remember(x.shape, box)
        return cut(x, box, self._size, self.interpolation)

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        input_shape, box = self.recall()
        return cut_backward(dy, box, input_shape, self.interpolation) if input_gradient else None


class CenterCrop(_OfSize):
    """(N, H, W, C) → (N, height, width, C): the box in the middle, while training and while not.

    Of images smaller than the box, the largest part in the middle that has the box's shape is resized.
    """

    def __init__(self, height: int, width: int, data_format: str | None = None, **options: Any) -> None:
        super().__init__(**options)
        check_data_format(data_format, "CenterCrop")
        self._take_size(height, width)

    def call(self, x: Array, training: bool = False) -> Array:
        box = self._box((x.shape[1], x.shape[2]))
        self.remember(x.shape, box)
        return cut(x, box, self._size)

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        input_shape, box = self.recall()
        return cut_backward(dy, box, input_shape) if input_gradient else None


class RandomCrop(_OfSize, Augmentation):
    """(N, H, W, C) → (N, height, width, C): a box at a random place, the same for all images of a batch.

    While not training it is the box in the middle. Of images smaller than the box, always the largest part in
    the middle that has the box's shape is resized.
    """

    def __init__(
        self,
        height: int,
        width: int,
        seed: int | None = None,
        data_format: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(seed, data_format, **options)
        self._take_size(height, width)

    def roll(self, shape: tuple[int, ...], random: np.random.Generator) -> tuple[Any, ...]:
        _, H, W, _ = shape
        if self.height > H or self.width > W:
            return self.at_rest(shape)
        top, left = random.integers((H - self.height + 1, W - self.width + 1)).tolist()
        return (Box(top, left, self.height, self.width),)

    def at_rest(self, shape: tuple[int, ...]) -> tuple[Any, ...]:
        return (self._box((shape[1], shape[2])),)

    def apply(self, x: Array, box: Box) -> Array:
        return cut(x, box, self._size)

    def apply_backward(self, dy: Array, x: Array, box: Box) -> Array:
        return cut_backward(dy, box, x.shape)


# ---- a part of each image, stretched to a given size


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
