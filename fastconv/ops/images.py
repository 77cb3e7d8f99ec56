"""Images under affine maps: shifted, turned, stretched, resized; and the adjoint."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from fastconv import _kernels, reference
from fastconv._core.checks import unknown_name
from fastconv.ops import _door
from fastconv.ops._door import Array

INTERPOLATIONS = ("nearest", "bilinear")
FILL_MODES = tuple(_kernels.FILL_MODES)

Size = tuple[int, int]


def affine_transform(
    images: ArrayLike,
    transform: ArrayLike,
    interpolation: str = "bilinear",
    fill_mode: str = "constant",
    fill_value: float = 0.0,
    *,
    output_size: Size | None = None,
) -> Array:
    """y[n,h,w,c] = images[n, row, column, c], with column = a0·w + a1·h + a2 and row = b0·w + b1·h + b2

    Parameters
    ----------
    images : (N, H, W, C)
    transform : (N, 8), or (8,) for all images alike: a0, a1, a2, b0, b1, b2, 0, 0, the map from an output
        pixel to the place in the input that it shows
    interpolation : "bilinear" blends the four pixels around the place, "nearest" takes one
    fill_mode : what stands for pixels outside (a b c d being a row of the image): "constant" fill_value,
        "nearest" a a|a b c d|d d, "reflect" b a|a b c d|d c, "wrap" c d|a b c d|a b
    output_size : (H', W') of y; that of the images where None

    Raises ValueError for transforms that are not finite, not affine (the last two numbers other than 0) or
    lead 2³¹ pixels or more away.
    """
    x = _door.array(images, "images", "N, H, W, C")
    H, W = x.shape[1:3] if output_size is None else _door.sizes(output_size, "output_size", "height, width")
    size = H, W
    transform = _transform(transform, x.shape, size)
    _check_modes(interpolation, fill_mode)
    if _door.on_reference():
        return reference.affine_transform(
            x, transform, interpolation, fill_mode, fill_value, output_size=size
        )
    y = _door.empty((x.shape[0], *size, x.shape[3]))
    if y.size:
        maps, mode = _maps(transform), _kernels.FILL_MODES[fill_mode]
        _kernels.affine(x, maps, interpolation == "bilinear", mode, _door.number(fill_value, "fill_value"), y)
    return y


def affine_transform_backward(
    dy: ArrayLike,
    transform: ArrayLike,
    input_shape: tuple[int, int, int, int],
    interpolation: str = "bilinear",
    fill_mode: str = "constant",
) -> Array:
    """dimages (``input_shape``), each dy handed to the pixels that its y came from, with the same weights.

    Arguments as in ``affine_transform``; dy is (N, H', W', C).
    """
    dy = _door.array(dy, "dy", "N, H, W, C")
    shape = _door.image_shape(input_shape)
    size = dy.shape[1:3]
    _door.check_shape(dy, "dy", (shape[0], *size, shape[3]), "images and channels those of input_shape")
    transform = _transform(transform, shape, size)
    _check_modes(interpolation, fill_mode)
    if _door.on_reference():
        return reference.affine_transform_backward(dy, transform, shape, interpolation, fill_mode)
    dx = _door.empty(shape) if dy.size else np.zeros(shape, np.float32)
    if dy.size:
        mode = _kernels.FILL_MODES[fill_mode]
        _kernels.affine_backward(dy, _maps(transform), interpolation == "bilinear", mode, dx)
    return dx


def resizing(input_size: Size, output_size: Size) -> Array:
    """The transform (8,) that resizes images, for ``affine_transform(..., fill_mode="nearest")``.

    Centers of pixels are at whole numbers plus ½, so that the edges of both images are at the same place:
    place + ½ = (pixel + ½) · input / output.
    """
    (H, W), (H_out, W_out) = input_size, output_size
    rows, columns = H / H_out, W / W_out
    return np.array([columns, 0, (columns - 1) / 2, 0, rows, (rows - 1) / 2, 0, 0])


def _transform(transform: ArrayLike, shape: tuple[int, ...], output_size: Size) -> Array:
    """(N, 8), checked."""
    given = _door.array(transform, "transform")
    N, H, W, _ = shape
    if given.shape not in ((8,), (1, 8), (N, 8)):
        raise ValueError(
            f"transform must have shape (8,) or ({N}, 8), eight numbers for each image; got {given.shape}"
        )
    if not np.isfinite(given).all():
        raise ValueError("transform must be finite, and holds NaN or infinity")
    if given[..., 6:].any():
        raise ValueError(
            "transform must be affine: the last two of its eight numbers are 0; they would make a perspective"
        )
    H_out, W_out = output_size
    furthest = np.abs(given[..., :6].astype(np.float64)).reshape(-1, 3) @ [W_out, H_out, 1]
    if furthest.size and furthest.max() >= 2**31 - 1:
        raise ValueError(f"transform leads {furthest.max():.3g} pixels away from the image: too far")
    if not H * W and N * H_out * W_out:
        raise ValueError(f"images of {H}x{W} pixels have nothing to show; got shape {shape}")
    return np.broadcast_to(given, (N, 8))


def _maps(transform: Array) -> Array:
    return np.ascontiguousarray(transform[:, :6])


def _check_modes(interpolation: str, fill_mode: str) -> None:
    if interpolation not in INTERPOLATIONS:
        raise unknown_name("interpolation", interpolation, INTERPOLATIONS)
    if fill_mode not in FILL_MODES:
        raise unknown_name("fill_mode", fill_mode, FILL_MODES)
