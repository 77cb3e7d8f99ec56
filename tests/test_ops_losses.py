"""Softmax and cross-entropy, compiled, on every instruction set, against the reference."""

from __future__ import annotations

import numpy as np
import pytest
from golden_cases import golden
from hypothesis import given
from hypothesis import strategies as st
from kernels import assert_same_bits_on_any_threads, each_isa
from strategies import UNIT_ROUNDOFF, check, examples, normal

import fastconv
from fastconv import ops, reference


def targets(form: str, N: int, classes: int, random: np.random.Generator) -> np.ndarray:
    labels = random.integers(0, classes, N)
    if form == "class numbers":
        return labels
    if form == "one-hot":
        return np.eye(classes)[labels]
    return random.random((N, classes), dtype=np.float32)  # any weights at all: they need not add up to 1


@examples(300)
@given(
    st.integers(1, 9),
    st.integers(1, 70),
    st.sampled_from(["class numbers", "one-hot", "distribution"]),
    st.booleans(),
    st.sampled_from([1.0, 30.0]),
    st.integers(0, 2**16),
)
def test_cross_entropy_equals_the_reference(N, classes, form, weighted, spread, seed):
    random = np.random.default_rng(seed)
    logits, labels = spread * normal(random, N, classes), targets(form, N, classes, random)
    weight = random.random(N, dtype=np.float32) if weighted else None
    loss, dlogits = reference.softmax_cross_entropy(logits, labels, weight)
    # As for log_softmax: the rounding of x - max, of the sum, of the logarithm; then a sum over the targets.
    below = (logits.max(-1, keepdims=True) - logits).astype(np.float64)
    error = UNIT_ROUNDOFF * (3 * below + 8 + 4 * np.sqrt(classes) + 2 * np.log(classes))
    one_hot = np.eye(classes)[labels] if labels.ndim == 1 else labels
    scale = np.ones(N) if weight is None else weight
    loss_bound = np.sum(scale[:, None] * one_hot * error) / N
    total = one_hot.sum(-1, keepdims=True)
    bound = scale[:, None] / N * (error + 4 * UNIT_ROUNDOFF * np.sqrt(classes)) * (total + one_hot)
    for isa in each_isa():
        found, found_dlogits = ops.softmax_cross_entropy(logits, labels, weight)
        assert isinstance(found, float)
        assert abs(found - loss) <= loss_bound, isa
        check(found_dlogits, dlogits, bound, isa)


@pytest.mark.parametrize("form", ["class numbers", "one-hot", "distribution"])
def test_several_blocks_of_rows_equal_the_reference(form):
    random = np.random.default_rng(3)
    logits, weight = normal(random, 1667, 10), random.random(1667, dtype=np.float32)
    labels = targets(form, 1667, 10, random)
    loss, dlogits = reference.softmax_cross_entropy(logits, labels, weight)
    for isa in each_isa():
        found, found_dlogits = ops.softmax_cross_entropy(logits, labels, weight)
        assert found == pytest.approx(loss, rel=1e-6), isa
        check(found_dlogits, dlogits, 4e-6 / 1667, isa)  # some units of p, t and weight, then / N


@golden("softmax_cross_entropy")
def test_cross_entropy_equals_pytorch(case):
    for isa in each_isa():
        loss, dlogits = ops.softmax_cross_entropy(case["logits"], case["labels"], case["sample_weight"])
        assert loss == pytest.approx(case["loss"], rel=1e-6), isa
        check(dlogits, case["dlogits"], 1e-6, isa)


def test_certainty_and_impossibility():
    logits = np.array([[1000.0, 0.0], [0.0, -np.inf]])
    for labels in ([1, 0], np.eye(2)[[1, 0]]):
        for _ in each_isa():
            loss, dlogits = ops.softmax_cross_entropy(logits, labels)
            assert loss == 500  # (1000 + 0) / 2
            assert dlogits.tolist() == [[0.5, -0.5], [0, 0]]


def test_a_nan_spoils_the_loss_but_only_its_own_row_of_the_gradient():
    logits = normal(np.random.default_rng(1), 4, 10)
    logits[2, 3] = np.nan
    for labels in (np.arange(4), np.eye(10)[:4]):
        for isa in each_isa():
            loss, dlogits = ops.softmax_cross_entropy(logits, labels)
            assert np.isnan(loss), isa
            assert np.isnan(dlogits).all(-1).tolist() == [False, False, True, False], isa
            assert np.isfinite(dlogits[[0, 1, 3]]).all(), isa


def test_the_loss_of_an_empty_batch_is_zero():
    loss, dlogits = ops.softmax_cross_entropy(np.empty((0, 3)), np.empty(0, int))
    assert loss == 0
    assert dlogits.shape == (0, 3)


def test_threads_do_not_change_a_bit():
    random = np.random.default_rng(2)
    logits, weight = normal(random, 3000, 37), random.random(3000)
    for form in ("class numbers", "distribution"):
        labels = targets(form, 3000, 37, random)
        for _ in each_isa():
            assert_same_bits_on_any_threads(
                lambda labels=labels: ops.softmax_cross_entropy(logits, labels, weight)
            )


@pytest.mark.parametrize("backend", ["native", "reference"])
def test_errors_name_the_argument(backend):
    logits = np.zeros((4, 3))
    with fastconv.set_backend(backend):
        for call, message in [
            (lambda: ops.softmax_cross_entropy(logits[0], [0]), "logits must have 2 axes"),
            (lambda: ops.softmax_cross_entropy(logits, [0, 1, 2]), "labels"),
            (lambda: ops.softmax_cross_entropy(logits, np.zeros((4, 2))), "labels"),
            (lambda: ops.softmax_cross_entropy(logits, [0, 1, 2, 3]), "labels"),
            (lambda: ops.softmax_cross_entropy(logits, [0, 1, 2, -1]), "labels"),
            (
                lambda: ops.softmax_cross_entropy(logits, [0, 1, 2, 0], np.ones(3)),
                "sample_weight must have shape",
            ),
            (lambda: ops.softmax_cross_entropy(logits, [0.5, 1, 2, 0]), "labels"),
        ]:
            with pytest.raises((ValueError, TypeError), match=message):
                call()
