"""Affine maps of images on every instruction set, against the reference, Keras, and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from golden_cases import golden
from hypothesis import given
from hypothesis import strategies as st
from kernels import assert_same_bits_on_any_threads, each_isa
from strategies import CHANNELS, UNIT_ROUNDOFF, check, examples, normal, rounding_bound

import fastconv
from fastconv import ops, reference
from fastconv.ops.images import FILL_MODES, INTERPOLATIONS, resizing

IDENTITY = np.float32([1, 0, 0, 0, 1, 0, 0, 0])
SHIFT = np.float32([1, 0, -1, 0, 1, -2, 0, 0])  # one to the right, two down


def bound(x, fill_value=0.0):
    """Weights are off by up to 3u each, four products and their sum by 5u of what is blended."""
    largest = np.abs(x[np.isfinite(x)]).max(initial=abs(fill_value))
    return 17 * UNIT_ROUNDOFF * largest


def scattered(random, N, size, spread):
    """Maps that lead somewhere near the image; now and then places half-way between two pixels."""
    maps = np.zeros((N, 8), np.float32)
    maps[:, :6] = random.normal(0, [1, 1, spread * size[1], 1, 1, spread * size[0]], (N, 6))
    halves = random.random((N, 8)) < 0.3
    return np.where(halves, np.round(2 * maps) / 2, maps).astype(np.float32)


sizes = st.tuples(st.integers(1, 9), st.integers(1, 9))


@examples(300)
@given(
    st.integers(0, 3), sizes, st.none() | sizes, st.sampled_from([c for c in CHANNELS if c <= 33]),
    st.sampled_from(INTERPOLATIONS), st.sampled_from(FILL_MODES), st.sampled_from([0, 0.5, 2]),
    st.integers(0, 2**16),
)  # fmt: skip
def test_affine_maps_equal_the_reference(N, size, output_size, C, interpolation, fill_mode, spread, seed):
    random = np.random.default_rng(seed)
    x = normal(random, N, *size, C)
    maps = scattered(random, N, size, spread)
    how = (interpolation, fill_mode)
    y = reference.affine_transform(x, maps, *how, 0.75, output_size=output_size)
    dy = normal(random, *y.shape)
    dx, scale = (reference.affine_transform_backward(a, maps, x.shape, *how) for a in (dy, abs(dy)))
    for isa in each_isa():
        found = ops.affine_transform(x, maps, *how, 0.75, output_size=output_size)
        check(found, y, bound(x, 0.75), isa)
        found = ops.affine_transform_backward(dy, maps, x.shape, *how)
        terms = dy.shape[1] * dy.shape[2] * 4
        # beside the sum's rounding, that of the weights: 3u of each |dy| at most
        check(
            found,
            dx,
            rounding_bound(scale, terms) + 3 * UNIT_ROUNDOFF * abs(dy).sum((1, 2), keepdims=True),
            isa,
        )


@golden("affine_transform", "images")
def test_affine_maps_are_keras(case):
    x, y, dx = case["x"], case["y"], case["dx"]
    how = (case.arguments["interpolation"], case.arguments["fill_mode"])
    np.testing.assert_allclose(
        reference.affine_transform(x, case["transform"], **case.arguments), y, rtol=1e-12, atol=1e-12
    )
    exact = reference.affine_transform_backward(case["dy"], case["transform"], x.shape, *how)
    np.testing.assert_allclose(exact, dx, rtol=1e-12, atol=1e-12)
    for isa in each_isa():
        check(ops.affine_transform(x, case["transform"], **case.arguments), y, bound(x, 1), isa)
        found = ops.affine_transform_backward(case["dy"], case["transform"], x.shape, *how)
        check(found, dx, 40 * bound(case["dy"]), isa)  # up to 35 pixels shown from one


@pytest.mark.parametrize(
    ("fill_mode", "row"),
    [
        ("constant", [9, 9, 9, 9, 9, 9, 9, 9, 1, 2, 3, 9, 9, 9, 9, 9, 9, 9, 9]),
        ("nearest", [1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 3, 3, 3, 3, 3, 3, 3, 3, 3]),
        ("reflect", [2, 1, 1, 2, 3, 3, 2, 1, 1, 2, 3, 3, 2, 1, 1, 2, 3, 3, 2]),
        ("wrap", [2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2]),
    ],
)
@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize("axis", [1, 2])
def test_what_stands_for_pixels_outside(fill_mode, row, interpolation, axis):
    shape = [1, 1, 1, 1]
    shape[axis] = 3
    x = np.float32([1, 2, 3]).reshape(shape)
    transform = [1, 0, -8, 0, 1, 0, 0, 0] if axis == 2 else [1, 0, 0, 0, 1, -8, 0, 0]
    size = [1, 1]
    size[axis - 1] = 19
    for _ in each_isa():
        y = ops.affine_transform(x, transform, interpolation, fill_mode, 9, output_size=size)
        np.testing.assert_array_equal(y.ravel(), row)


def test_half_way_is_away_from_zero_for_the_nearest_and_the_mean_for_both():
    x = np.float32([1, 2, 4, 8]).reshape(1, 1, 4, 1)
    shifted = [1, 0, -0.5, 0, 1, 0, 0, 0]
    for _ in each_isa():
        y = ops.affine_transform(x, shifted, "nearest", "constant", 9)
        np.testing.assert_array_equal(y.ravel(), [9, 2, 4, 8])  # -1/2 is -1
        y = ops.affine_transform(x, shifted, "bilinear", "constant", 9)
        np.testing.assert_array_equal(y.ravel(), [5, 1.5, 3, 6])


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_whole_shifts_and_quarter_turns_are_exact(interpolation):
    x = normal(np.random.default_rng(0), 2, 5, 5, 3)
    for _ in each_isa():
        np.testing.assert_array_equal(ops.affine_transform(x, IDENTITY, interpolation), x)
        expected = np.zeros_like(x)
        expected[:, 2:, 1:] = x[:, :-2, :-1]
        np.testing.assert_array_equal(ops.affine_transform(x, SHIFT, interpolation), expected)
        turned = ops.affine_transform(x, [0, -1, 4, 1, 0, 0, 0, 0], interpolation)
        np.testing.assert_array_equal(turned, np.rot90(x, 1, (1, 2)))
        flipped = ops.affine_transform(x, [-1, 0, 4, 0, 1, 0, 0, 0], interpolation)
        np.testing.assert_array_equal(flipped, x[:, :, ::-1])


@examples(50)
@given(sizes, st.sampled_from(INTERPOLATIONS), st.sampled_from(FILL_MODES), st.integers(0, 2**16))
def test_backward_is_the_adjoint(size, interpolation, fill_mode, seed):
    """⟨A x, dy⟩ = ⟨x, Aᵀ dy⟩ where the fill value is 0."""
    random = np.random.default_rng(seed)
    x, dy = normal(random, 2, *size, 3), normal(random, 2, *size, 3)
    maps = scattered(random, 2, size, 0.5)
    with fastconv.set_backend("reference"):
        y = ops.affine_transform(x, maps, interpolation, fill_mode)
        dx = ops.affine_transform_backward(dy, maps, x.shape, interpolation, fill_mode)
    np.testing.assert_allclose((y * dy).sum(), (x * dx).sum(), rtol=1e-9, atol=1e-9)


@examples(50)
@given(sizes, sizes, st.integers(0, 2**16))
def test_resizing_keeps_corners_where_they_are(size, new_size, seed):
    """Places are those of the formula, and a constant image stays constant."""
    (H, W), (height, width) = size, new_size
    a0, _, a2, _, b1, b2, _, _ = resizing(size, new_size)
    np.testing.assert_allclose(
        a0 * np.arange(width) + a2, (np.arange(width) + 0.5) * W / width - 0.5, atol=1e-12
    )
    np.testing.assert_allclose(
        b1 * np.arange(height) + b2, (np.arange(height) + 0.5) * H / height - 0.5, atol=1e-12
    )
    x = np.full((1, H, W, 2), np.random.default_rng(seed).normal(), np.float32)
    y = ops.affine_transform(x, resizing(size, new_size), fill_mode="nearest", output_size=new_size)
    assert y.shape == (1, height, width, 2)
    np.testing.assert_allclose(y, x[0, 0, 0, 0], rtol=1e-6)


def test_one_map_serves_all_images():
    x = normal(np.random.default_rng(0), 3, 4, 4, 2)
    for given_map in (SHIFT, SHIFT[None]):
        np.testing.assert_array_equal(
            ops.affine_transform(x, given_map), ops.affine_transform(x, np.tile(SHIFT, (3, 1)))
        )


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_threads_do_not_change_a_bit(interpolation):
    random = np.random.default_rng(3)
    x = normal(random, 40, 32, 33, 3)
    maps = scattered(random, 40, (32, 33), 0.3)
    assert_same_bits_on_any_threads(
        lambda: (
            ops.affine_transform(x, maps, interpolation, "reflect"),
            ops.affine_transform_backward(x, maps, x.shape, interpolation, "reflect"),
        )
    )


def test_nan_and_infinity_stay_where_they_are_seen():
    x = np.ones((1, 4, 4, 1), np.float32)
    x[0, 1, 1], x[0, 3, 3] = np.nan, np.inf
    for _ in each_isa():
        y = ops.affine_transform(x, IDENTITY, "nearest")
        np.testing.assert_array_equal(y, x)
        y = ops.affine_transform(x, [1, 0, 0.5, 0, 1, 0.5, 0, 0], "bilinear", "nearest")[0, ..., 0]
        assert np.isnan(y[:2, :2]).all()
        assert np.isinf(y[2:, 2:]).all()
        assert (y[2, :2] == 1).all()


@pytest.mark.parametrize("shape", [(0, 4, 5, 3), (2, 4, 5, 0)])
def test_batches_of_nothing(shape):
    x = np.zeros(shape, np.float32)
    assert ops.affine_transform(x, IDENTITY).shape == shape
    assert ops.affine_transform_backward(x, IDENTITY, shape).shape == shape
    with fastconv.set_backend("reference"):
        assert ops.affine_transform(x, IDENTITY).shape == shape
    nothing = ops.affine_transform_backward(np.zeros((2, 0, 3, 1)), IDENTITY, (2, 4, 5, 1))
    np.testing.assert_array_equal(nothing, np.zeros((2, 4, 5, 1)))


X = np.ones((2, 4, 4, 1), np.float32)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"images": X[0]}, r"images must have 4 axes \(N, H, W, C\); got shape \(4, 4, 1\)"),
        ({"transform": np.ones(6)}, r"transform must have shape \(8,\) or \(2, 8\), .*; got \(6,\)"),
        ({"transform": np.ones((3, 8))}, r"got \(3, 8\)"),
        ({"transform": [1, 0, np.nan, 0, 1, 0, 0, 0]}, "must be finite, and holds NaN"),
        ({"transform": [1, 0, 0, 0, 1, 0, 0, 1e-3]}, "must be affine: the last two of its eight"),
        ({"transform": [1, 0, 3e9, 0, 1, 0, 0, 0]}, "leads 3e\\+09 pixels away from the image: too far"),
        ({"interpolation": "bilinaer"}, "unknown interpolation 'bilinaer'; did you mean 'bilinear'"),
        ({"fill_mode": "mirror"}, r"'mirror'.* Known: 'constant', 'nearest', 'reflect', 'wrap'"),
        ({"images": np.ones((2, 0, 4, 1)), "output_size": (3, 3)}, "images of 0x4 pixels have nothing"),
        ({"output_size": (3, -1)}, r"output_size must be \(height, width\)"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("backend", ["native", "reference"])
def test_what_cannot_be_done_is_said(arguments, message, backend):
    with fastconv.set_backend(backend), pytest.raises(ValueError, match=message):
        ops.affine_transform(**{"images": X, "transform": IDENTITY, **arguments})


def test_backward_wants_as_many_images_and_channels():
    with pytest.raises(ValueError, match=r"dy must have shape \(3, 4, 4, 1\)"):
        ops.affine_transform_backward(X, IDENTITY, (3, 4, 4, 1))
    with pytest.raises(ValueError, match=r"dy must have shape \(2, 4, 4, 5\)"):
        ops.affine_transform_backward(X, IDENTITY, (2, 4, 4, 5))
