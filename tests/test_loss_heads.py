"""The losses that a compiled network ends in: values and gradients as those of fastconv.losses."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernels import each_isa
from strategies import UNIT_ROUNDOFF, check, examples, normal

import fastconv
from fastconv import _kernels, losses

KINDS = {
    "softmax_cross_entropy": losses.CategoricalCrossentropy(from_logits=True),
    "sigmoid_cross_entropy": losses.BinaryCrossentropy(from_logits=True),
    "squared": losses.MeanSquaredError(),
    "absolute": losses.MeanAbsoluteError(),
    "huber": losses.Huber(delta=0.75),
}


def compute(kind, x, labels=None, rows=None, weights=None, scale=1.0, cuts=(0,), limits=(0.0, 0.0)):
    """(losses, gradient), a call for the images from each of `cuts` to the next."""
    found, gradient = np.empty(len(x), np.float32), np.empty(x.shape, np.float32)
    for first, end in zip(cuts, [*cuts[1:], len(x)], strict=True):
        _kernels.loss_gradient(
            kind, x, labels, rows, weights, 0.75, *limits, scale, first, end - first, found, gradient
        )
    return found, gradient


def expected(kind, x, target, weights):
    """The same by fastconv.losses, in double precision: the losses' means over each image's places."""
    loss = losses.SparseCategoricalCrossentropy(from_logits=True) if target.ndim == 3 else KINDS[kind]
    with fastconv.set_backend("reference"):
        x = x.astype(np.float64)
        weights = None if weights is None else np.broadcast_to(weights[:, None, None], x.shape[:3])
        return loss.per_sample(target, x).mean((1, 2)), loss.gradient(target, x, weights)


def bounds(kind, x, target):
    """What rounding may add to each image's loss, and to each number of the gradient times N H W.

    An exponential is good to 1 unit in the last place, a sigmoid and a logarithm to 3; sums over n terms in
    vectors to sqrt(n) units of the sum of the terms.
    """
    u = UNIT_ROUNDOFF
    if kind == "softmax_cross_entropy":
        below = (x.max(-1, keepdims=True) - x).astype(np.float64)
        classes = x.shape[-1]
        one_hot = np.eye(classes)[target] if target.ndim == 3 else target
        error = u * (3 * below + 8 + 4 * np.sqrt(classes) + 2 * np.log(classes))
        total = one_hot.sum(-1, keepdims=True)
        return (one_hot * error).sum(-1).mean((1, 2)) + u * 8, (error + 8 * u * np.sqrt(classes)) * (
            total + one_hot
        )
    difference = np.abs(x.astype(np.float64) - target)
    size = {"sigmoid_cross_entropy": np.abs(x) + 1, "squared": difference**2}.get(kind, difference)
    slope = {"sigmoid_cross_entropy": 2.0, "squared": 2 * difference}.get(kind, np.ones_like(difference))
    # The difference of two floats is good to a unit of itself.
    terms = np.prod(x.shape[1:])
    return 8 * u * np.sqrt(terms) * size.mean((1, 2, 3)), 8 * u * slope / x.shape[-1]


@examples(300)
@given(
    st.sampled_from([*KINDS, "labels"]),
    st.integers(1, 5),
    st.sampled_from(
        [(1, 1, 2), (1, 1, 17), (1, 1, 5), (3, 1, 2), (5, 7, 3), (9, 9, 4), (1, 1, 1), (9, 16, 7)]
    ),
    st.booleans(),
    st.sampled_from([0.5, 8.0]),
    st.integers(0, 2**16),
)
def test_values_and_gradients_are_those_of_the_losses(kind, N, size, weighted, spread, seed):
    random = np.random.default_rng(seed)
    labelled, kind = kind == "labels", "softmax_cross_entropy" if kind == "labels" else kind
    if kind == "softmax_cross_entropy" and size[-1] < 2:
        size = (*size[:2], 2)
    x = spread * normal(random, N, *size)
    rows = random.random((N, *size), dtype=np.float32)
    if kind == "softmax_cross_entropy":
        rows /= rows.sum(-1, keepdims=True)
    labels = random.integers(0, size[-1], (N, *size[:2])) if labelled else None
    rows = None if labelled else rows
    weights = random.random(N, dtype=np.float32) if weighted else None
    target = labels if labelled else rows
    values, gradient = expected(kind, x, target, weights)
    value_bound, gradient_bound = bounds(kind, x, target)
    places = size[0] * size[1]
    weight = 1 if weights is None else weights[:, None, None, None]
    for isa in each_isa():
        found, found_gradient = compute(kind, x, labels, rows, weights, scale=1 / N)
        check(found, values, value_bound, isa)
        check(found_gradient, gradient, gradient_bound * weight / (N * places), isa)


@pytest.mark.parametrize("kind", [*KINDS, "labels"])
def test_an_image_has_the_same_bits_in_any_range_of_images(kind):
    random = np.random.default_rng(1)
    x, rows = normal(random, 11, 5, 7, 6), random.random((11, 5, 7, 6), dtype=np.float32)
    labels, weights = random.integers(0, 6, (11, 5, 7)), random.random(11, dtype=np.float32)
    targets = {"labels": labels} if kind == "labels" else {"rows": rows}
    kind = "softmax_cross_entropy" if kind == "labels" else kind
    for isa in each_isa():
        whole = compute(kind, x, **targets, weights=weights, scale=0.1)
        for cuts in [(0, 8), (0, 1, 2, 10), range(11)]:
            for one, other in zip(
                whole, compute(kind, x, **targets, weights=weights, scale=0.1, cuts=cuts), strict=True
            ):
                assert one.tobytes() == other.tobytes(), isa


def test_a_long_image_loses_no_digits():
    """100,000 numbers: sums of floats alone would be off by some 1e-5."""
    random = np.random.default_rng(2)
    x, rows = normal(random, 2, 100, 250, 4) + 3, np.zeros((2, 100, 250, 4), np.float32)
    for kind in ("squared", "absolute", "huber", "sigmoid_cross_entropy"):
        values, _ = expected(kind, x, rows, None)
        for isa in each_isa():
            np.testing.assert_allclose(compute(kind, x, rows=rows)[0], values, rtol=1e-6, err_msg=isa)


@pytest.mark.parametrize("kind", KINDS)
def test_a_nan_spoils_its_own_image_and_infinities_are_as_in_the_formula(kind):
    x, rows = normal(np.random.default_rng(3), 4, 1, 1, 17), np.zeros((4, 1, 1, 17), np.float32)
    rows[..., 2] = 1
    x[0, 0, 0, 3], x[1, 0, 0, 16], x[2, 0, 0, 5] = np.nan, np.inf, -np.inf
    # Of softmax's, 0 log 0 is 0: an impossible class that is not the answer costs nothing.
    target = np.full((4, 1, 1), 2) if kind == "softmax_cross_entropy" else rows
    with np.errstate(invalid="ignore", over="ignore"):
        values, gradient = expected(kind, x, target, None)
    for isa in each_isa():
        found, found_gradient = compute(kind, x, rows=rows, scale=1 / 4)
        np.testing.assert_allclose(found, values, rtol=1e-5, err_msg=isa)
        np.testing.assert_allclose(found_gradient, gradient, rtol=1e-5, atol=1e-7, err_msg=isa)
        assert np.isnan(found[0])
        assert np.isfinite(found[3])


@pytest.mark.parametrize("kind", ["softmax_cross_entropy", "sigmoid_cross_entropy", "labels"])
def test_limits_are_the_clipping_of_probabilities(kind):
    """The loss is that of the clipped probabilities, class by class; the gradient that at the logits."""
    random = np.random.default_rng(4)
    x, rows = 12 * normal(random, 6, 3, 5, 4), random.random((6, 3, 5, 4), dtype=np.float32)
    labels = random.integers(0, 4, (6, 3, 5))
    if kind == "sigmoid_cross_entropy":
        loss, p = losses.BinaryCrossentropy(), 1 / (1 + np.exp(-x.astype(np.float64)))
    else:
        loss = (
            losses.SparseCategoricalCrossentropy() if kind == "labels" else losses.CategoricalCrossentropy()
        )
        p = np.exp(x.astype(np.float64) - x.max(-1, keepdims=True))
        p /= p.sum(-1, keepdims=True)
    target = labels if kind == "labels" else rows
    values, gradient = loss.per_sample(target, p).mean((1, 2)), loss.gradient_at_logits(target, p)
    limits = (-np.log1p(-1e-7), -np.log(1e-7))
    targets = {"labels": labels} if kind == "labels" else {"rows": rows}
    kind = "softmax_cross_entropy" if kind == "labels" else kind
    for isa in each_isa():
        found, found_gradient = compute(kind, x, **targets, scale=1 / 6, limits=limits)
        np.testing.assert_allclose(found, values, rtol=1e-5, err_msg=isa)
        np.testing.assert_allclose(found_gradient, gradient, rtol=1e-4, atol=1e-7, err_msg=isa)
        assert not np.allclose(compute(kind, x, **targets)[0], values, rtol=1e-3)


def test_of_no_images_nothing_is_written():
    x = np.zeros((2, 1, 1, 3), np.float32)
    found, gradient = np.full(2, 7, np.float32), np.full(x.shape, 7, np.float32)
    _kernels.loss_gradient("squared", x, None, x, None, 0, 0, 0, 1, 1, 0, found, gradient)
    assert (found == 7).all()
    assert (gradient == 7).all()
