"""Batches in which every image has moved a little: no two epochs are alike, less is learnt by heart."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fastconv._core.randomness import generator


class ShiftedBatches:
    """Batches (images, labels) in random order, each image moved by up to ``pixels`` each way; zeros move in.

    >>> model.fit(ShiftedBatches(x, y, batch_size=32, pixels=2), epochs=10)
    """

    def __init__(self, images: np.ndarray, labels: np.ndarray, batch_size: int, pixels: int) -> None:
        border = ((0, 0), (pixels, pixels), (pixels, pixels), (0, 0))
        self.padded = np.pad(images, border)
        self.labels = labels
        self.shape = images.shape[1:3]
        self.batch_size = batch_size
        self.pixels = pixels

    def __len__(self) -> int:
        return -(-len(self.labels) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        order = generator().permutation(len(self.labels))
        height, width = self.shape
        for start in range(0, len(order), self.batch_size):
            batch = order[start : start + self.batch_size, np.newaxis, np.newaxis]
            down, right = generator().integers(0, 2 * self.pixels, (2, *batch.shape), endpoint=True)
            rows = down + np.arange(height)[:, np.newaxis]
            columns = right + np.arange(width)
            yield self.padded[batch, rows, columns], self.labels[batch[:, 0, 0]]
