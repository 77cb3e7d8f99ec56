"""Runs every operation on arrays beside memory that nobody may touch: a float too far, and the process dies.

    python tests/guarded_memory.py after      (or before: the forbidden page lies before the array)

Arguments and results alike. Started by test_ops_memory.py, in a process of its own.
"""

from __future__ import annotations

import ctypes
import itertools
import math
import mmap
import sys

import numpy as np

import fastconv
from fastconv import ops
from fastconv.ops.images import FILL_MODES, INTERPOLATIONS

PAGE = mmap.PAGESIZE
PROT_NONE = 0
libc = ctypes.CDLL(None, use_errno=True)
side = sys.argv[1]
random = np.random.default_rng(1)


def guarded(shape: object, dtype: object = np.float64) -> np.ndarray:
    """Like ``np.empty``, but right before, or right after, a page that must not be read or written."""
    dimensions = (shape,) if isinstance(shape, int) else tuple(shape)  # type: ignore[arg-type]
    count, kind = math.prod(dimensions), np.dtype(dtype)
    size = count * kind.itemsize
    pages = -(-max(size, 1) // PAGE)
    memory = mmap.mmap(-1, (pages + 1) * PAGE)
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    forbidden, offset = (pages * PAGE, pages * PAGE - size) if side == "after" else (0, PAGE)
    if libc.mprotect(ctypes.c_void_p(start + forbidden), ctypes.c_size_t(PAGE), PROT_NONE):
        raise OSError(ctypes.get_errno(), "mprotect")
    return np.frombuffer(memory, kind, count, offset).reshape(dimensions)


def normal(*shape: int) -> np.ndarray:
    array = guarded(shape, np.float32)
    array[...] = random.standard_normal(shape)
    return array


def convolutions(
    C_in: int, C_out: int, groups: int, images: tuple[int, int, int] = (3, 7, 13), **arguments: object
) -> None:
    x, bias = normal(*images, C_in), normal(C_out)
    for algorithm in ("naive", "im2col", "direct"):
        convolve(
            x, normal(3, 2, C_in // groups, C_out), bias, groups=groups, algorithm=algorithm, **arguments
        )
    if groups == 1:
        convolve(x, normal(3, 3, C_in, C_out), bias, padding="same", algorithm="winograd")


def convolve(x: np.ndarray, kernel: np.ndarray, bias: np.ndarray, **how: object) -> None:
    dy = normal(*ops.conv2d(x, kernel, bias, **how).shape)
    ops.conv2d_backward_data(dy, kernel, x.shape, **how)
    ops.conv2d_backward_kernel(x, dy, kernel.shape[:2], **how)


def depthwise(C: int, M: int, images: tuple[int, int, int] = (3, 7, 13), **arguments: object) -> None:
    x, kernel = normal(*images, C), normal(3, 2, C, M)
    y = ops.depthwise_conv2d(x, kernel, normal(C * M), **arguments)
    dy = normal(*y.shape)
    ops.depthwise_conv2d_backward_data(dy, kernel, x.shape, **arguments)
    ops.depthwise_conv2d_backward_kernel(x, dy, (3, 2), **arguments)


def elementwise(*shapes: tuple[int, ...]) -> None:
    a, b = (normal(*shape) for shape in shapes)
    for operation in ops.ELEMENTWISE:
        ops.elementwise_backward(normal(*ops.elementwise(a, b, operation).shape), a, b, operation)


def examples_normalised(*shape: int) -> None:
    x, dy, gamma = normal(*shape), normal(*shape), normal(shape[-1])
    _, mean, inverse = ops.layer_norm(x, gamma, gamma)
    ops.layer_norm_backward(dy, x, mean, inverse, gamma)
    _, inverse = ops.rms_norm(x)
    ops.rms_norm_backward(dy, x, inverse)
    _, inverse = ops.unit_norm(x)
    ops.unit_norm_backward(dy, x, inverse)
    _, mean, inverse = ops.group_norm(x, shape[-1], gamma)
    ops.group_norm_backward(dy, x, mean, inverse, gamma)


def upsampled(C: int) -> None:
    for interpolation in INTERPOLATIONS:
        y = ops.upsample2d(normal(2, 3, 5, C), (2, 3), interpolation)
        ops.upsample2d_backward(normal(*y.shape), (2, 3), interpolation)


def poolings(C: int, **arguments: object) -> None:
    x, small = normal(2, 7, 9, C), normal(2, C)
    y, switches = ops.max_pool2d(x, **arguments)
    ops.max_pool2d_backward(normal(*y.shape), switches, x.shape, **arguments)
    ops.avg_pool2d(x, **arguments)
    ops.avg_pool2d_backward(normal(*y.shape), x.shape, **arguments)
    y, switches = ops.global_max_pool2d(x)
    ops.global_max_pool2d_backward(small, switches, x.shape)
    ops.global_avg_pool2d(x)
    ops.global_avg_pool2d_backward(small, x.shape)


def affine_maps(C: int) -> None:
    """Maps that lead out of the image on all sides."""
    x, size = normal(2, 5, 6, C), (4, 9)
    maps = guarded((2, 8), np.float32)
    maps[:] = [[1.5, -0.5, -3.25, 0.75, 1.25, -4, 0, 0], [-1, 0, 9, 0.5, -2, 8, 0, 0]]
    dy = normal(2, *size, C)
    for interpolation, fill_mode in itertools.product(INTERPOLATIONS, FILL_MODES):
        ops.affine_transform(x, maps, interpolation, fill_mode, output_size=size)
        ops.affine_transform_backward(dy, maps, x.shape, interpolation, fill_mode)


def the_rest(rows: int, n: int, k: int) -> None:
    x, kernel, dy = normal(rows, n), normal(n, k), normal(rows, k)
    ops.dense(x, kernel, normal(k))
    ops.dense_backward_data(dy, kernel)
    ops.dense_backward_kernel(x, dy)
    for name in ops.ACTIVATIONS:
        ops.activation_backward(x, ops.activation(x, name), name, x=x)
    ops.log_softmax(x)
    ops.prelu_backward(x, x, normal(n))
    ops.prelu(x, normal(n))
    mean, variance = ops.moments(x)
    ops.batch_norm(x, mean, variance, normal(n), normal(n))
    dgamma, dbeta = ops.batch_norm_backward_weights(x, x, mean, variance)
    ops.batch_norm_backward_data(x, x, mean, variance, normal(n), dgamma, dbeta)
    ops.batch_norm_backward_data(x, x, mean, variance)
    labels = guarded(rows, np.int64)
    labels[...] = 0
    ops.softmax_cross_entropy(x, labels, normal(rows))
    ops.softmax_cross_entropy(x, abs(normal(rows, n)))
    states = [normal(n) for _ in range(5)]
    for state in states:
        np.abs(state, out=state)
    ops.sgd_update(*states[:3], 0.1, 0.9, True)
    ops.adam_update(*states, 0.1, 0.9, 0.999, 1e-7, 1, True)
    ops.nadam_update(*states[:4], 0.1, 0.9, 0.999, 1e-7, 0.5, 0.5, 0.5, 0.25, 1)
    ops.rmsprop_update(*states, 0.1, 0.9, 0.5, 1e-7)


np.empty = guarded
np.empty_like = lambda array: guarded(array.shape, array.dtype)
for isa in fastconv.available_isas():
    with fastconv.set_isa(isa):
        for C_in, C_out, groups in [(1, 1, 1), (3, 17, 1), (16, 32, 1), (5, 33, 1), (6, 10, 2), (34, 38, 2)]:
            convolutions(C_in, C_out, groups)
            convolutions(C_in, C_out, groups, images=(6, 3, 2))
            convolutions(C_in, C_out, groups, padding="same", strides=2)
            convolutions(C_in, C_out, groups, padding=((0, 3), (4, 0)), dilation_rate=2)
        for C, M in [(1, 1), (3, 1), (8, 2), (17, 1), (32, 1), (65, 1), (5, 3)]:
            depthwise(C, M)
            depthwise(C, M, images=(6, 3, 2))
            depthwise(C, M, images=(2, 70, 13))
            depthwise(C, M, padding="same", strides=2)
            depthwise(C, M, padding=((0, 3), (4, 0)), dilation_rate=2, strides=(1, 3))
        for C in (1, 3, 8, 17, 33):
            elementwise((3, 4, 5, C), (3, 4, 5, C))
            elementwise((3, 4, 5, C), (3, 1, 1, C))
            elementwise((3, 4, 5, C), (3, 4, 5, 1))
            elementwise((3, 40, 50, C), (C,))
            examples_normalised(3, 5, C)
            upsampled(C)
            poolings(C)
            poolings(C, pool_size=3, strides=2, padding="same")
            affine_maps(C)
        for rows, n, k in [(1, 1, 1), (5, 7, 10), (13, 16, 33), (30, 35, 3), (2, 65, 64)]:
            the_rest(rows, n, k)
