"""Convolution as NumPy users write it: sliding windows and a matrix product.

An independent answer to check every kernel against before it is timed (in float64), and a rival (in float32).
Stride 1, padding "same", odd kernels.
"""

from __future__ import annotations

import numpy as np


def patches(x: np.ndarray, f: int) -> np.ndarray:
    """(N, H, W, C) -> (N, H, W, C, f, f): what lies under the kernel at each pixel."""
    p = f // 2
    padded = np.pad(x, ((0, 0), (p, p), (p, p), (0, 0)))
    return np.lib.stride_tricks.sliding_window_view(padded, (f, f), axis=(1, 2))


def forward(x: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    return np.tensordot(patches(x, kernel.shape[0]), kernel.transpose(2, 0, 1, 3), axes=3) + bias


def backward_data(dy: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    turned = kernel[::-1, ::-1].transpose(0, 1, 3, 2)
    return forward(dy, turned, np.zeros(kernel.shape[2], dy.dtype))


def backward_kernel(x: np.ndarray, dy: np.ndarray, f: int) -> np.ndarray:
    return np.tensordot(patches(x, f), dy, axes=([0, 1, 2], [0, 1, 2])).transpose(1, 2, 0, 3)
