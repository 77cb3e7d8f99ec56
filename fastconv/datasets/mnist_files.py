"""The four IDX files that MNIST and its drop-in replacements are made of."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fastconv.datasets.idx import parse_idx
from fastconv.datasets.unpack import read_plain_or_gzip

TRAIN_IMAGES, TRAIN_LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
TEST_IMAGES, TEST_LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"
NAMES = (TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS)

Split = tuple[np.ndarray, np.ndarray]


def read(directory: Path) -> dict[str, bytes]:
    """The four files of a directory, unpacked."""
    return {name: read_plain_or_gzip(directory, name) for name in NAMES}


def parse(contents: dict[str, bytes]) -> tuple[Split, Split]:
    """``(x_train, y_train), (x_test, y_test)`` from the four files."""
    arrays = {name: parse_idx(contents[name], name) for name in NAMES}
    return (arrays[TRAIN_IMAGES], arrays[TRAIN_LABELS]), (arrays[TEST_IMAGES], arrays[TEST_LABELS])
