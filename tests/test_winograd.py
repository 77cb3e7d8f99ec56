"""Winograd convolution: where its matrices come from, and how much it rounds."""

from __future__ import annotations

import itertools
import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import fastconv
from fastconv import ops

POINTS = [Fraction(p) for p in (0, 1, -1, 2, -2)]  # and infinity
LEFT_OUT = {4: (), 3: (0,), 2: (2, -2), 1: (0, 2, -2)}  # by the outputs of a tile of 3x3 kernels
ROUNDING = 2.0**-24


def product(factors: list[Fraction]) -> Fraction:
    result = Fraction(1)
    for factor in factors:
        result *= factor
    return result


def polynomial_with_roots(roots: list[Fraction]) -> list[Fraction]:
    """Coefficients of ∏(x − root), the constant first."""
    coefficients = [Fraction(1)]
    for root in roots:
        times_x, times_root = [Fraction(0), *coefficients], [*coefficients, Fraction(0)]
        coefficients = [a - root * b for a, b in zip(times_x, times_root, strict=True)]
    return coefficients


def others(point: Fraction) -> list[Fraction]:
    return [q for q in POINTS if q != point]


def cook_toom(taps: int = 3) -> tuple[list[list[Fraction]], ...]:
    """(Bᵀ, G, Aᵀ) of F(7 - taps, taps) from its points."""
    outputs = 7 - taps
    G = [[p**i / product([p - q for q in others(p)]) for i in range(taps)] for p in POINTS]
    A_T = [[p**i for p in POINTS] + [Fraction(i == outputs - 1)] for i in range(outputs)]
    B_T = [[*polynomial_with_roots(others(p)), Fraction(0)] for p in POINTS]
    return [*B_T, polynomial_with_roots(POINTS)], [*G, [Fraction(i == taps - 1) for i in range(taps)]], A_T


def edge_tile(outputs: int) -> tuple[list[list[Fraction]], ...]:
    """(Bᵀ, Aᵀ) of F(outputs, 3) to the G of F(4, 3), which has divided by what the points left out make.

    With the points q left out, G's row of p lacks their factors p - q below it: they go to the row of Bᵀ.
    """
    kept = [p for p in POINTS if p not in LEFT_OUT[outputs]]
    B_T = []
    for p in POINTS:
        factor = product([p - q for q in LEFT_OUT[outputs]])
        row = polynomial_with_roots([q for q in kept if q != p]) if p in kept else [Fraction(0)] * len(kept)
        B_T.append([*(factor * number for number in row), Fraction(0)])
    A_T = [
        [p**i if p in kept else Fraction(0) for p in POINTS] + [Fraction(i == outputs - 1)]
        for i in range(outputs)
    ]
    return [*B_T, polynomial_with_roots(kept)], A_T


def matrix_in_c(name: str, file: str = "winograd_kernel.h") -> list[list[Fraction]]:
    source = (Path(__file__).parents[1] / "csrc" / file).read_text()
    body = re.search(rf"{name}\[\d\]\[\d\] = \{{(.*?)\}};", source, re.DOTALL)
    assert body, f"{name} is not in {file}"
    rows = re.findall(r"\{([^{}]*)\}", body.group(1))
    return [[Fraction(n.replace(" ", "").replace(".f", "")) for n in row.split(",")] for row in rows]


def test_the_matrices_follow_from_the_points():
    B_T, G, A_T = cook_toom()
    assert matrix_in_c("winograd_B_T") == B_T
    assert matrix_in_c("winograd_G") == G
    assert matrix_in_c("winograd_A_T") == A_T
    B_T, G, A_T = cook_toom(taps=5)
    assert matrix_in_c("winograd_B_T") == B_T
    assert matrix_in_c("winograd_G_of_5", "bundle_winograd_kernel.h") == G
    assert matrix_in_c("winograd_A_T_of_5", "bundle_winograd_kernel.h") == A_T


@pytest.mark.parametrize("outputs", [1, 2, 3])
def test_the_matrices_of_edge_tiles_follow_from_fewer_points(outputs):
    B_T, A_T = edge_tile(outputs)
    assert matrix_in_c(f"winograd_B_T_to_{outputs}") == B_T
    assert matrix_in_c(f"winograd_A_T_to_{outputs}") == A_T


@pytest.mark.parametrize("outputs", [1, 2, 3, 4])
def test_a_tile_needs_two_multiplications_more_than_outputs(outputs):
    """In exact arithmetic, with one G for tiles of any size: for every unit d and g, hence for all."""
    _, G, _ = cook_toom()
    B_T, A_T = edge_tile(outputs)
    assert sum(any(row) for row in B_T) == outputs + 2
    B_T, G, A_T = (np.array(m, dtype=object) for m in (B_T, G, A_T))
    for i in range(outputs + 2):
        for j in range(3):
            d, g = (
                np.array([int(n == i) for n in range(outputs + 2)]),
                np.array([int(n == j) for n in range(3)]),
            )
            filtered = [sum(d[n + t] * g[t] for t in range(3)) for n in range(outputs)]
            assert list(A_T @ ((G @ g) * (B_T @ d))) == filtered


@pytest.mark.parametrize(("outputs", "taps"), [(4, 3), (2, 5)])
def test_six_multiplications_make_a_tile_of_outputs(outputs, taps):
    """In exact arithmetic: Aᵀ[(G g) ⊙ (Bᵀ d)] is the filter, for every unit d and g, hence for all."""
    B_T, G, A_T = (np.array(m, dtype=object) for m in cook_toom(taps))
    for i in range(6):
        for j in range(taps):
            d, g = np.array([int(n == i) for n in range(6)]), np.array([int(n == j) for n in range(taps)])
            filtered = [sum(d[n + t] * g[t] for t in range(taps)) for n in range(outputs)]
            assert list(A_T @ ((G @ g) * (B_T @ d))) == filtered


@pytest.mark.parametrize(("outputs", "taps"), [(4, 3), (2, 5)])
def test_turned_round_they_take_a_gradient_back(outputs, taps):
    """In exact arithmetic: B [(G g) ⊙ (A dy)] is what each input adds to the outputs, weighted by dy."""
    B_T, G, A_T = (np.array(m, dtype=object) for m in cook_toom(taps))
    for i in range(outputs):
        for j in range(taps):
            dy, g = np.eye(outputs, dtype=int)[i], np.eye(taps, dtype=int)[j]
            spread = [sum(g[n - o] * dy[o] for o in range(outputs) if 0 <= n - o < taps) for n in range(6)]
            assert list(B_T.T @ ((G @ g) * (A_T.T @ dy))) == spread


# ---- rounding -----------------------------------------------------------------------------------


def absolute(matrix: list[list[Fraction]]) -> np.ndarray:
    return np.abs(np.array(matrix, dtype=object)).astype(np.float64)


def bound(x: np.ndarray, kernel: np.ndarray, cut: bool = True) -> np.ndarray:
    """|Aᵀ|[(|G||g||Gᵀ|) ⊙ (|Bᵀ||d||B|)]|A| summed over channels, for each output of a "same" convolution.

    Tiles are ``cut`` at the image's edge, or reach past it: those of bundles, and of 5x5 kernels.
    """
    taps = len(kernel)
    most, border = 7 - taps, taps // 2
    G = absolute(cook_toom(taps)[1])
    N, H, W, C = x.shape
    padded = np.zeros((N, H + 2 * border + most, W + 2 * border + most, C))
    padded[:, border : H + border, border : W + border] = np.abs(x)
    U = np.einsum("ia,jb,abck->ijck", G, G, np.abs(kernel))
    scale = np.empty((N, H, W, kernel.shape[3]))
    for r in range(0, H, most):
        for q in range(0, W, most):
            rows, columns = (min(most, H - r), min(most, W - q)) if cut else (most, most)
            (B_r, A_r), (B_q, A_q) = (
                map(absolute, edge_tile(n) if taps == 3 else cook_toom(taps)[::2]) for n in (rows, columns)
            )
            d = padded[:, r : r + rows + taps - 1, q : q + columns + taps - 1]
            M = np.einsum("ia,jb,nabc,ijck->nijk", B_r, B_q, d, U, optimize=True)
            y = np.einsum("ai,bj,nijk->nabk", A_r, A_q, M, optimize=True)
            scale[:, r : r + most, q : q + most] = y[:, : H - r, : W - q]
    return scale


def convolve_exactly(x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    taps = len(kernel)
    border = (taps // 2, taps // 2)
    padded = np.pad(x, ((0, 0), border, border, (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (taps, taps), axis=(1, 2))
    return np.einsum("nhwcab,abck->nhwk", windows, kernel, optimize=True)


@pytest.mark.parametrize("isa", fastconv.available_isas())
@pytest.mark.parametrize(
    "shape",
    [
        (2, 7, 5, 17, 9),
        (1, 4, 4, 1, 1),
        (3, 14, 9, 40, 33),
        (1, 1, 1, 64, 64),
        (5, 3, 2, 8, 8),
        (2, 10, 11, 3, 70),
    ],
)
def test_rounding_stays_within_the_bound(isa, shape):
    """Each of forward and backward-data within √n roundings of the bound (n: channels and transforms)."""
    N, H, W, C, K = shape
    rng = np.random.default_rng(0)
    x, kernel = rng.standard_normal((N, H, W, C), np.float32), rng.standard_normal((3, 3, C, K), np.float32)
    dy = rng.standard_normal((N, H, W, K), np.float32)
    turned = kernel[::-1, ::-1].transpose(0, 1, 3, 2)
    with fastconv.set_isa(isa):
        y = ops.conv2d(x, kernel, padding="same", algorithm="winograd")
        dx = ops.conv2d_backward_data(dy, kernel, x.shape, padding="same", algorithm="winograd")
    for answer, image, weights in [(y, x, kernel), (dx, dy, turned)]:
        image, weights = image.astype(np.float64), weights.astype(np.float64)
        terms = image.shape[3] + 12 + 12 + 12  # the channels; two passes of six terms in each transform
        allowed = 4 * np.sqrt(terms) * ROUNDING * bound(image, weights)
        assert (np.abs(answer - convolve_exactly(image, weights)) <= allowed).all()


@pytest.mark.parametrize("isa", fastconv.available_isas())
def test_images_of_all_sizes_however_tiles_are_cut(isa):
    """All passes against direct sums in float64, to 48 roundings of as many terms of size 1."""
    rng = np.random.default_rng(0)
    for H, W in itertools.product(range(1, 10), repeat=2):
        x, dy = rng.standard_normal((2, H, W, 5)), rng.standard_normal((2, H, W, 7))
        kernel = rng.standard_normal((3, 3, 5, 7))
        windows = np.lib.stride_tricks.sliding_window_view(
            np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))), (3, 3), axis=(1, 2)
        )
        with fastconv.set_isa(isa):
            y = ops.conv2d(x, kernel, padding="same", algorithm="winograd")
            dx = ops.conv2d_backward_data(dy, kernel, x.shape, padding="same", algorithm="winograd")
            dkernel, dbias = ops.conv2d_backward_kernel(x, dy, 3, padding="same", algorithm="winograd")
        turned = kernel[::-1, ::-1].transpose(0, 1, 3, 2)
        assert np.abs(y - convolve_exactly(x, kernel)).max() < 48 * ROUNDING * 45
        assert np.abs(dx - convolve_exactly(dy, turned)).max() < 48 * ROUNDING * 63
        exact = np.einsum("nhwcab,nhwk->abck", windows, dy)
        assert np.abs(dkernel - exact).max() < 48 * ROUNDING * 2 * max(9, H * W)
        assert np.abs(dbias - dy.sum((0, 1, 2))).max() < ROUNDING * 2 * H * W * 4


@pytest.mark.parametrize("isa", fastconv.available_isas())
@pytest.mark.parametrize("taps", [3, 5])
def test_rounding_of_bundles_stays_within_the_bound(isa, taps):
    """Its two convolutions, seen through a dense layer that adds up their outputs: the bound adds up too."""
    fastconv.utils.set_random_seed(0)
    model = fastconv.Sequential(
        [
            fastconv.Input((11, 9, 12)),
            fastconv.layers.Conv2D(17, taps, padding="same"),
            fastconv.layers.Flatten(),
            fastconv.layers.Dense(2, activation="softmax"),
        ]
    )
    rng = np.random.default_rng(0)
    x = rng.standard_normal((16, 11, 9, 12), np.float32)
    convolution, _, dense = model.layers
    weights = rng.choice([-1, 1], (11 * 9 * 17, 1)) / 512
    dense.kernel.value[...] = np.hstack([weights, np.zeros_like(weights)])
    with fastconv.set_isa(isa):
        probabilities = model.predict(x, verbose=0).astype(np.float64)
    kernel = convolution.kernel.value.astype(np.float64)
    exact = convolve_exactly(x.astype(np.float64), kernel).reshape(16, -1) @ weights[:, 0]
    logits = np.log(probabilities[:, 0] / probabilities[:, 1])
    terms = 12 + 36
    scale = bound(x.astype(np.float64), kernel, cut=False).reshape(16, -1)
    allowed = 4 * np.sqrt(terms) * ROUNDING * np.sqrt((scale**2).sum(1)) / 512
    softmax_and_sum = 64 * ROUNDING * (1 + np.abs(exact)) + ROUNDING / probabilities.min(1)
    assert (np.abs(logits - exact) <= allowed + softmax_and_sum).all()


def bound_of_gradient(dy: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """The same turned round, for each input's gradient: |B|[(|G||g||Gᵀ|)ᵀ ⊙ (|A||dy||Aᵀ|)]|Bᵀ|, added up."""
    taps = len(kernel)
    tile, border = 7 - taps, taps // 2
    B_T, G, A_T = map(absolute, cook_toom(taps))
    N, H, W, K = dy.shape
    rows, columns = -(-H // tile), -(-W // tile)
    padded = np.zeros((N, tile * rows, tile * columns, K))
    padded[:, :H, :W] = np.abs(dy)
    U = np.einsum("ia,jb,abck->ijck", G, G, np.abs(kernel))
    scale = np.zeros((N, tile * rows + taps - 1, tile * columns + taps - 1, kernel.shape[2]))
    for r in range(0, tile * rows, tile):
        for q in range(0, tile * columns, tile):
            part = padded[:, r : r + tile, q : q + tile]
            M = np.einsum("ai,bj,nabk,ijck->nijc", A_T, A_T, part, U, optimize=True)
            scale[:, r : r + 6, q : q + 6] += np.einsum("ia,jb,nijc->nabc", B_T, B_T, M, optimize=True)
    return scale[:, border : H + border, border : W + border]


@pytest.mark.parametrize("isa", fastconv.available_isas())
@pytest.mark.parametrize("taps", [3, 5])
@pytest.mark.parametrize("pixel", [(0, 0), (10, 8), (0, 4), (5, 3), (7, 8)])
def test_rounding_of_a_plans_gradient_stays_within_the_bound(isa, taps, pixel):
    """The gradient at one pixel is that of the 1x1 kernels below it, where images are zero elsewhere."""
    fastconv.utils.set_random_seed(0)
    model = fastconv.Sequential(
        [
            fastconv.Input((11, 9, 1)),
            fastconv.layers.Conv2D(12, 1, use_bias=False),
            fastconv.layers.Conv2D(17, taps, padding="same", use_bias=False),
            fastconv.layers.Flatten(),
            fastconv.layers.Dense(2, activation="softmax"),
        ]
    )
    below, convolution, _, dense = model.layers
    x = np.zeros((16, 11, 9, 1), np.float32)
    x[:, pixel[0], pixel[1]] = 1
    labels = np.arange(16) % 4 // 3
    with fastconv.set_isa(isa):
        model.compile(fastconv.optimizers.SGD(0.0), "sparse_categorical_crossentropy")
        model.train_on_batch(x, labels)
        found = below.kernel.grad[0, 0, 0].astype(np.float64)
        probabilities = model.predict(x, verbose=0).astype(np.float64)
    dz = (probabilities - np.eye(2)[labels]) / 16
    dy = (dz @ dense.kernel.value.astype(np.float64).T).sum(0).reshape(1, 11, 9, 17)
    kernel = convolution.kernel.value.astype(np.float64)
    exact = convolve_exactly(dy, kernel[::-1, ::-1].transpose(0, 1, 3, 2))[0][pixel]
    # Of 16 images dy differs by a factor alone, so their errors may all point the same way.
    dy_of_all = np.abs(dz) @ np.abs(dense.kernel.value.astype(np.float64)).T
    scale = bound_of_gradient(dy_of_all.sum(0).reshape(1, 11, 9, 17), kernel)[0][pixel]
    terms = 17 + 36 + 9  # the channels; the transforms; the tiles that see a pixel
    assert (np.abs(found - exact) <= 4 * np.sqrt(terms) * ROUNDING * scale).all()


def test_error_on_a_real_layer_is_about_a_hundred_thousandth_of_the_largest_output():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((4, 14, 14, 128), np.float32)
    kernel = rng.standard_normal((3, 3, 128, 128), np.float32)
    exact = convolve_exactly(x.astype(np.float64), kernel.astype(np.float64))
    error = (
        np.abs(ops.conv2d(x, kernel, padding="same", algorithm="winograd") - exact).max()
        / np.abs(exact).max()
    )
    assert error < 2e-5


def test_refuses_what_it_cannot_do():
    x, kernel = np.ones((1, 8, 8, 4)), np.ones((3, 3, 4, 4))
    for options in [{"strides": 2}, {"dilation_rate": 2}]:
        with pytest.raises(ValueError, match=r'"winograd" is for 3x3 kernels with strides.*use "direct"'):
            ops.conv2d(x, kernel, algorithm="winograd", **options)
    with pytest.raises(ValueError, match=r"got kernel \(2, 2\)"):
        ops.conv2d(x, kernel[:2, :2], algorithm="winograd")
    with pytest.raises(ValueError, match="groups 2"):
        ops.conv2d(x, kernel[:, :, :2], groups=2, algorithm="winograd")
