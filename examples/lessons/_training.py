"""What the lessons on training share: images to learn from."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

import fastconv


class Images(NamedTuple):
    """Images (N, 28, 28, 1), float32 in [0, 1], and labels (N,): to learn from, and to be judged by."""

    name: str
    classes: tuple[str, ...]
    x: np.ndarray
    y: np.ndarray
    x_val: np.ndarray
    y_val: np.ndarray


def images(train: int, validation: int) -> Images:
    """The first ``train`` training images of Fashion-MNIST, and the last ``validation`` to judge by.

    Where Fashion-MNIST is missing, those of the digits in the package. These are only 1,442: at most 300 of
    them judge, and no more train than are left.
    """
    dataset, name = fastconv.datasets.fashion_mnist, "Fashion-MNIST"
    try:
        (x, y), _ = dataset.load_data()
    except FileNotFoundError:
        dataset, name, validation = fastconv.datasets.digits, "the digits", min(validation, 300)
        (x, y), _ = dataset.load_data()
    x = x[..., None].astype(np.float32) / 255
    rest = len(x) - validation
    train = min(train, rest)
    print(f"{train} images of {name} to learn from, {validation} others to judge by\n")
    return Images(name, dataset.CLASSES, x[:train], y[:train], x[rest:], y[rest:])
