"""What the pictures are drawn of: one image for a model, names for its classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastconv.parameter import Array
from fastconv.visualize._layers import check_model, check_single


def one_image(model: Any, image: ArrayLike) -> Array:
    """An image as a batch of one, (1, H, W, C), for a built model of images.

    (H, W, C), (1, H, W, C) and, with one channel, (H, W) and (1, H, W) are welcome. Raises ValueError for
    other shapes and for a model whose inputs are no images, or several.
    """
    check_model(model)
    check_single(model)
    given = np.asarray(image)
    expected = model.input_shape[1:]
    if len(expected) != 3:
        raise ValueError(f"{model} has inputs {model.input_shape}, which are not images (H, W, C)")
    if given.ndim == 4 and len(given) != 1:
        raise ValueError(
            f"expected one image, got an array {given.shape} of {len(given)}: give one of them, such as x[0]"
        )
    squeezed = (1, *expected[:-1]) if expected[-1] == 1 else None
    if given.shape in (expected, expected[:-1] if squeezed else None, squeezed):
        return given.reshape(1, *expected)
    batch = given if given.ndim == 4 else given[None]
    model.check_input(batch.shape)
    return batch


def names_of_classes(class_names: Sequence[str] | None, number: int) -> list[str]:
    """A name for each class, its number where there are none. ValueError where there are too few."""
    if class_names is None:
        return [str(label) for label in range(number)]
    if len(class_names) < number:
        raise ValueError(f"there are {number} classes and {len(class_names)} class_names")
    return [str(name) for name in class_names]
