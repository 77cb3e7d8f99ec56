"""UCI's handwritten digits: 1,797 images that travel with the package, so that all works without a network.

E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository, 1998,
doi:10.24432/C50P49, CC BY 4.0 (see digits.LICENSE.txt).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fastconv._core.names import publish

__all__ = ["CLASSES", "load_data"]

CLASSES = tuple("0123456789")


def load_data() -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """``(x_train, y_train), (x_test, y_test)``: images (1442, 28, 28) and (355, 28, 28), labels (N,), uint8.

    Of each digit every fifth image (the fifth, the tenth, ...) is a test image. The 8×8 originals are
    enlarged three times and centred, so that any network for MNIST takes them.
    """
    with np.load(Path(__file__).with_name("digits.npz"), allow_pickle=False) as archive:
        images, labels = enlarge(archive["images"]), archive["labels"]
    test = np.zeros(len(labels), bool)
    for digit in range(10):
        test[np.flatnonzero(labels == digit)[4::5]] = True
    return (images[~test], labels[~test]), (images[test], labels[test])


def enlarge(images: np.ndarray) -> np.ndarray:
    """(N, 8, 8) with values 0..16 -> (N, 28, 28) with values 0..255: bilinear ×3, and a border of two pixels.

    Pixel centres are at half-integers: the centre of enlarged pixel i is at (i + 1/2)/3 in the small image.
    So it lies a third of a pixel before, upon or after the centre of small pixel i // 3, and the weights of
    that pixel and of the neighbour on that side (at the edge, of itself) are 2/3 and 1/3, or 1 and 0.
    Counted in thirds, all of it is integers.
    """
    weights = np.zeros((24, 8), np.int32)
    for i in range(24):
        nearest, offset = divmod(i, 3)
        neighbour = min(max(nearest + offset - 1, 0), 7)
        weights[i, nearest] += 2 if offset != 1 else 3
        weights[i, neighbour] += 1 if offset != 1 else 0
    ninths = weights @ images.astype(np.int32) @ weights.T  # 0 .. 9 * 16
    pixels = (ninths * 255 + 72) // 144  # rounded
    return np.pad(pixels.astype(np.uint8), ((0, 0), (2, 2), (2, 2)))


publish(__name__)
