"""The stream of random numbers, and dropout on every instruction set."""

from __future__ import annotations

from itertools import islice, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernels import assert_same_bits_on_any_threads, each_isa
from strategies import UNIT_ROUNDOFF, check, examples

import fastconv
from fastconv import ops, reference
from fastconv.reference.threefry import random_words, threefry2x32


@pytest.mark.parametrize(
    ("key", "counter", "words"),
    [
        ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
        ((0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF), (0x1CB996FC, 0xBB002BE7)),
        ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xC4923A9C, 0x483DF7A0)),
    ],
)
def test_threefry_gives_its_authors_words(key, counter, words):
    """The known answers that come with Salmon et al.'s Random123 for Threefry-2x32 of 20 rounds."""
    assert threefry2x32(key, counter) == words


seeds = st.sampled_from([0, 1, 2**32, 2**63 + 5, 2**64 - 1]) | st.integers(0, 2**64 - 1)


@examples(200)
@given(
    st.lists(st.integers(0, 9), max_size=2),
    st.integers(0, 80),
    st.floats(0, 1),
    seeds,
    st.integers(0, 2**32 - 1),
    st.sampled_from([0, 3, 2**32 - 1]),
    st.integers(0, 2**16),
)
def test_the_kernel_equals_the_reference(leading, count, rate, seed, call, image, numbers):
    x = np.random.default_rng(numbers).normal(size=(*leading, count)).astype(np.float32)
    options = {"scale": 1.5, "shift": 0.25, "fill": -3.0, "first_image": image}
    expected = reference.dropout(x, rate, seed, call, **options)
    for isa in each_isa():
        y = ops.dropout(x, rate, seed, call, **options)
        check(y, expected, 2 * UNIT_ROUNDOFF * (1.5 * np.abs(x) + 0.25), isa)
        np.testing.assert_array_equal(y == -3, expected == -3)
    for isa in each_isa():
        y = ops.dropout(x, rate, seed, call, first_image=image)
        np.testing.assert_array_equal(y != 0, (expected != -3) & (x != 0), isa)


def test_the_same_words_decide_on_every_instruction_set_and_any_number_of_threads():
    x = np.ones((3, 101, 333), np.float32)
    found = set()
    for isa in fastconv.available_isas():
        with fastconv.set_isa(isa):
            assert_same_bits_on_any_threads(lambda: ops.dropout(x, 0.3, seed=7, call=2))
            found.add(ops.dropout(x, 0.3, seed=7, call=2).tobytes())
    assert len(found) == 1


def test_image_and_place_decide_and_not_what_is_there():
    """A larger image begins with the numbers of a smaller one; shapes of images do not matter."""
    large = ops.dropout(np.ones((4, 5, 50), np.float32), 0.4, 9)
    small = ops.dropout(np.full((4, 77), -2.0, np.float32), 0.4, 9)
    np.testing.assert_array_equal(small == 0, large.reshape(4, -1)[:, :77] == 0)
    np.testing.assert_array_equal(ops.dropout(np.ones(250, np.float32), 0.4, 9), large[0].ravel())


@pytest.mark.parametrize("size", [1, 31, 1500])
def test_a_batch_may_be_cut_anywhere(size):
    x = np.random.default_rng(0).normal(size=(23, size)).astype(np.float32)
    for isa in each_isa():
        whole = ops.dropout(x, 0.3, 5, 6, first_image=100)
        for cuts in ([0, 8, 16, 23], [0, 1, 22, 23], range(24)):
            parts = [
                ops.dropout(x[first:end], 0.3, 5, 6, first_image=100 + first) for first, end in pairwise(cuts)
            ]
            assert np.concatenate(parts).tobytes() == whole.tobytes(), isa


def test_words_are_even_and_images_calls_and_seeds_independent():
    count = 100_000
    masks = {
        (seed, call, image): ops.dropout(np.ones(count, np.float32), 0.5, seed, call, first_image=image) == 0
        for seed in (0, 1, 2**32)
        for call in (0, 1)
        for image in (0, 1)
    }
    for mask in masks.values():
        assert mask.mean() == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(count))
        # Neighbours, and numbers that come from the same counter, are dropped independently.
        for apart in (1, 16, 32):
            together = np.mean(mask[apart:] & mask[:-apart])
            assert together == pytest.approx(0.25, abs=4 * np.sqrt(0.25 * 0.75 / count))
    names = list(masks)
    for i, one in enumerate(names):
        for other in names[:i]:
            together = np.mean(masks[one] & masks[other])
            assert together == pytest.approx(0.25, abs=4 * np.sqrt(0.25 * 0.75 / count)), (one, other)


def test_places_are_independent_from_image_to_image():
    """Each of 40 places in 20,000 images, and pairs of them: small images use few counters of many images."""
    count, places = 20_000, 40
    dropped = (ops.dropout(np.ones((count, places), np.float32), 0.3, 11) == 0).astype(np.float64)
    # 5 deviations: of 40 means and 1,600 products none may lie beyond.
    np.testing.assert_allclose(dropped.mean(0), 0.3, atol=5 * np.sqrt(0.3 * 0.7 / count))
    together = dropped.T @ dropped / count
    off = ~np.eye(places, dtype=bool)
    np.testing.assert_allclose(together[off], 0.09, atol=5 * np.sqrt(0.09 * 0.91 / count))
    next_image = dropped[1:].T @ dropped[:-1] / (count - 1)
    np.testing.assert_allclose(next_image, 0.09, atol=5 * np.sqrt(0.09 * 0.91 / count))


@pytest.mark.parametrize("rate", [1e-3, 0.1, 0.5, 0.8])
def test_the_expected_value_is_x(rate):
    x = np.full(200_000, 3.0, np.float32)
    y = ops.dropout(x, rate, seed=4)
    deviation = 3 * np.sqrt(rate / (1 - rate) / x.size)
    assert y.mean(dtype=np.float64) == pytest.approx(3.0, abs=4 * deviation)


@pytest.mark.parametrize("backend", ["native", "reference"])
def test_nothing_and_everything(backend):
    x = np.float32([1, -2, np.nan, np.inf])
    with fastconv.set_backend(backend):
        np.testing.assert_array_equal(ops.dropout(x, 0, 1), x)
        np.testing.assert_array_equal(ops.dropout(x, 1, 1, fill=5), [5, 5, 5, 5])
        np.testing.assert_array_equal(ops.dropout(x, 1.0, 1), np.zeros(4))
        assert ops.dropout(np.ones((0, 3)), 0.5, 1).shape == (0, 3)
        assert np.isnan(ops.dropout(np.full(8, np.nan), 1e-9, 1)).all()


def test_x_may_lie_anyhow_and_is_not_changed():
    x = np.arange(24.0).reshape(4, 6)[:, ::-2]
    x.flags.writeable = False
    np.testing.assert_array_equal(ops.dropout(x, 0.5, 3), ops.dropout(np.float32(x.copy()), 0.5, 3))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((1.1, 0), "rate is the share to drop, between 0 and 1; got 1.1"),
        ((float("nan"), 0), "rate is the share"),
        ((0.5, -1), r"seed must be a whole number from 0 to 2\*\*64 - 1; got -1"),
        ((0.5, 2**64), "seed"),
        ((0.5, 1.5), "seed"),
        ((0.5, 0, 2**32), r"call must be a whole number from 0 to 2\*\*32 - 1"),
    ],
)
def test_arguments_that_cannot_be(arguments, message):
    with pytest.raises(ValueError, match=message):
        ops.dropout(np.ones(3), *arguments)
    with pytest.raises(ValueError, match=r"first_image must be a whole number from 0 to 2\*\*32 - 1; got -1"):
        ops.dropout(np.ones(3), 0.5, 0, first_image=-1)


def test_words_of_the_reference_come_in_blocks():
    words = list(islice(random_words(2**32 + 3, 5, image=7), 64))
    key = threefry2x32((3, 1), (5, 0))
    assert words[0] == threefry2x32(key, (0, 7))[0]
    assert words[16] == threefry2x32(key, (0, 7))[1]
    assert words[33] == threefry2x32(key, (17, 7))[0]
