"""Winograd convolution: where its matrices come from, and how much it rounds."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import fastconv
from fastconv import ops

POINTS = [Fraction(p) for p in (0, 1, -1, 2, -2)]  # and infinity
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


@pytest.mark.parametrize(("outputs", "taps"), [(4, 3), (2, 5)])
def test_six_multiplications_make_a_tile_of_outputs(outputs, taps):
    """In exact arithmetic: Aᵀ[(G g) ⊙ (Bᵀ d)] is the filter, for every unit d and g, hence for all."""
    B_T, G, A_T = (np.array(m, dtype=object) for m in cook_toom(taps))
    for i in range(6):
        for j in range(taps):
            d, g = np.array([int(n == i) for n in range(6)]), np.array([int(n == j) for n in range(taps)])
            filtered = [sum(d[n + t] * g[t] for t in range(taps)) for n in range(outputs)]
            assert list(A_T @ ((G @ g) * (B_T @ d))) == filtered


# ---- rounding -----------------------------------------------------------------------------------


def absolute_matrices(taps: int) -> tuple[np.ndarray, ...]:
    return tuple(np.abs(np.array(m, dtype=object)).astype(np.float64) for m in cook_toom(taps))


def bound(x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """|Aᵀ|[(|G||g||Gᵀ|) ⊙ (|Bᵀ||d||B|)]|A| summed over channels, for each output of a "same" convolution."""
    taps = len(kernel)
    tile, border = 7 - taps, taps // 2
    B_T, G, A_T = absolute_matrices(taps)
    N, H, W, _ = x.shape
    rows, columns = -(-H // tile), -(-W // tile)
    padded = np.zeros((N, tile * rows + taps - 1, tile * columns + taps - 1, x.shape[3]))
    padded[:, border : H + border, border : W + border] = np.abs(x)
    U = np.einsum("ia,jb,abck->ijck", G, G, np.abs(kernel))
    scale = np.empty((N, tile * rows, tile * columns, kernel.shape[3]))
    for r in range(0, tile * rows, tile):
        for q in range(0, tile * columns, tile):
            d = padded[:, r : r + 6, q : q + 6]
            M = np.einsum("ia,jb,nabc,ijck->nijk", B_T, B_T, d, U, optimize=True)
            scale[:, r : r + tile, q : q + tile] = np.einsum("ai,bj,nijk->nabk", A_T, A_T, M, optimize=True)
    return scale[:, :H, :W]


def convolve_exactly(x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    taps = len(kernel)
    border = (taps // 2, taps // 2)
    padded = np.pad(x, ((0, 0), border, border, (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (taps, taps), axis=(1, 2))
    return np.einsum("nhwcab,abck->nhwk", windows, kernel, optimize=True)


@pytest.mark.parametrize("isa", fastconv.available_isas())
@pytest.mark.parametrize("shape", [(2, 7, 5, 17, 9), (1, 4, 4, 1, 1), (3, 14, 9, 40, 33), (1, 1, 1, 64, 64)])
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
@pytest.mark.parametrize("taps", [3, 5])
def test_rounding_of_a_plan_stays_within_the_bound(isa, taps):
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
    scale = bound(x.astype(np.float64), kernel).reshape(16, -1)
    allowed = 4 * np.sqrt(terms) * ROUNDING * np.sqrt((scale**2).sum(1)) / 512
    softmax_and_sum = 64 * ROUNDING * (1 + np.abs(exact)) + ROUNDING / probabilities.min(1)
    assert (np.abs(logits - exact) <= allowed + softmax_and_sum).all()


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
