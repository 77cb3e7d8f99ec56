"""Predictions with dropout on: their mean and how far they lie apart."""

from __future__ import annotations

import numpy as np
import pytest

from fastconv import layers, utils
from fastconv.models import Sequential
from fastconv.utils import monte_carlo_predict

X = np.random.default_rng(0).normal(size=(21, 6, 6, 2)).astype(np.float32)


def network(**options):
    utils.set_random_seed(0)
    return Sequential(
        [
            layers.Input((6, 6, 2)),
            layers.GaussianNoise(0.3),
            layers.Conv2D(4, 3, activation="relu"),
            Sequential([layers.Flatten(), layers.Dropout(0.5, **options)]),
            layers.Dense(8, activation="relu"),
            layers.AlphaDropout(0.2, **options),
            layers.Dense(3, activation="softmax"),
        ]
    )


def test_mean_and_spread_are_those_of_the_samples():
    """The same draws by hand: layer after layer, dropout in training and all else not."""
    model = network(seed=3)
    first, last = model.layers[2].layers[1], model.layers[4]
    mean, std = monte_carlo_predict(model, X, samples=20, batch_size=len(X))
    first.set_random_state({"seed": 3, "draws": 0})
    last.set_random_state({"seed": 3, "draws": 0})
    samples = []
    for _ in range(20):
        y = X
        for layer in (model.layers[0], model.layers[1], model.layers[2].layers[0]):
            y = layer(y)
        y = model.layers[3](first(y, training=True))
        samples.append(model.layers[5](last(y, training=True)))
    np.testing.assert_allclose(mean, np.mean(samples, axis=0), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(std, np.std(samples, axis=0), rtol=1e-4, atol=1e-7)
    assert mean.dtype == std.dtype == np.float32
    assert std.max() > 0.01


def test_it_can_be_written_out_with_training_on():
    """What Géron's book does; the noise layer is then on too, so there is none here."""
    model = Sequential([layers.Flatten(input_shape=(6, 6, 2)), layers.Dropout(0.5, seed=1), layers.Dense(2)])
    samples = np.stack([model(X, training=True) for _ in range(400)])
    result = monte_carlo_predict(model, X, samples=400)
    plain = model.predict(X, verbose=0)
    for mean, std in (result, (samples.mean(axis=0), samples.std(axis=0))):
        # The network is linear behind the dropout: its mean prediction is the one without.
        np.testing.assert_allclose(mean, plain, atol=5 * samples.std(axis=0).max() / np.sqrt(400))
        np.testing.assert_allclose(std, samples.std(axis=0), rtol=0.3)


def test_afterwards_the_model_is_as_it_was():
    model = network()
    expected = model.predict(X, verbose=0)
    mean, _ = monte_carlo_predict(model, X, samples=3, batch_size=4)
    assert mean.shape == expected.shape
    np.testing.assert_array_equal(model.predict(X, verbose=0), expected)
    with pytest.raises(RuntimeError, match="call forward"):
        model.layers[-1].backward(expected)


def test_what_is_not_dropout_stays_in_inference_mode():
    class Witness(layers.Layer):
        def call(self, x, training):
            assert not training
            return x

    model = Sequential([Witness(), layers.Dropout(0.5), Witness(), layers.GaussianNoise(0.9)])
    before = model.layers[3].random_state()
    monte_carlo_predict(model, np.ones((2, 3)), samples=2)
    assert model.layers[3].random_state() == before


def test_the_first_layers_run_once_and_the_switch_is_turned_back_after_an_error():
    class Counted(layers.Layer):
        calls = 0

        def call(self, x, training):
            self.calls += 1
            return x

    class Failing(layers.Layer):
        def compute_output_shape(self, input_shape):
            return input_shape

        def call(self, x, training):
            raise ArithmeticError

    model = Sequential([Counted(), layers.Dropout(0.5), Counted()])
    monte_carlo_predict(model, np.ones((5, 3)), samples=7, batch_size=3)
    assert [layer.calls for layer in (model.layers[0], model.layers[2])] == [2, 14]
    model.add(Failing())
    with pytest.raises(ArithmeticError):
        monte_carlo_predict(model, np.ones((5, 3)))
    x = np.ones((5, 3), np.float32)
    np.testing.assert_array_equal(model.layers[1](x), x)


def test_errors():
    with pytest.raises(ValueError, match="has no dropout: all its predictions would be the same"):
        monte_carlo_predict(Sequential([layers.Flatten()]), X)
    with pytest.raises(ValueError, match="samples must be a whole number, at least 1; got 0"):
        monte_carlo_predict(network(), X, samples=0)
    with pytest.raises(ValueError, match="batch_size must be"):
        monte_carlo_predict(network(), X, batch_size=0)
    with pytest.raises(ValueError, match=r"expects input \(N, 6, 6, 2\)"):
        monte_carlo_predict(network(), X[:, :5])


def test_a_model_not_yet_built_and_one_sample_and_no_images():
    model = Sequential([layers.Flatten(), layers.Dropout(0.5), layers.Dense(2)])
    mean, std = monte_carlo_predict(model, X, samples=1)
    assert mean.shape == (21, 2)
    np.testing.assert_array_equal(std, np.zeros((21, 2)))
    mean, std = monte_carlo_predict(model, X[:0])
    assert mean.shape == std.shape == (0, 2)
