"""The small helpers around training."""

from __future__ import annotations

import random

import numpy as np
import pytest

from fastconv import utils
from fastconv._random import generator


def test_one_seed_for_all_generators():
    drawn = []
    for _ in range(2):
        utils.set_random_seed(11)
        drawn.append((random.random(), np.random.rand(), generator().random()))  # noqa: NPY002
    assert drawn[0] == drawn[1]


@pytest.mark.parametrize("seed", [-1, 2**32, 1.5, "1", None, True])
def test_seeds_are_whole_numbers(seed):
    with pytest.raises(ValueError, match="seed must be a whole number"):
        utils.set_random_seed(seed)


@pytest.mark.parametrize("labels", [[2, 0, 1], [[2], [0], [1]], np.uint8([2, 0, 1]), [2.0, 0.0, 1.0]])
def test_to_categorical(labels):
    rows = utils.to_categorical(labels)
    np.testing.assert_array_equal(rows, [[0, 0, 1], [1, 0, 0], [0, 1, 0]])
    assert rows.dtype == np.float32
    assert utils.to_categorical(labels, 5).shape == (3, 5)


def test_to_categorical_keeps_leading_axes():
    assert utils.to_categorical(np.zeros((2, 3), int), 4).shape == (2, 3, 4)


@pytest.mark.parametrize(
    ("labels", "classes", "message"),
    [
        ([0, 3], 3, r"label 3 is outside 0\.\.2"),
        ([-1, 0], None, r"label -1 is outside 0\.\.0"),
        ([0.5], None, "whole-number labels, got float64"),
        (["a"], None, "whole-number labels"),
        ([], None, "needs num_classes"),
    ],
)
def test_to_categorical_refuses(labels, classes, message):
    with pytest.raises(ValueError, match=message):
        utils.to_categorical(labels, classes)
