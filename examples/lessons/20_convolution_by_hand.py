"""Lesson 20: convolution by hand, number for number.

    z[i, j] = b + Σu Σv x[i + u, j + v] · w[u, v],      h[i, j] = g(z[i, j])

A small image of weights, the filter, is laid on the image; what lies upon each other is multiplied, all of it
is summed up, and the filter moves on. The claims: each output is the inner product of two vectors, aᵀw + b,
where a is what the window sees; a filter of 5×5 pixels and 3 channels is a vector of 75 numbers; m of them
make of an M×N image m maps of (M−4)×(N−4). And: what networks call convolution is what mathematicians call
cross-correlation, for theirs turns the filter upside down first.

python examples/lessons/20_convolution_by_hand.py [--quick] [--out FOLDER]
"""

from __future__ import annotations

import numpy as np
from _figures import figure, save
from _lesson import options, verdict
from _pictures import frame, matrix

import fastconv as fc
from fastconv import ops, reference

IMAGE = np.array([[0, 0, 1, 3, 3],
                  [0, 1, 3, 3, 2],
                  [0, 2, 3, 1, 0],
                  [1, 3, 2, 0, 0],
                  [2, 3, 1, 0, 1]])  # fmt: skip
FILTER = np.array([[1, 0, -1],
                   [2, 0, -2],
                   [1, 0, -1]])  # fmt: skip
BIAS = 1
STEPS = ((0, 0), (0, 1), (2, 1))


def window(i: int, j: int) -> np.ndarray:
    """What the filter lies upon at position (i, j)."""
    return IMAGE[i : i + 3, j : j + 3]


def as_images(array: np.ndarray) -> np.ndarray:
    """(H, W) as one image of one channel, (1, H, W, 1)."""
    return np.asarray(array, np.float32)[None, :, :, None]


def as_kernel(array: np.ndarray) -> np.ndarray:
    """(KH, KW) as one filter for one channel, (KH, KW, 1, 1)."""
    return np.asarray(array, np.float32)[:, :, None, None]


def correlate(image: np.ndarray, filter_: np.ndarray) -> np.ndarray:
    """The formula above without bias, where the filter fits: loops."""
    height, width = filter_.shape
    return np.array([
        [(image[i : i + height, j : j + width] * filter_).sum() for j in range(image.shape[1] - width + 1)]
        for i in range(image.shape[0] - height + 1)
    ])  # fmt: skip


def convolve(image: np.ndarray, filter_: np.ndarray) -> np.ndarray:
    """Mathematicians' (image * filter)[i, j] = Σu Σv image[i − u, j − v] · filter[u, v]: loops.

    (i, j) goes over the places where all of the filter meets the image.
    """
    height, width = filter_.shape
    return np.array([
        [sum(image[i - u, j - v] * filter_[u, v] for u in range(height) for v in range(width))
         for j in range(width - 1, image.shape[1])]
        for i in range(height - 1, image.shape[0])
    ])  # fmt: skip


def walk() -> np.ndarray:
    """Every position in words; returns z."""
    print("image x          filter w")
    for i, row in enumerate(IMAGE):
        weights = "".join(f"{w:4d}" for w in FILTER[i]) if i < 3 else ""
        print("".join(f"{x:3d}" for x in row) + weights.rjust(16))
    print(f"bias b = {BIAS}, g = ReLU\n")
    w, z = FILTER.ravel(), np.empty((3, 3), int)
    print(f"the filter as a vector: w = {w.tolist()}")
    for i, j in np.ndindex(z.shape):
        a = window(i, j).ravel()
        z[i, j] = a @ w + BIAS
        print(f"\nposition ({i}, {j}): a = {a.tolist()}")
        products = " + ".join(f"{x}·{y}" if y >= 0 else f"{x}·({y})" for x, y in zip(a, w, strict=True) if y)
        print(f"  z = {products} + {BIAS} = {z[i, j]},  h = max({z[i, j]}, 0) = {max(z[i, j], 0)}")
    print(f"\nz = {z.tolist()}\nh = {np.maximum(z, 0).tolist()}\n")
    return z


def draw_steps(z: np.ndarray) -> None:
    """A few positions: what the window sees, times the filter, and the output so far."""
    fig, axes = figure(rows=len(STEPS), columns=4, height=2.65)
    for row, (i, j) in zip(axes, STEPS, strict=True):
        matrix(row[0], IMAGE, f"image x, window at ({i}, {j})", limit=7, size=11)
        frame(row[0], i, j, 3, 3)
        matrix(row[1], FILTER, "filter w", limit=4, size=12)
        products = window(i, j) * FILTER
        matrix(row[2], products, "their products", limit=12, size=12)
        row[2].set_xlabel(f"sum {products.sum()} + bias {BIAS}: z = {z[i, j]}".replace("-", "−"))
        so_far = np.where(np.arange(9).reshape(3, 3) <= 3 * i + j, z, np.nan)
        matrix(row[3], so_far, "map z, so far", limit=2 * np.abs(z).max(), size=12)
        frame(row[3], 0, 0, 3, 3, color="0.75", linewidth=1)
        frame(row[3], i, j, 1, 1)
    save(fig, chosen.out, "20_by_hand")


def draw_inner_products(z: np.ndarray) -> None:
    """The same as one product of a matrix and a vector: each window a row."""
    fig, axes = figure(height=4.2)
    axis, table = axes[0, 0], np.full((9, 19), np.nan)
    table[:, :9] = [window(i, j).ravel() for i, j in np.ndindex(3, 3)]
    for column, vector in ((11, FILTER), (14, np.full((3, 3), BIAS)), (17, z)):
        table[:, column] = vector.ravel()
    matrix(
        axis, table, "Each window is a row a, the filter a column w: the map is all inner products aᵀw + b"
    )
    for column, sign in ((9.9, "·"), (12.5, "+"), (15.5, "=")):
        axis.text(column, 4, sign, fontsize=18, ha="center", va="center")
    for column, name in ((4, "windows"), (11, "w"), (14, "b"), (17, "z")):
        axis.text(column, 9, name, ha="center", va="center")
    for row, (i, j) in enumerate(np.ndindex(3, 3)):
        axis.text(-1.2, row, f"({i}, {j})", ha="center", va="center", fontsize=8, color="0.4")
    save(fig, chosen.out, "20_inner_products")


def turned_over() -> None:
    """Cross-correlation against convolution: on a single bright pixel, and on the image."""
    pixel, counted = np.zeros((5, 5), int), np.arange(1, 10).reshape(3, 3)
    pixel[2, 2] = 1
    fig, axes = figure(columns=4, height=2.75)
    matrix(axes[0, 0], pixel, "one bright pixel", limit=2, size=11)
    matrix(axes[0, 1], counted, "filter w", size=12)
    matrix(axes[0, 2], correlate(pixel, counted), "cross-correlation\n(what networks compute)", size=12)
    matrix(axes[0, 3], convolve(pixel, counted), "convolution\n(as mathematicians say)", size=12)
    save(fig, chosen.out, "20_cross_correlation")

    computed = ops.conv2d(as_images(IMAGE), as_kernel(counted), algorithm="direct")[0, :, :, 0]
    of_turned = ops.conv2d(as_images(IMAGE), as_kernel(counted[::-1, ::-1]), algorithm="direct")[0, :, :, 0]
    print(f"filter 1…9 on one bright pixel: cross-correlation {correlate(pixel, counted).tolist()}")
    print(f"                                      convolution {convolve(pixel, counted).tolist()}\n")
    verdict(
        "networks compute a cross-correlation; with the filter turned by 180° it is a convolution",
        "conv2d is off from the cross-correlation by "
        f"{np.abs(computed - correlate(IMAGE, counted)).max():g}, with the turned filter from the "
        f"convolution by {np.abs(of_turned - convolve(IMAGE, counted)).max():g}; the two differ by up to "
        f"{np.abs(computed - of_turned).max():g}. A network learns its filters, so it does not matter which "
        "way round they are",
        np.array_equal(computed, correlate(IMAGE, counted))
        and np.array_equal(of_turned, convolve(IMAGE, counted)),
    )


def with_channels() -> None:
    """5×5×3 filters on an image of 3 channels, as vectors and by ``conv2d``."""
    M, N, m = 12, 9, 4
    random = np.random.default_rng(chosen.seed)
    x = random.integers(-4, 5, (M, N, 3))
    kernel, bias = random.integers(-3, 4, (5, 5, 3, m)), random.integers(-9, 10, m)
    W = kernel.reshape(75, m)
    rows = np.array([x[i : i + 5, j : j + 5].ravel() for i, j in np.ndindex(M - 4, N - 4)])
    by_vectors = np.maximum(rows @ W + bias, 0).reshape(M - 4, N - 4, m)
    by_conv2d = ops.conv2d(x[None], kernel, bias, activation="relu")[0]
    layer = fc.layers.Conv2D(m, 5)
    layer.build((M, N, 3))
    verdict(
        "a 5×5×3 filter is a vector of 75 numbers; m filters make m maps of (M−4)×(N−4)",
        f"an image of {M}×{N}×3 has {len(rows)} windows of {rows.shape[1]} numbers; {m} filters make "
        f"{'×'.join(map(str, by_conv2d.shape))} of it. As inner products and by conv2d the maps differ by "
        f"{np.abs(by_vectors - by_conv2d).max():g}. To learn: {m}·(75 + 1) = {layer.count_params()} numbers",
        by_conv2d.shape == (M - 4, N - 4, m)
        and np.array_equal(by_vectors, by_conv2d)
        and layer.count_params() == m * 76,
    )


chosen = options(__doc__)
z = walk()
draw_steps(z)
draw_inner_products(z)
arguments = as_images(IMAGE), as_kernel(FILTER), [BIAS]
results = {name: ops.conv2d(*arguments, algorithm=name) for name in ("naive", "im2col", "direct", "winograd")}
results["reference"] = reference.conv2d(*arguments)
worst = {name: np.abs(result[0, :, :, 0] - z).max() for name, result in results.items()}
verdict(
    "each output is an inner product, aᵀw + b",
    "nine inner products by hand are off from conv2d's nine outputs by at most "
    + ", ".join(f"{difference:.2g} ({name})" for name, difference in worst.items())
    + ". Sums of small whole numbers are exact in float32; Winograd's way has fractions",
    max(worst.values()) < 1e-5,
)
with_channels()
turned_over()
