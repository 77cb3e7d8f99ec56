"""Convolution: every output is a small image of weights laid on the input and summed up.

    z[n,h,w,k] = bias[k] + Σkh Σkw Σc  x[n, row, column, c] · kernel[kh, kw, c, k]

    row    = h·s_h + kh·d_h − top
    column = w·s_w + kw·d_w − left

    x       (N, H, W, C_in)                a pixel outside the image is zero padding and adds nothing
    kernel  (KH, KW, C_in/groups, C_out)   strides s, dilation d, padding ``top`` and ``left``
    y       (N, H_out, W_out, C_out)       y = activation(z)

With groups, output channel k sees only the C = C_in/groups input channels of its own group.
(Mathematicians call this a cross-correlation: the kernel is not flipped.)

The gradients need no formula of their own. Each product x·w of the sum above went into one z, so by the chain
rule it sends dz·w back to that x and dz·x back to that w. The same seven loops, with the assignment turned
round, are the backward passes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastconv._core.geometry import Padding, Pair, window
from fastconv.reference._output import written
from fastconv.reference.activations import activation as apply_activation

Array = NDArray[np.float64]


def conv2d(
    x: ArrayLike,
    kernel: ArrayLike,
    bias: ArrayLike | None = None,
    strides: int | Pair = 1,
    padding: Padding = "valid",
    dilation_rate: int | Pair = 1,
    groups: int = 1,
    activation: str | None = None,
    algorithm: str = "auto",
) -> Array:
    """The formula. ``algorithm`` is accepted for its twin's sake: here there is only the formula."""
    x, kernel = np.asarray(x, np.float64), np.asarray(kernel, np.float64)
    N, H, W, _ = x.shape
    KH, KW, C, C_out = kernel.shape
    view = window((H, W), (KH, KW), strides, padding, dilation_rate)
    (H_out, W_out), (s_h, s_w), (d_h, d_w) = view.output_size, view.strides, view.dilation
    top, left = view.rows.before, view.columns.before

    y = np.empty((N, H_out, W_out, C_out))
    offset = [0.0] * C_out if bias is None else np.asarray(bias, np.float64).tolist()
    pixels, weights = x.tolist(), kernel.tolist()
    for n in range(N):
        for h in range(H_out):
            for w in range(W_out):
                for k in range(C_out):
                    first = k * groups // C_out * C  # the first input channel of k's group
                    z = offset[k]
                    for kh in range(KH):
                        row = h * s_h + kh * d_h - top
                        if not 0 <= row < H:
                            continue
                        for kw in range(KW):
                            column = w * s_w + kw * d_w - left
                            if not 0 <= column < W:
                                continue
                            pixel, tap = pixels[n][row][column], weights[kh][kw]
                            for c in range(C):
                                z += pixel[first + c] * tap[c][k]
                    y[n, h, w, k] = z
    return y if activation is None else apply_activation(y, activation)


def conv2d_backward_data(
    dy: ArrayLike,
    kernel: ArrayLike,
    input_shape: tuple[int, int, int, int],
    strides: int | Pair = 1,
    padding: Padding = "valid",
    dilation_rate: int | Pair = 1,
    groups: int = 1,
    algorithm: str = "auto",
) -> Array:
    """dx[…, row, column, c] += dy[n,h,w,k] · kernel[kh,kw,c,k], wherever the forward pass read that pixel."""
    kernel = np.asarray(kernel, np.float64)
    N, H, W, _ = input_shape
    KH, KW, C, C_out = kernel.shape
    view = window((H, W), (KH, KW), strides, padding, dilation_rate)
    (H_out, W_out), (s_h, s_w), (d_h, d_w) = view.output_size, view.strides, view.dilation
    top, left = view.rows.before, view.columns.before

    gradients, weights = np.asarray(dy, np.float64).tolist(), kernel.tolist()
    dx = np.zeros(input_shape).tolist()
    for n in range(N):
        for h in range(H_out):
            for w in range(W_out):
                for k in range(C_out):
                    first = k * groups // C_out * C
                    dz = gradients[n][h][w][k]
                    for kh in range(KH):
                        row = h * s_h + kh * d_h - top
                        if not 0 <= row < H:
                            continue
                        for kw in range(KW):
                            column = w * s_w + kw * d_w - left
                            if not 0 <= column < W:
                                continue
                            dpixel, tap = dx[n][row][column], weights[kh][kw]
                            for c in range(C):
                                dpixel[first + c] += dz * tap[c][k]
    return np.array(dx, np.float64).reshape(input_shape)


def conv2d_backward_kernel(
    x: ArrayLike,
    dy: ArrayLike,
    kernel_size: int | Pair,
    strides: int | Pair = 1,
    padding: Padding = "valid",
    dilation_rate: int | Pair = 1,
    groups: int = 1,
    algorithm: str = "auto",
    out: tuple[Array | None, Array | None] = (None, None),
) -> tuple[Array, Array]:
    """dkernel[kh,kw,c,k] += dy[n,h,w,k] · x[…, row, column, c], and dbias[k] += dy[n,h,w,k]."""
    x, dy = np.asarray(x, np.float64), np.asarray(dy, np.float64)
    N, H, W, C_in = x.shape
    C, C_out = C_in // groups, dy.shape[3]
    view = window((H, W), kernel_size, strides, padding, dilation_rate)
    (H_out, W_out), (s_h, s_w), (d_h, d_w) = view.output_size, view.strides, view.dilation
    (KH, KW), top, left = view.size, view.rows.before, view.columns.before

    pixels, gradients = x.tolist(), dy.tolist()
    dkernel, dbias = np.zeros((KH, KW, C, C_out)).tolist(), [0.0] * C_out
    for n in range(N):
        for h in range(H_out):
            for w in range(W_out):
                for k in range(C_out):
                    first = k * groups // C_out * C
                    dz = gradients[n][h][w][k]
                    dbias[k] += dz
                    for kh in range(KH):
                        row = h * s_h + kh * d_h - top
                        if not 0 <= row < H:
                            continue
                        for kw in range(KW):
                            column = w * s_w + kw * d_w - left
                            if not 0 <= column < W:
                                continue
                            pixel, dtap = pixels[n][row][column], dkernel[kh][kw]
                            for c in range(C):
                                dtap[c][k] += dz * pixel[first + c]
    kernel = np.array(dkernel, np.float64).reshape(KH, KW, C, C_out)
    return written(kernel, out[0]), written(np.array(dbias, np.float64), out[1])
