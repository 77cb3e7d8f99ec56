"""Data sets as the commands feed them to networks: float32, a channel axis, the range the network expects."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from fastconv.models import Model

NAMES = ("digits", "mnist", "fashion_mnist", "cifar10")


class Split(NamedTuple):
    """Images (N, H, W, C), uint8, and their labels (N,)."""

    images: np.ndarray
    labels: np.ndarray


class TrainedOn(NamedTuple):
    """What the file of a network says of the data that it was trained on.

    data      the name of the data set, one of ``NAMES``
    classes   what the labels 0, 1, ... stand for
    white     what a white pixel is to the network: 1.0 or 255.0
    """

    data: str
    classes: tuple[str, ...]
    white: float


def load(name: str) -> tuple[Split, Split]:
    """Training and test split of a data set."""
    splits = importlib.import_module(f"fastconv.datasets.{name}").load_data()
    train, test = (Split(x if x.ndim == 4 else x[..., np.newaxis], y.reshape(-1)) for x, y in splits)
    return train, test


def class_names(name: str) -> tuple[str, ...]:
    """What the labels 0, 1, ... of a data set stand for."""
    return importlib.import_module(f"fastconv.datasets.{name}").CLASSES


# ---- what a file knows


def trained_on(path: Path | str) -> TrainedOn | None:
    """What ``fastconv train`` noted in the file of a network; None in a file that others have written."""
    from fastconv.models import read_notes

    match read_notes(path).get("trained_on"):
        case {"data": str(name), "classes": [*classes], "white": 1 | 255 as white} if name in NAMES:
            return TrainedOn(name, tuple(map(str, classes)), float(white))
    return None


def named(name: str | None, model: Model, path: Path | str) -> TrainedOn:
    """The data set that ``--data`` names, for ``model``. ValueError where it was not given."""
    if name is None:
        raise ValueError(
            f"{path} does not say what it was trained on: add --data with one of {', '.join(NAMES)}"
        )
    return TrainedOn(name, class_names(name), white_of(model))


def of_model(model: Model, path: Path | str, asked: str | None) -> TrainedOn | None:
    """What the file ``path`` says that ``model`` was trained on, or else the data set ``asked`` for with
    ``--data``; None where there is neither.

    Raises ValueError where the file says that the network was taught other classes than those of ``asked``.
    """
    known = trained_on(path)
    if asked is None or (known is not None and asked == known.data):
        return known
    classes = class_names(asked)
    if known is None:
        return named(asked, model, path)
    if known.classes != classes:
        raise ValueError(
            f"{path} was trained on {known.data}, whose classes ({_listed(known.classes)}) are not those of "
            f"{asked} ({_listed(classes)}): leave --data out"
        )
    return known._replace(data=asked)


def _listed(classes: tuple[str, ...]) -> str:
    return f"{', '.join(classes[:3])}, ..."


# ---- pixels


def white_of(model: Model) -> float:
    """What a white pixel is to the network: 255 if it begins with a Rescaling of bytes, else 1."""
    from fastconv.layers import Rescaling

    rescales = any(isinstance(layer, Rescaling) and layer.takes_bytes for layer in model.layers[:1])
    return 255.0 if rescales else 1.0


def scaled(images: np.ndarray, white: float) -> np.ndarray:
    """Bytes as numbers from 0 to ``white``."""
    return np.divide(images, 255 / white, dtype=np.float32)


def check_fits(model: Model, known: TrainedOn, images: np.ndarray) -> None:
    """ValueError if the network takes other images than this data set has, or knows fewer classes."""
    wanted: Any = model.input_shape
    if wanted is not None and wanted[1:] != images.shape[1:]:
        raise ValueError(
            f"the network takes images {wanted[1:]}, but those of {known.data} are {images.shape[1:]}: "
            "choose other --data"
        )
    outputs: Any = model.output_shape
    if outputs is not None and (len(outputs) != 2 or outputs[1] < len(known.classes)):
        raise ValueError(
            f"the output of the network is {outputs}, but {known.data} has {len(known.classes)} classes: "
            "choose other --data"
        )
