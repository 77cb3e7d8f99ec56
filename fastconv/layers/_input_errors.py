"""What to say when an array does not fit a layer: expected, got, and the likely remedy."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence


def input_shape_error(layer: object, expected: Sequence[int | str], got: Sequence[int | None]) -> ValueError:
    """A ValueError for an input of shape ``got``; both shapes have the batch axis.

    >>> raise input_shape_error("Conv2D 'conv2d_1'", ("N", "H", "W", 1), (32, 28, 28))
    ValueError: Conv2D 'conv2d_1' expects input (N, H, W, 1), got (32, 28, 28): add the channel axis with
    x[..., None]
    """
    remedy = _remedy(expected, got)
    return ValueError(
        f"{layer} expects input {_show(expected)}, got {_show(got)}" + (f": {remedy}" if remedy else "")
    )


def warn_if_channels_first(layer: object, image_shape: Sequence[int]) -> None:
    """Warn of (1, 28, 28) or (3, 32, 32) where (H, W, C) is meant: legal, but hardly ever what is wanted."""
    first, second, last = image_shape
    if first in (1, 3) and second == last > 4:
        warnings.warn(
            f"{layer}: its input {_show((None, *image_shape))} looks like channels first (NCHW) and is taken "
            f"as {first}x{second} images of {last} channels; if so, use np.moveaxis(x, 1, -1)",
            stacklevel=2,
        )


def _show(shape: Sequence[int | str | None]) -> str:
    axes = ["N" if n is None else str(n) for n in shape]
    return f"({', '.join(axes)}{',' if len(axes) == 1 else ''})"


def _remedy(expected: Sequence[int | str], got: Sequence[int | None]) -> str | None:
    if len(expected) == 4:
        return _image_remedy(expected, got)
    return _vector_remedy(expected, got) if len(expected) == 2 else None


def _image_remedy(expected: Sequence[int | str], got: Sequence[int | None]) -> str | None:
    channels = expected[-1]
    if len(got) == 3 and got[-1] == channels:
        return "add the batch axis with x[None]"
    if len(got) == 3 and channels in (1, "C"):
        return "add the channel axis with x[..., None]"
    if len(got) == 2:
        return "these are flat vectors: restore the images with x.reshape(-1, height, width, channels)"
    if len(got) == 4 and got[1] == channels and got[-1] != channels:
        return "this looks like channels first (NCHW): move the channels last with np.moveaxis(x, 1, -1)"
    if len(got) == 4 and got[-1] != channels:
        return f"the last axis must hold {channels} channel{'' if channels == 1 else 's'}, it holds {got[-1]}"
    return None


def _vector_remedy(expected: Sequence[int | str], got: Sequence[int | None]) -> str | None:
    features = expected[-1]
    if len(got) == 1 and (got[0] == features or isinstance(features, str)):
        return "add the batch axis with x[None]"
    if len(got) > 2 and math.prod(n for n in got[1:] if n is not None) == features:
        return "flatten the examples first, with a Flatten() layer or x.reshape(len(x), -1)"
    return None
