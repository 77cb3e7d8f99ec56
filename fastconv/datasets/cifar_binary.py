"""CIFAR's binary format: records of one label byte and 3,072 pixel bytes, nothing else.

The pixels are three planes (red, green, blue) of 32 rows of 32: CHW, turned to the HWC used here.
Source: www.cs.toronto.edu/~kriz/cifar.html, section "Binary version".
"""

from __future__ import annotations

import numpy as np

RECORD = 1 + 3 * 32 * 32


def parse_cifar(data: bytes, source: str = "data") -> tuple[np.ndarray, np.ndarray]:
    """Images (N, 32, 32, 3) and labels (N, 1), uint8. ValueError, naming the ``source``, if it is damaged."""
    if not data or len(data) % RECORD:
        raise ValueError(
            f"{source} is truncated or no CIFAR-10 batch: "
            f"{len(data)} bytes is not a whole number of {RECORD}-byte records"
        )
    records = np.frombuffer(data, np.uint8).reshape(-1, RECORD)
    labels = records[:, :1]
    if labels.max() > 9:
        raise ValueError(
            f"{source} is not a CIFAR-10 batch: label {labels.max()} in record {labels.argmax()}, not 0..9"
        )
    images = records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(images), labels.copy()
