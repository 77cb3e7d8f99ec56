"""Shape arithmetic of sliding windows, shared by convolution and pooling.

One axis of an image has n pixels. A window of f taps, spread ``dilation`` apart, covers
``reach = (f - 1) * dilation + 1`` of them and moves ``stride`` pixels at a time:

    valid   floor((n - reach) / stride) + 1 windows, no padding
    same    ceil(n / stride) windows; the odd pixel of padding goes to the bottom/right (Keras)
    (a, b)  as valid on n + a + b pixels
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fastconv._core.checks import is_whole, unknown_name
from fastconv._kernels import Cached

Pair = tuple[int, int]
OpenPair = tuple[int | None, int | None]
Padding = str | int | Pair | tuple[Pair, Pair]

# More than any image has pixels along an axis. Products of two such numbers fit into the kernels' 64 bits.
LARGEST = 2**31 - 1


def pair(value: Any, argument: str, minimum: int = 1) -> Pair:
    """``3`` or ``(3, 3)`` as a pair of whole numbers, each from ``minimum`` to ``LARGEST``."""
    values = (value, value) if is_whole(value) else _listed(value)
    if (
        not isinstance(values, (tuple, list))
        or len(values) != 2
        or not all(is_whole(v) and v >= minimum for v in values)
    ):
        raise ValueError(
            f"{argument} must be a whole number or a pair of them, each at least {minimum}; got {value!r}"
        )
    if max(values) > LARGEST:
        raise ValueError(f"{argument} must be at most {LARGEST:,}, as no image is larger; got {value!r}")
    return int(values[0]), int(values[1])


def _listed(value: Any) -> Any:
    """Arrays, also in a list, as lists; other values as they are."""
    if isinstance(value, (tuple, list)):
        return [_listed(part) for part in value]
    return value.tolist() if isinstance(value, np.ndarray) else value


def explicit_padding(padding: Padding) -> tuple[Pair, Pair] | None:
    """((top, bottom), (left, right)) for numeric padding; None for "valid" and "same"."""
    padding = _listed(padding)
    if isinstance(padding, str):
        if padding.lower() not in ("valid", "same"):
            raise unknown_name("padding", padding, ["valid", "same"])
        return None
    return sides(padding, "padding")


def sides(amounts: Any, argument: str) -> tuple[Pair, Pair]:
    """((top, bottom), (left, right)) for so many pixels at the sides of an image: one number, (vertical,
    horizontal), or a pair in the place of either.
    """
    amounts = _listed(amounts)
    if isinstance(amounts, str):
        raise ValueError(f"{argument} must be numbers; got {amounts!r}")
    if (
        isinstance(amounts, (tuple, list))
        and len(amounts) == 2
        and any(isinstance(part, (tuple, list)) for part in amounts)
    ):
        top_bottom, left_right = amounts
        return (
            pair(top_bottom, f"{argument} (top, bottom)", 0),
            pair(left_right, f"{argument} (left, right)", 0),
        )
    vertical, horizontal = pair(amounts, argument, 0)
    return (vertical, vertical), (horizontal, horizontal)


class Axis(NamedTuple):
    """One axis of a sliding window: how many outputs, how much padding before and after."""

    output: int
    before: int
    after: int


def slide(n: int, taps: int, stride: int, dilation: int, padding: str | Pair) -> Axis:
    """Windows of ``taps`` taps along an axis of ``n`` pixels; ``output`` is 0 where none fits."""
    reach = (taps - 1) * dilation + 1
    if padding == "same":
        output = -(-n // stride)
        total = max((output - 1) * stride + reach - n, 0)
        return Axis(output, total // 2, total - total // 2)
    before, after = (0, 0) if isinstance(padding, str) else padding
    return Axis(max((n + before + after - reach) // stride + 1, 0), int(before), int(after))


class Window(NamedTuple):
    """A 2-D sliding window over an image: both axes, and what made them."""

    rows: Axis
    columns: Axis
    size: Pair
    strides: Pair
    dilation: Pair

    @property
    def output_size(self) -> Pair:
        return self.rows.output, self.columns.output


def window(
    image: Pair,
    size: int | Pair,
    strides: int | Pair | None = 1,
    padding: Padding = "valid",
    dilation_rate: int | Pair = 1,
    *,
    size_name: str = "kernel_size",
) -> Window:
    """The window of a convolution or pooling over an image of (H, W) pixels.

    ``strides=None`` means ``strides=size``, as pooling layers have it.
    Raises ValueError where an argument is malformed or the window does not fit into the image.
    """
    return _window(image, size, strides, padding, dilation_rate, size_name)


@Cached
def _window(
    image: Pair,
    size: int | Pair,
    strides: int | Pair | None,
    padding: Padding,
    dilation_rate: int | Pair,
    size_name: str,
) -> Window:
    if None in image:
        raise ValueError(f"the size of the image is left open: {image}")
    size_pair = pair(size, size_name)
    stride_pair = size_pair if strides is None else pair(strides, "strides")
    dilation_pair = pair(dilation_rate, "dilation_rate")
    pads = explicit_padding(padding)
    axes = [
        slide(n, f, s, d, padding.lower() if isinstance(padding, str) else pads[i])  # type: ignore[index]
        for i, (n, f, s, d) in enumerate(zip(image, size_pair, stride_pair, dilation_pair, strict=True))
    ]
    if min(image) > 0 and min(axis.output for axis in axes) == 0:
        reach = tuple((f - 1) * d + 1 for f, d in zip(size_pair, dilation_pair, strict=True))
        raise ValueError(
            f"{size_name} {size_pair} covers {reach[0]}x{reach[1]} pixels, more than {image[0]}x{image[1]} "
            f"under padding={padding!r}: use a smaller one, larger images, or padding='same'"
        )
    return Window(axes[0], axes[1], size_pair, stride_pair, dilation_pair)


_STAND_IN = 2**30  # for a size that is open: larger than any window


def closed(image: OpenPair) -> Pair:
    """The image with a large number in the place of each size that is open, to compute shapes with."""
    height, width = (_STAND_IN if n is None else n for n in image)
    return height, width


def opened(size: Pair, image: OpenPair) -> OpenPair:
    """The size of what was made of ``closed(image)``: None along the axes along which the image is open."""
    height, width = (None if n is None else m for n, m in zip(image, size, strict=True))
    return height, width


def meeting(view: Window, image: Pair) -> tuple[Window, tuple[slice, slice]]:
    """The window of those taps that meet the image at some position, and which rows and columns they are.

    Of a window that is dilated by more than the image is large, most taps see nothing but padding. Without
    them the work grows with the image, not with the dilation. Where no tap meets the image one stays.
    """
    axes, kept = [], []
    parts = (image, (view.rows, view.columns), view.size, view.strides, view.dilation)
    for n, axis, taps, stride, dilation in zip(*parts, strict=True):
        last_position = (axis.output - 1) * stride - axis.before
        first = min(max(-(last_position // dilation), 0), taps - 1)
        end = max(min((axis.before + n - 1) // dilation + 1, taps), first + 1)
        axes.append(Axis(axis.output, axis.before - first * dilation, axis.after - (taps - end) * dilation))
        kept.append(slice(first, end))
    size = (kept[0].stop - kept[0].start, kept[1].stop - kept[1].start)
    dilations = (view.dilation[0] if size[0] > 1 else 1, view.dilation[1] if size[1] > 1 else 1)
    return Window(axes[0], axes[1], size, view.strides, dilations), (kept[0], kept[1])


def is_sparse(view: Window, image: Pair) -> bool:
    """Whether the outputs and taps are few beside the pixels from the first to the last that they see."""
    parts = (image, view.output_size, view.size, view.strides, view.dilation)
    return any(
        (outputs - 1) * stride + (taps - 1) * dilation > 4 * (n + outputs + taps)
        for n, outputs, taps, stride, dilation in zip(*parts, strict=True)
    )


def image_size(shape: tuple[Any, ...]) -> Pair | None:
    """(H, W) of one example (H, W, C), or (H, W) in gray; None where it is a vector."""
    return (shape[0], shape[1]) if len(shape) > 1 else None


def whole_image(image: Pair) -> Window:
    """The one window that covers the whole image."""
    return window(image, image)


def frame(image: Pair, padding: tuple[Pair, Pair]) -> Window:
    """Pixel by pixel, the image with ((top, bottom), (left, right)) more pixels around it, or less."""
    axes = [
        Axis(n + before + after, before, after) for n, (before, after) in zip(image, padding, strict=True)
    ]
    return Window(axes[0], axes[1], (1, 1), (1, 1), (1, 1))


def transposed(
    image: Pair,
    size: int | Pair,
    strides: int | Pair = 1,
    padding: str = "valid",
    output_padding: int | Pair | None = None,
    dilation_rate: int | Pair = 1,
) -> tuple[Axis, Axis]:
    """Rows and columns that a transposed convolution makes of (H, W), as Keras counts them.

    Of each axis: how many outputs, and the padding with which the convolution of as many pixels gives the
    image. Raises ValueError where an argument is malformed.
    """
    sizes, stride_pair = pair(size, "kernel_size"), pair(strides, "strides")
    dilation_pair = pair(dilation_rate, "dilation_rate")
    if not isinstance(padding, str) or padding.lower() not in ("valid", "same"):
        raise unknown_name("padding", padding, ["valid", "same"])
    more: tuple[int | None, int | None] = (None, None)
    if output_padding is not None:
        more = extra = pair(output_padding, "output_padding", 0)
        if extra[0] >= stride_pair[0] or extra[1] >= stride_pair[1]:
            raise ValueError(
                f"output_padding {extra} must be less than strides {stride_pair}, in rows and in columns"
            )
    axes = [
        _transposed_axis(n, (f - 1) * d + 1, s, padding.lower() == "same", m)
        for n, f, s, d, m in zip(image, sizes, stride_pair, dilation_pair, more, strict=True)
    ]
    return axes[0], axes[1]


def _transposed_axis(n: int, reach: int, stride: int, same: bool, more: int | None) -> Axis:
    last = (n - 1) * stride  # where the last pixel lays its first tap
    if not same:
        output, before = last + (max(reach, stride) if more is None else reach + more), 0
    else:
        output = n * stride if more is None else last + reach % 2 + more
        around = reach - 2 + (stride if more is None else reach % 2 + more)
        before = reach - 1 - min(around - around // 2, reach - 1)
    if n == 0:
        return Axis(0, 0, 0)
    return Axis(output, before, max(last + reach - before - output, 0))


def bins(n: int, count: int) -> list[Pair]:
    """(first, end) of each of ``count`` bins of adaptive pooling along an axis of ``n`` pixels.

    They are as nearly equal as whole pixels allow, cover all, and overlap where n / count is not whole.
    """
    return [(i * n // count, -(-(i + 1) * n // count)) for i in range(count)]
