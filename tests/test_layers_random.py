"""Dropout's relatives and noise: what they do on average, what they leave alone, where they go on from."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import numpy as np
import pytest
from golden_models import examples

import fastconv
from fastconv import gradcheck, layers, utils
from fastconv._core import randomness
from fastconv.models import Sequential, load_model

KERAS = dict(np.load(Path(__file__).parent / "golden" / "regularization.npz"))
RANDOM = {
    "dropout": lambda **a: layers.Dropout(0.4, **a),
    "dropout of rows": lambda **a: layers.Dropout(0.4, noise_shape=(None, None, 1, 1), **a),
    "spatial dropout": lambda **a: layers.SpatialDropout2D(0.4, **a),
    "alpha dropout": lambda **a: layers.AlphaDropout(0.4, **a),
    "alpha dropout of maps": lambda **a: layers.AlphaDropout(0.4, noise_shape=[None, 1, 1, None], **a),
    "gaussian dropout": lambda **a: layers.GaussianDropout(0.4, **a),
    "gaussian noise": lambda **a: layers.GaussianNoise(0.4, **a),
}
each = pytest.mark.parametrize("make", RANDOM.values(), ids=RANDOM)


def images(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


@each
def test_evaluation_is_the_identity(make):
    x, layer = images(2, 4, 3, 5), make()
    np.testing.assert_array_equal(layer(x), x)
    np.testing.assert_array_equal(layer.backward(x), x)
    assert (layer(x, training=True) != x).any()
    np.testing.assert_array_equal(layer(x, training=False), x)


@each
def test_numbers_follow_the_seed_and_are_new_each_time(make):
    x, layer, like = images(2, 4, 3, 5), make(seed=3), make(seed=3)
    first = layer(x, training=True)
    assert (layer(x, training=True) != first).any()
    np.testing.assert_array_equal(like(x, training=True), first)
    utils.set_random_seed(5)
    first = make()(x, training=True)
    assert (make()(x, training=True) != first).any()
    utils.set_random_seed(5)
    np.testing.assert_array_equal(make()(x, training=True), first)


@each
def test_no_number_depends_on_threads_or_instruction_set(make):
    x = np.round(images(2, 31, 17, 33) * 8)  # whole numbers and halves: sums and products are exact
    masks = set()
    for isa in fastconv.available_isas():
        for threads in (1, 2, 8):
            with fastconv.set_isa(isa), fastconv.set_num_threads(threads):
                layer = make(seed=1)
                masks.add((layer(x, training=True) > 3).tobytes())
    assert len(masks) == 1


@each
@pytest.mark.parametrize("backend", ["reference", "native"])
@pytest.mark.parametrize("training", [True, False])
def test_gradients(make, backend, training):
    check = gradcheck(make(seed=2), images(2, 4, 3, 5), backend=backend, training=training)
    assert check, check


@each
def test_both_backends_draw_the_same(make):
    x, layer = images(2, 3, 4, 2), make(seed=6)
    like = copy.deepcopy(layer)
    with fastconv.set_backend("reference"):
        expected = layer(x, training=True)
    assert expected.dtype == np.float64
    # Both multiply by numbers of up to 3 and add one of up to 1.
    np.testing.assert_allclose(like(x, training=True), expected, rtol=1e-6, atol=1e-6)


@each
def test_the_expected_value_is_x(make):
    """Alpha dropout keeps mean 0 and variance 1 instead: test below."""
    layer = make(seed=1)
    if isinstance(layer, layers.AlphaDropout):
        return
    x = np.full((300, 4, 3, 20), 2.0, np.float32)
    y = layer(x, training=True)
    independent = 300 * 4 if layer.get_config().get("noise_shape") else 300 * 20  # whole maps at the least
    deviation = 2 * np.sqrt(0.4 / 0.6) / np.sqrt(independent)
    assert y.mean(dtype=np.float64) == pytest.approx(2.0, abs=4 * deviation)


def test_spatial_dropout_keeps_or_drops_whole_maps():
    y = layers.SpatialDropout2D(0.3, seed=0)(np.ones((20, 5, 4, 50), np.float32), training=True)
    maps = y.transpose(0, 3, 1, 2).reshape(1000, 20)
    assert (maps == maps[:, :1]).all()
    assert set(np.unique(maps)) == {0, np.float32(1 / 0.7)}
    assert np.mean(maps == 0) == pytest.approx(0.3, abs=4 * np.sqrt(0.21 / 1000))
    with pytest.raises(ValueError, match=r"SpatialDropout2D .* expects input \(N, H, W, C\)"):
        layers.SpatialDropout2D(0.3)(np.ones((2, 3)))


def test_noise_shape_says_what_is_dropped_together():
    y = layers.Dropout(0.5, noise_shape=(None, 1, 3), seed=0)(np.ones((50, 7, 3)), training=True)
    assert (y == y[:, :1]).all()
    assert (y[:, 0, 0] != y[:, 0, 1]).any()
    with pytest.raises(ValueError, match=r"\(None, 1, 3\) does not fit an input of shape \(2, 7\)"):
        layers.Dropout(0.5, noise_shape=(None, 1, 3))(np.ones((2, 7)), training=True)
    with pytest.raises(ValueError, match="does not fit"):
        layers.AlphaDropout(0.5, noise_shape=(None, 2))(np.ones((2, 7)), training=True)


@pytest.mark.parametrize("rate", [0.1, 0.3, 0.5, 0.9])
@pytest.mark.parametrize("x", [0.0, 1.0])
def test_alpha_dropout_has_keras_constants(rate, x):
    y = layers.AlphaDropout(rate, seed=1)(np.full((1000,), x, np.float32), training=True)
    np.testing.assert_allclose(np.unique(y), KERAS[f"alpha dropout {rate} of {x}"], rtol=1e-6)


@pytest.mark.parametrize("rate", [0.05, 0.2, 0.5])
def test_alpha_dropout_keeps_mean_and_variance(rate):
    x = np.random.default_rng(1).normal(size=400_000).astype(np.float32)
    y = layers.AlphaDropout(rate, seed=1)(x, training=True)
    assert (y == y.min()).mean() < rate + 0.01
    assert y.mean(dtype=np.float64) == pytest.approx(0, abs=4 / np.sqrt(x.size))
    assert y.var(dtype=np.float64) == pytest.approx(1, abs=4 * np.sqrt(3 / x.size))


def test_gaussian_numbers_have_their_moments():
    x = np.ones(200_000, np.float32)
    noise = layers.GaussianNoise(0.3, seed=2)(x, training=True) - 1
    assert noise.std() == pytest.approx(0.3, rel=4 / np.sqrt(2 * x.size))
    assert np.mean(np.abs(noise) < 0.3) == pytest.approx(0.6827, abs=0.005)
    factors = layers.GaussianDropout(0.2, seed=2)(x, training=True)
    assert factors.std() == pytest.approx(np.sqrt(0.2 / 0.8), rel=4 / np.sqrt(2 * x.size))
    assert factors.mean() == pytest.approx(1, abs=4 * 0.5 / np.sqrt(x.size))


@pytest.mark.parametrize(
    "layer", [layers.AlphaDropout(0), layers.GaussianDropout(0), layers.GaussianNoise(0)]
)
def test_a_rate_of_0_changes_nothing(layer):
    x = images(3, 4)
    np.testing.assert_array_equal(layer(x, training=True), x)
    np.testing.assert_array_equal(layer.backward(x), x)


@each
@pytest.mark.parametrize("shape", [(0, 4, 4, 3), (1, 1, 1, 1), (1, 2, 3, 17)])
def test_small_and_empty_batches(make, shape):
    layer = make()
    y = layer(images(*shape), training=True)
    assert y.shape == layer.backward(y).shape == shape
    assert y.dtype == np.float32


# ---- where random numbers go on


def network():
    return Sequential(
        [
            layers.Input((6, 6, 2)),
            layers.GaussianNoise(0.1),
            layers.Conv2D(4, 3, activation="selu"),
            layers.SpatialDropout2D(0.2),
            Sequential([layers.Flatten(), layers.AlphaDropout(0.1, seed=8)], name="inner"),
            layers.Dense(3, activation="softmax"),
        ]
    )


def test_random_state_is_plain_and_goes_on_where_it_was_taken():
    x, model = images(4, 6, 6, 2), network()
    assert model.random_state()["inner"] == {model.layers[3].layers[1].name: {"seed": 8, "draws": 0}}
    assert Sequential([layers.Flatten(name="f")]).random_state() == {}
    model(x, training=True)
    state = json.loads(json.dumps(model.random_state()))
    expected = [model(x, training=True) for _ in range(3)]
    model.set_random_state(state)
    for y in expected:
        np.testing.assert_array_equal(model(x, training=True), y)
    for y, copied in zip(expected, [copy.deepcopy(model)] * 3, strict=True):
        assert (copied(x, training=True) != y).any()  # a copy goes on after the third


def test_random_states_of_others_are_refused():
    model = network()
    with pytest.raises(ValueError, match=r"random state of layers \['x'\], but those that draw are"):
        model.set_random_state({"x": {"seed": 1, "draws": 1}})
    with pytest.raises(ValueError, match="Dense 'd' draws no random numbers"):
        layers.Dense(2, name="d").set_random_state({"seed": 1, "draws": 1})
    layer = layers.Dropout(0.5, seed=4)
    for state in ({"seed": 1}, {"seed": 1, "draws": None}):
        with pytest.raises(ValueError, match=r"Dropout .*: a random state is a seed and draws"):
            layer.set_random_state(state)
    for state in ({"seed": -1, "draws": 0}, {"seed": 1, "draws": 2**32}, {"seed": "1", "draws": 0}):
        with pytest.raises(ValueError, match="must be a whole number"):
            layer.set_random_state(state)
    assert layer.random_state() == {"seed": 4, "draws": 0}
    layers.Dense(2).set_random_state({})


def test_a_layer_of_your_own_may_draw_from_a_generator_of_numpy():
    class Jitter(layers.Layer):
        def __init__(self, **options):
            super().__init__(**options)
            self.random = np.random.default_rng(3)

        def call(self, x, training):
            return x + self.random.random(x.shape)

    model = Sequential([Jitter(name="jitter")])
    state = json.loads(json.dumps(model.random_state()))
    expected = model(np.zeros((2, 3)))
    model.set_random_state(state)
    np.testing.assert_array_equal(model(np.zeros((2, 3))), expected)
    with pytest.raises(ValueError, match=r"Jitter 'jitter' draws from \['random'\]; got the state {}"):
        model.layers[0].set_random_state({})


def test_the_global_generator_goes_on_too():
    state = json.loads(json.dumps(randomness.generator_state()))
    expected = randomness.generator().random(3)
    randomness.set_generator_state(state)
    np.testing.assert_array_equal(randomness.generator().random(3), expected)


def test_training_broken_off_and_resumed_ends_with_the_same_bits(tmp_path):
    x, y = examples(30, (6, 6, 2), 3)
    utils.set_random_seed(1)
    model = network()
    model.compile("nadam", "sparse_categorical_crossentropy")
    for _ in range(3):
        model.train_on_batch(x, y)
    path = tmp_path / "model.safetensors"
    model.save(path)
    for _ in range(3):
        model.train_on_batch(x, y)
    utils.set_random_seed(2)
    resumed = load_model(path)
    assert resumed.random_state() != model.random_state()
    for _ in range(3):
        resumed.train_on_batch(x, y)
    for ours, theirs in zip(resumed.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert resumed.random_state() == model.random_state()


def test_a_draw_more_than_can_be_counted_begins_again():
    layer = layers.Dropout(0.5, seed=4)
    first = layer(np.ones(64, np.float32), training=True)
    layer.set_random_state({"seed": 4, "draws": 2**32 - 1})
    layer(np.ones(64, np.float32), training=True)
    np.testing.assert_array_equal(layer(np.ones(64, np.float32), training=True), first)
