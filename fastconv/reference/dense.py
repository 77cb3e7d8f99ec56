"""The fully connected layer: every output is a weighted sum of all inputs.

    z[n,k] = bias[k] + Σi x[n,i] · kernel[i,k]        y = activation(z)

    x (..., in): all leading axes are batch; kernel (in, out); y (..., out)

Backward, δ is passed through the same weights: dx = dy · kernelᵀ, dkernel = xᵀ · dy, dbias = Σn dy.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastconv.reference._output import written
from fastconv.reference.activations import activation as apply_activation

Array = NDArray[np.float64]


def dense(
    x: ArrayLike, kernel: ArrayLike, bias: ArrayLike | None = None, activation: str | None = None
) -> Array:
    x, kernel = np.asarray(x, np.float64), np.asarray(kernel, np.float64)
    inputs, outputs = kernel.shape
    rows, weights = _rows(x).tolist(), kernel.tolist()
    offset = [0.0] * outputs if bias is None else np.asarray(bias, np.float64).tolist()

    y: Array = np.empty((len(rows), outputs))
    for n, row in enumerate(rows):
        for k in range(outputs):
            z = offset[k]
            for i in range(inputs):
                z += row[i] * weights[i][k]
            y[n, k] = z
    y = y.reshape((*x.shape[:-1], outputs))
    return y if activation is None else apply_activation(y, activation)


def dense_backward_data(dy: ArrayLike, kernel: ArrayLike) -> Array:
    """dx[n,i] = Σk dy[n,k] · kernel[i,k]"""
    dy, kernel = np.asarray(dy, np.float64), np.asarray(kernel, np.float64)
    inputs, outputs = kernel.shape
    gradients, weights = _rows(dy).tolist(), kernel.tolist()

    dx = np.empty((len(gradients), inputs))
    for n, dz in enumerate(gradients):
        for i in range(inputs):
            dx[n, i] = sum((dz[k] * weights[i][k] for k in range(outputs)), 0.0)
    return dx.reshape((*dy.shape[:-1], inputs))


def dense_backward_kernel(
    x: ArrayLike, dy: ArrayLike, out: tuple[Array | None, Array | None] = (None, None)
) -> tuple[Array, Array]:
    """dkernel[i,k] = Σn x[n,i] · dy[n,k] and dbias[k] = Σn dy[n,k]"""
    x, dy = np.asarray(x, np.float64), np.asarray(dy, np.float64)
    inputs, outputs = x.shape[-1], dy.shape[-1]

    dkernel, dbias = np.zeros((inputs, outputs)).tolist(), [0.0] * outputs
    for row, dz in zip(_rows(x).tolist(), _rows(dy).tolist(), strict=True):
        for k in range(outputs):
            dbias[k] += dz[k]
            for i in range(inputs):
                dkernel[i][k] += row[i] * dz[k]
    results = np.array(dkernel, np.float64).reshape(inputs, outputs), np.array(dbias, np.float64)
    return written(results[0], out[0]), written(results[1], out[1])


def _rows(x: Array) -> Array:
    """(..., in) as (N, in), also when there is nothing in it."""
    return x.reshape(int(np.prod(x.shape[:-1])), x.shape[-1])
