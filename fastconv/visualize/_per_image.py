"""Arguments given once for all images, or for each of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv.models import Model
from fastconv.parameter import Array
from fastconv.visualize._layers import check_single
from fastconv.visualize._way_up import check_built


def per_image(given: Any, name: str, shape: tuple[int, ...]) -> Array | None:
    """``given`` as whole numbers of ``shape``, (N,) or (N, 2), where the N may be left out; None as it is."""
    if given is None:
        return None
    array = np.asarray(given)
    if array.dtype.kind not in "iu" or array.shape not in (shape, shape[1:]):
        one = "a whole number" if len(shape) == 1 else "(row, column) in whole numbers"
        raise ValueError(f"{name} must be {one}, once or for each of the {shape[0]} images; got {given!r}")
    return np.broadcast_to(array, shape)


def as_batch(model: Model, x: Any) -> tuple[Array, bool]:
    """(images, single): x as images (N, H, W, C) that the model takes, and whether it was a single one.

    Raises ValueError for a model with several inputs or outputs.
    """
    check_built(model)
    check_single(model, output=True)
    images = np.asarray(x)
    expected = model.input_shape[1:]
    single = images.ndim == len(expected) and all(
        wanted in (None, size) for wanted, size in zip(expected, images.shape, strict=True)
    )
    if single:
        images = images[None]
    model.check_input(images.shape)
    return images, single
