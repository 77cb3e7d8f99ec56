"""Predictions averaged over augmented copies of an image."""

from __future__ import annotations

import numpy as np
import pytest

import fastconv
from fastconv import layers, utils
from fastconv.models import Sequential
from fastconv.utils import predict_augmented

X = np.random.default_rng(0).random((21, 6, 6, 2)).astype(np.float32)


def network():
    utils.set_random_seed(0)
    return Sequential(
        [
            layers.Input((6, 6, 2)),
            layers.Conv2D(4, 3, activation="relu"),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(3, activation="softmax"),
        ]
    )


def test_mean_and_spread_are_those_of_the_samples():
    model = network()
    flip = layers.RandomFlip("horizontal", seed=3)
    mean, std = predict_augmented(model, X, flip, samples=20, batch_size=len(X))
    flip.set_random_state({"seed": 3, "draws": 0})
    samples = [model.forward(flip(X)) for _ in range(20)]
    np.testing.assert_allclose(mean, np.mean(samples, axis=0), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(std, np.std(samples, axis=0), rtol=1e-4, atol=1e-6)
    assert mean.dtype == std.dtype == np.float32
    assert std.max() > 0.01


def test_several_steps_one_after_the_other_also_plain_functions():
    model = network()
    mean, std = predict_augmented(model, X, [lambda x: x + 1, lambda x: 2 * x], samples=3)
    np.testing.assert_allclose(mean, model.forward(2 * (X + 1)), atol=1e-6)
    np.testing.assert_allclose(std, 0, atol=1e-6)
    mean, _ = predict_augmented(model, X, [], samples=1)
    np.testing.assert_allclose(mean, model.forward(X), atol=1e-6)


def test_a_mirror_image_is_as_good_as_the_image():
    """With every image seen both ways equally often, mirrored images get the same mean."""
    model, ways = network(), []

    def each_way_in_turn(x):
        ways.append(len(ways) % 2)
        return x[:, :, ::-1] if ways[-1] else x

    mean, _ = predict_augmented(model, X, each_way_in_turn, samples=2, batch_size=8)
    mirrored, _ = predict_augmented(model, X[:, :, ::-1], each_way_in_turn, samples=2, batch_size=8)
    np.testing.assert_allclose(mirrored, mean, atol=1e-6)
    assert len(ways) == 2 * 3 * 2


def test_it_leaves_nothing_behind():
    model = network()
    model.compile("sgd", "sparse_categorical_crossentropy")
    before = model.predict(X, verbose=0)
    predict_augmented(model, X, layers.RandomFlip("horizontal"), samples=2)
    assert np.array_equal(model.predict(X, verbose=0), before)
    with pytest.raises((RuntimeError, ValueError)):
        model.backward(np.ones((21, 3)))


def test_the_seed_decides():
    def mean():
        model = network()
        return predict_augmented(model, X, layers.RandomTranslation(0.3, 0.3), samples=2).mean

    assert np.array_equal(mean(), mean())


def test_edges():
    model = network()
    flip = layers.RandomFlip()
    assert predict_augmented(model, X[:0], flip, samples=2).mean.shape == (0, 3)
    assert predict_augmented(model, X[:1].astype(float), flip, samples=1).mean.shape == (1, 3)
    unbuilt = Sequential([layers.Flatten(), layers.Dense(2)])
    assert predict_augmented(unbuilt, X, flip, samples=2).mean.shape == (21, 2)


def test_what_is_wrong():
    model = network()
    flip = layers.RandomFlip()
    with pytest.raises(TypeError, match="augment must be a function of a batch of images, or several; got 3"):
        predict_augmented(model, X, [flip, 3])
    with pytest.raises(ValueError, match="samples"):
        predict_augmented(model, X, flip, samples=0)
    with pytest.raises(ValueError, match="batch_size"):
        predict_augmented(model, X, flip, batch_size=0)
    with pytest.raises(ValueError, match="2 channels, it holds 1"):
        predict_augmented(model, X[..., :1], flip)


def test_the_networks_of_the_package_take_it():
    net = fastconv.applications.ConvNetJSCifar10()
    x = np.random.default_rng(1).random((5, 32, 32, 3), np.float32)
    shift = layers.RandomTranslation(2.5 / 32, 2.5 / 32, "constant", "nearest", fill_value=0.5)
    mean, std = predict_augmented(net, x, [layers.RandomFlip("horizontal"), shift], samples=4)
    np.testing.assert_allclose(mean.sum(1), 1, atol=1e-6)
    assert (std > 0).all()


def test_the_examples_shift_is_by_whole_pixels():
    """RandomTranslation(2.5 / 32, interpolation="nearest") moves by -2, ..., 2 pixels, each as often."""
    utils.set_random_seed(1)
    shift = layers.RandomTranslation(0, 2.5 / 32, "constant", "nearest", fill_value=0.5)
    ramp = np.broadcast_to(np.arange(32, dtype=np.float32)[:, None], (5000, 32, 32, 1))  # pixel = its column
    moved = shift(ramp)
    pixels = 16 - moved[:, 0, 16, 0].astype(int)
    for by in range(-2, 3):
        rows = moved[pixels == by, 3, max(0, by) : 32 + min(0, by), 0]
        assert (rows == np.arange(max(0, -by), 32 - max(0, by))).all()
        assert len(rows) == pytest.approx(1000, abs=5 * np.sqrt(5000 * 0.2 * 0.8))
    assert (moved[pixels == 2, :, :2] == 0.5).all()
    assert (moved[pixels == -2, :, -2:] == 0.5).all()
