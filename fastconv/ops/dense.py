"""The fully connected layer and its gradients."""

from __future__ import annotations

from numpy.typing import ArrayLike

from fastconv import _kernels, reference
from fastconv.ops import _door
from fastconv.ops._door import Array
from fastconv.ops.activations import activate_result


def dense(
    x: ArrayLike, kernel: ArrayLike, bias: ArrayLike | None = None, activation: str | None = None
) -> Array:
    """y = activation(x · kernel + bias)

    x is (..., in): all leading axes are batch. kernel is (in, out), bias (out,). Returns (..., out).
    Raises ValueError where shapes do not fit.
    """
    x = _door.array(x, "x")
    kernel = _door.array(kernel, "kernel", "in, out")
    features, units = kernel.shape
    _check_features("x", x, features, f"kernel {kernel.shape} takes")
    if bias is not None:
        bias = _door.array(bias, "bias")
        _door.check_shape(bias, "bias", (units,), "one number for each column of kernel")
    if _door.on_reference():
        y = reference.dense(x, kernel, bias)
    else:
        y = _door.empty((*x.shape[:-1], units))
        if y.size:
            _kernels.dense(x, kernel, bias, y)
    return y if activation is None else activate_result(y, activation)


def dense_backward_data(dy: ArrayLike, kernel: ArrayLike) -> Array:
    """dx = dy · kernelᵀ: dy (..., out) and kernel (in, out) give dx (..., in)."""
    dy = _door.array(dy, "dy")
    kernel = _door.array(kernel, "kernel", "in, out")
    features, units = kernel.shape
    _check_features("dy", dy, units, f"kernel {kernel.shape} gives")
    if _door.on_reference():
        return reference.dense_backward_data(dy, kernel)
    dx = _door.empty((*dy.shape[:-1], features))
    if dx.size:
        _kernels.dense_backward_data(dy, kernel, dx)
    return dx


def dense_backward_kernel(
    x: ArrayLike, dy: ArrayLike, out: tuple[Array | None, Array | None] = (None, None)
) -> tuple[Array, Array]:
    """(dkernel, dbias) = (xᵀ · dy, Σ dy): x (..., in) and dy (..., out), with the same leading axes.

    ``out`` are float32 arrays to write them to, None for new ones.
    """
    x, dy = _door.array(x, "x"), _door.array(dy, "dy")
    if not x.ndim or not dy.ndim or x.shape[:-1] != dy.shape[:-1]:
        raise ValueError(f"x and dy must agree in all axes but the last; got {x.shape} and {dy.shape}")
    if _door.on_reference():
        return reference.dense_backward_kernel(x, dy, out)
    features, units = x.shape[-1], dy.shape[-1]
    dkernel, dbias = _door.outputs(out, (features, units), (units,))
    if x.size and dy.size:
        _kernels.dense_backward_kernel(x, dy, dkernel, dbias)
    else:
        dkernel[...] = 0
        dbias[...] = dy.sum(tuple(range(dy.ndim - 1)))  # without a feature y was the bias
    return dkernel, dbias


def _check_features(name: str, given: Array, features: int, expectation: str) -> None:
    if given.ndim < 1 or given.shape[-1] != features:
        raise ValueError(f"{name} must end in an axis of {features}, as {expectation}; got {given.shape}")
