"""The same seed gives the same weights, to the last bit, whatever the number of threads."""

from __future__ import annotations

import numpy as np
import pytest

import fastconv
from fastconv import layers, utils
from fastconv.models import Sequential


def trained_weights(threads, seed=3):
    with fastconv.set_num_threads(threads):
        utils.set_random_seed(seed)
        model = Sequential(
            [
                layers.Conv2D(10, 5, activation="relu", padding="same"),
                layers.MaxPooling2D(2),
                layers.Conv2D(16, 3, activation="relu"),
                layers.AveragePooling2D(2),
                layers.Flatten(),
                layers.Dropout(0.4),
                layers.Dense(20, activation="tanh"),
                layers.Dropout(0.2),
                layers.Dense(5, activation="softmax"),
            ]
        )
        model.compile("nadam", "sparse_categorical_crossentropy")
        x = np.random.rand(90, 16, 16, 2)  # noqa: NPY002 - the seed covers this generator too
        model.fit(x, np.arange(90) % 5, epochs=2, verbose=0)
        return np.concatenate([array.ravel() for array in model.get_weights()])


@pytest.fixture(scope="module")
def one_thread():
    return trained_weights(1)


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
def test_weights_do_not_depend_on_the_number_of_threads(one_thread, threads):
    np.testing.assert_array_equal(trained_weights(threads), one_thread)


def test_another_seed_gives_other_weights(one_thread):
    assert (trained_weights(1, seed=4) != one_thread).mean() > 0.9
