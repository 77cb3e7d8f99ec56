"""Pooling over windows and over whole images, and its gradients."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from fastconv import _kernels, reference
from fastconv._core.geometry import Axis, Padding, Pair, window
from fastconv.ops import _door
from fastconv.ops._door import Array

Shape = tuple[int, int, int, int]

# A switch is a uint16, that of a whole image an int32.
_MOST_TAPS, _MOST_PIXELS = 1 << 16, 1 << 31


def max_pool2d(
    x: ArrayLike, pool_size: int | Pair = 2, strides: int | Pair | None = None, padding: Padding = "valid"
) -> tuple[Array, Array]:
    """(y, switches): y[n,h,w,c] = max of x[n, h·s + kh − pad, w·s + kw − pad, c] over the window

    Parameters
    ----------
    x : (N, H, W, C)
    pool_size : the window, a whole number or (rows, columns); at most 65,536 pixels
    strides : whole number or pair; ``pool_size`` where None
    padding : as in ``conv2d``; padded pixels are never the maximum

    y is (N, H_out, W_out, C). switches, uint16 of the same shape, is the winner's place in the window,
    kh · KW + kw. The first maximum wins; the first NaN wins over any number. Raises ValueError where the
    window does not fit, or would see nothing but padding.
    """
    x = _door.array(x, "x", "N, H, W, C")
    how = _prepared(x.shape, pool_size, strides, padding)
    _check_taps(how.size)
    if _door.on_reference():
        return reference.max_pool2d(x, pool_size, strides, padding)
    y, switches = _door.empty(how.output_shape), _door.empty(how.output_shape, np.uint16)
    if y.size:
        _kernels.max_pool2d(how.kernels, x, y, switches)
    return y, switches


def max_pool2d_backward(
    dy: ArrayLike,
    switches: ArrayLike,
    input_shape: Shape,
    pool_size: int | Pair = 2,
    strides: int | Pair | None = None,
    padding: Padding = "valid",
) -> Array:
    """dx, each dy added to the pixel that its switch points at.

    dy and switches are (N, H_out, W_out, C), ``input_shape`` the (N, H, W, C) of x; the rest as in
    ``max_pool2d``.
    """
    dy = _door.array(dy, "dy", "N, H, W, C")
    shape = _door.image_shape(input_shape)
    how = _prepared(shape, pool_size, strides, padding)
    _check_taps(how.size)
    _door.check_dy(dy, how.output_shape, "the pooling")
    switches = _switches(switches, dy.shape, np.uint16)
    if _door.on_reference():
        return reference.max_pool2d_backward(dy, switches, shape, pool_size, strides, padding)
    dx = _door.empty(shape)
    if dx.size:
        _kernels.max_pool2d_backward(how.kernels, dy, switches, dx)
    return dx


def avg_pool2d(
    x: ArrayLike, pool_size: int | Pair = 2, strides: int | Pair | None = None, padding: Padding = "valid"
) -> Array:
    """y[n,h,w,c] = mean of x[n, h·s + kh − pad, w·s + kw − pad, c] over the window

    Arguments as in ``max_pool2d``; padded pixels are not among the numbers averaged.
    """
    x = _door.array(x, "x", "N, H, W, C")
    how = _prepared(x.shape, pool_size, strides, padding)
    if _door.on_reference():
        return reference.avg_pool2d(x, pool_size, strides, padding)
    return _average(x, how)


def avg_pool2d_backward(
    dy: ArrayLike,
    input_shape: Shape,
    pool_size: int | Pair = 2,
    strides: int | Pair | None = None,
    padding: Padding = "valid",
) -> Array:
    """dx, each dy shared equally by the pixels its window saw; arguments as in ``max_pool2d_backward``."""
    dy = _door.array(dy, "dy", "N, H, W, C")
    shape = _door.image_shape(input_shape)
    how = _prepared(shape, pool_size, strides, padding)
    _door.check_dy(dy, how.output_shape, "the pooling")
    if _door.on_reference():
        return reference.avg_pool2d_backward(dy, shape, pool_size, strides, padding)
    return _average_backward(dy, shape, how)


# ---- over whole images --------------------------------------------------------------------------


def global_avg_pool2d(x: ArrayLike) -> Array:
    """y[n,c] = mean of x[n,h,w,c] over all pixels: x (N, H, W, C) gives (N, C)."""
    x = _door.array(x, "x", "N, H, W, C")
    _check_pixels(x.shape)
    if _door.on_reference():
        return reference.global_avg_pool2d(x)
    return _average(x, _whole_image(x.shape)).reshape(x.shape[0], x.shape[3])


def global_avg_pool2d_backward(dy: ArrayLike, input_shape: Shape) -> Array:
    """dx[n,h,w,c] = dy[n,c] / (H · W)"""
    dy = _door.array(dy, "dy", "N, C")
    shape = _global_shape(dy, input_shape)
    if _door.on_reference():
        return reference.global_avg_pool2d_backward(dy, shape)
    return _average_backward(dy[:, None, None, :], shape, _whole_image(shape))


def global_max_pool2d(x: ArrayLike) -> tuple[Array, Array]:
    """(y, switches): y[n,c] = max of x[n,h,w,c] over all pixels, and which pixel it was.

    Both are (N, C); switches is int32, h · W + w. Ties and NaN as in ``max_pool2d``.
    """
    x = _door.array(x, "x", "N, H, W, C")
    N, H, W, C = _check_pixels(x.shape)
    _check_numbers(x.shape)
    if _door.on_reference():
        return reference.global_max_pool2d(x)
    y, switches = np.empty((N, C), np.float32), np.empty((N, C), np.int32)
    if y.size:
        _kernels.global_max_pool2d(x.reshape(N, H * W, C), y, switches)
    return y, switches


def global_max_pool2d_backward(dy: ArrayLike, switches: ArrayLike, input_shape: Shape) -> Array:
    """dx, each dy at the pixel that its switch points at, zero elsewhere."""
    dy = _door.array(dy, "dy", "N, C")
    shape = _global_shape(dy, input_shape)
    _check_numbers(shape)
    switches = _switches(switches, dy.shape, np.int32)
    if _door.on_reference():
        return reference.global_max_pool2d_backward(dy, switches, shape)
    N, H, W, C = shape
    dx = _door.empty(shape)
    if dx.size:
        _kernels.global_max_pool2d_backward(dy, switches, dx.reshape(N, H * W, C))
    return dx


# ---- what they share ----------------------------------------------------------------------------


class _Prepared(NamedTuple):
    """All that follows from shapes and arguments."""

    output_shape: tuple[int, ...]
    size: Pair
    kernels: _kernels.Pooling


def _average(x: Array, how: _Prepared) -> Array:
    y = _door.empty(how.output_shape)
    if y.size:
        _kernels.avg_pool2d(how.kernels, x, y)
    return y


def _average_backward(dy: Array, shape: Shape, how: _Prepared) -> Array:
    dx = _door.empty(shape)
    if dx.size:
        _kernels.avg_pool2d_backward(how.kernels, dy, dx)
    return dx


@_kernels.Cached
def _prepared(
    shape: tuple[int, ...], pool_size: int | Pair, strides: int | Pair | None, padding: Padding
) -> _Prepared:
    """Raises ValueError for a window that does not fit, or sees no pixel of the image at some position."""
    N, H, W, C = shape
    view = window((H, W), pool_size, strides, padding, size_name="pool_size")
    axes = zip((view.rows, view.columns), (H, W), view.size, view.strides, strict=True)
    if any(_sees_only_padding(*axis) for axis in axes):
        raise ValueError(
            f"padding={padding!r} leaves windows of {view.size} pixels with nothing in them but padding, "
            "which has no maximum and no average: pad by less than pool_size"
        )
    return _Prepared((N, *view.output_size, C), view.size, _kernels.Pooling(shape, view))


def _sees_only_padding(axis: Axis, pixels: int, taps: int, stride: int) -> bool:
    """True if the first or the last window along the axis does, or all of an axis without pixels."""
    last = (axis.output - 1) * stride - axis.before
    return axis.output > 0 and (not pixels or taps <= axis.before or last >= pixels)


def _whole_image(shape: tuple[int, ...]) -> _Prepared:
    return _prepared(shape, shape[1:3], None, "valid")


def _check_taps(size: Pair) -> None:
    KH, KW = size
    if KH * KW > _MOST_TAPS:
        raise ValueError(
            f"pool_size {size} has {KH * KW:,} pixels, more than the {_MOST_TAPS:,} that switches can "
            "number; a maximum over whole images is global_max_pool2d"
        )


def _check_pixels(shape: tuple[int, ...]) -> Shape:
    N, H, W, C = shape
    if not H * W:
        raise ValueError(f"images of {H}x{W} pixels have no maximum and no average; got shape {shape}")
    return N, H, W, C


def _check_numbers(shape: tuple[int, ...]) -> None:
    if shape[1] * shape[2] > _MOST_PIXELS:
        raise ValueError(
            f"images of {shape[1]}x{shape[2]} pixels have more than the {_MOST_PIXELS:,} that switches can "
            "number"
        )


def _global_shape(dy: Array, input_shape: Shape) -> Shape:
    N, H, W, C = _check_pixels(_door.image_shape(input_shape))
    _door.check_shape(dy, "dy", (N, C), "one gradient for each image and channel of input_shape")
    return N, H, W, C


def _switches(switches: ArrayLike, shape: tuple[int, ...], dtype: type[np.integer]) -> Array:
    given = np.asarray(switches)
    if given.dtype.kind not in "iu":
        raise TypeError(f"switches must be whole numbers, as the pooling returned; got dtype {given.dtype}")
    _door.check_shape(given, "switches", shape, "that of dy")
    return _door.laid_out(given, dtype)
