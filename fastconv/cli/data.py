"""Data sets as the commands feed them to networks: float32, a channel axis, the range the network expects."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from fastconv.models import Sequential

NAMES = ("digits", "mnist", "fashion_mnist", "cifar10")


class Split(NamedTuple):
    """Images (N, H, W, C), uint8, and their labels (N,)."""

    images: np.ndarray
    labels: np.ndarray


def load(name: str) -> tuple[Split, Split]:
    """Training and test split of a data set."""
    splits = importlib.import_module(f"fastconv.datasets.{name}").load_data()
    train, test = (Split(x if x.ndim == 4 else x[..., np.newaxis], y.reshape(-1)) for x, y in splits)
    return train, test


def class_names(name: str) -> tuple[str, ...]:
    """What the labels 0, 1, ... of a data set stand for."""
    return importlib.import_module(f"fastconv.datasets.{name}").CLASSES


def scaled(images: np.ndarray, model: Sequential) -> np.ndarray:
    """Bytes as the network wants them: in [0, 1], or as they are if it begins with a Rescaling of bytes."""
    from fastconv.layers import Rescaling

    rescales = any(isinstance(layer, Rescaling) and layer.takes_bytes for layer in model.layers[:1])
    return images.astype(np.float32) if rescales else np.divide(images, 255, dtype=np.float32)


def check_fits(model: Sequential, name: str, images: np.ndarray) -> None:
    """ValueError if the network takes other images than this data set has."""
    wanted: Any = model.input_shape
    if wanted is not None and wanted[1:] != images.shape[1:]:
        raise ValueError(
            f"the network takes images {wanted[1:]}, but those of {name} are {images.shape[1:]}: "
            "choose other --data"
        )
