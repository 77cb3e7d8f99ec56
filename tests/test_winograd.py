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


def cook_toom() -> tuple[list[list[Fraction]], ...]:
    """(Bᵀ, G, Aᵀ) of F(4, 3) from its points."""
    G = [[p**i / product([p - q for q in others(p)]) for i in range(3)] for p in POINTS]
    A_T = [[p**i for p in POINTS] + [Fraction(i == 3)] for i in range(4)]
    B_T = [[*polynomial_with_roots(others(p)), Fraction(0)] for p in POINTS]
    return [*B_T, polynomial_with_roots(POINTS)], [*G, [Fraction(i == 2) for i in range(3)]], A_T


def matrix_in_c(name: str) -> list[list[Fraction]]:
    source = (Path(__file__).parents[1] / "csrc" / "winograd_kernel.h").read_text()
    body = re.search(rf"{name}\[\d\]\[\d\] = \{{(.*?)\}};", source, re.DOTALL)
    assert body, f"{name} is not in winograd_kernel.h"
    rows = re.findall(r"\{([^{}]*)\}", body.group(1))
    return [[Fraction(n.replace(" ", "").replace(".f", "")) for n in row.split(",")] for row in rows]


def test_the_matrices_follow_from_the_points():
    B_T, G, A_T = cook_toom()
    assert matrix_in_c("winograd_B_T") == B_T
    assert matrix_in_c("winograd_G") == G
    assert matrix_in_c("winograd_A_T") == A_T


def test_six_multiplications_make_four_outputs_of_three_taps():
    """In exact arithmetic: Aᵀ[(G g) ⊙ (Bᵀ d)] is the filter, for every unit d and g, hence for all."""
    B_T, G, A_T = (np.array(m, dtype=object) for m in cook_toom())
    for i in range(6):
        for j in range(3):
            d, g = np.array([int(n == i) for n in range(6)]), np.array([int(n == j) for n in range(3)])
            filtered = [sum(d[n + t] * g[t] for t in range(3)) for n in range(4)]
            assert list(A_T @ ((G @ g) * (B_T @ d))) == filtered


# ---- rounding -----------------------------------------------------------------------------------


def absolute_matrices() -> tuple[np.ndarray, ...]:
    return tuple(np.abs(np.array(m, dtype=object)).astype(np.float64) for m in cook_toom())


def bound(x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """|Aᵀ|[(|G||g||Gᵀ|) ⊙ (|Bᵀ||d||B|)]|A| summed over channels, for each output of a "same" convolution."""
    B_T, G, A_T = absolute_matrices()
    N, H, W, _ = x.shape
    rows, columns = -(-H // 4), -(-W // 4)
    padded = np.zeros((N, 4 * rows + 2, 4 * columns + 2, x.shape[3]))
    padded[:, 1 : H + 1, 1 : W + 1] = np.abs(x)
    U = np.einsum("ia,jb,abck->ijck", G, G, np.abs(kernel))
    scale = np.empty((N, 4 * rows, 4 * columns, kernel.shape[3]))
    for r in range(rows):
        for q in range(columns):
            d = padded[:, 4 * r : 4 * r + 6, 4 * q : 4 * q + 6]
            M = np.einsum("ia,jb,nabc,ijck->nijk", B_T, B_T, d, U, optimize=True)
            scale[:, 4 * r : 4 * r + 4, 4 * q : 4 * q + 4] = np.einsum(
                "ai,bj,nijk->nabk", A_T, A_T, M, optimize=True
            )
    return scale[:, :H, :W]


def convolve_exactly(x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
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
