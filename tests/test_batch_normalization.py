"""The layer BatchNormalization: Keras' numbers, its two modes, and its weights that no optimizer touches."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import numpy as np
import pytest
from kernels import each_isa

import fastconv
from fastconv import gradcheck, layers
from fastconv.layers import BatchNormalization
from fastconv.models import Sequential

GOLDEN = np.load(Path(__file__).parent / "golden" / "batch_norm.npz")  # golden/make_batch_norm.py
CASES = sorted({key.split("/")[0] for key in GOLDEN.files} - {"torch"})
STEPS = 4  # and one more, in inference

BACKENDS = ["reference", "native"]
VECTORS = np.random.default_rng(1).normal(1, 2, (5, 6))
IMAGES = np.random.default_rng(2).normal(-1, 2, (2, 3, 4, 5))


def with_weights(shape, **config) -> BatchNormalization:
    """A layer that differs from the identity in every weight."""
    layer = BatchNormalization(**config)
    layer.build(shape[1:])
    random = np.random.default_rng(3)
    for weight in layer.weights:
        weight.value = random.uniform(0.5, 2, weight.shape)
    return layer


@pytest.mark.parametrize("case", CASES)
def test_steps_of_training_and_inference_are_keras(case):
    """Both round in float32: numbers up to 10 or so, sums of up to 60 terms; and Keras takes the mean off
    last.
    """
    config = json.loads(str(GOLDEN[f"{case}/config"]))
    names = sorted(key for key in GOLDEN.files if key.startswith(f"{case}/weights/"))
    for isa in each_isa():
        layer = BatchNormalization(**config)
        layer.build(GOLDEN[f"{case}/0/x"].shape[1:])
        assert [weight.name for weight in layer.weights] == [name.rpartition(" ")[2] for name in names]
        layer.set_weights([GOLDEN[name] for name in names])
        for step in range(STEPS + 1):
            golden = {
                key.rpartition("/")[2]: GOLDEN[key]
                for key in GOLDEN.files
                if key.startswith(f"{case}/{step}/")
            }
            y = layer.forward(golden["x"], training=step < STEPS)
            dx = layer.backward(golden["dy"])
            where = f"{isa}, step {step}"
            np.testing.assert_allclose(y, golden["y"], rtol=2e-6, atol=4e-6, err_msg=where)
            scale = np.abs(golden["dx"]).max() + np.abs(golden["dy"]).max()
            np.testing.assert_allclose(dx, golden["dx"], atol=2e-6 * scale, err_msg=where)
            for parameter in layer.parameters:
                wanted = golden[f"d{parameter.name}"]
                np.testing.assert_allclose(parameter.grad, wanted, rtol=1e-5, atol=2e-5, err_msg=where)
            for name in ("moving_mean", "moving_variance"):
                found = getattr(layer, name).value
                np.testing.assert_allclose(
                    found, golden[name], rtol=1e-6, atol=1e-6, err_msg=f"{where}, {name}"
                )


def test_moving_averages_are_float32_arithmetic():
    layer = with_weights((None, 6), momentum=0.99)
    before = layer.moving_mean.numpy()
    layer.forward(VECTORS, training=True)
    mean, _ = fastconv.ops.moments(VECTORS)
    expected = before * np.float32(0.99) + mean * np.float32(1 - 0.99)
    np.testing.assert_array_equal(layer.moving_mean.value, expected)


def test_training_gives_mean_0_and_variance_1_then_gamma_and_beta():
    layer = BatchNormalization(epsilon=1e-9)
    y = layer.forward(IMAGES, training=True)
    np.testing.assert_allclose(y.mean((0, 1, 2)), 0, atol=1e-6)
    np.testing.assert_allclose(y.var((0, 1, 2)), 1, rtol=1e-5)
    layer.gamma.value, layer.beta.value = np.full(5, 3.0), np.arange(5.0)
    y = layer.forward(IMAGES, training=True)
    np.testing.assert_allclose(y.mean((0, 1, 2)), np.arange(5), atol=3e-6)
    np.testing.assert_allclose(y.std((0, 1, 2)), 3, rtol=1e-5)


def test_a_fresh_layer_in_inference_only_divides_by_root_of_one_and_epsilon():
    y = BatchNormalization(epsilon=0.21).forward(VECTORS)
    np.testing.assert_allclose(y, VECTORS / 1.1, rtol=1e-6)


# ---- gradients


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("x", [VECTORS, IMAGES, IMAGES[0], IMAGES[..., :1]], ids=lambda x: str(x.shape))
@pytest.mark.parametrize("config", [{}, {"center": False}, {"scale": False}, {"trainable": False}], ids=str)
def test_gradients(x, config, training, backend):
    layer = with_weights(x.shape, **config)
    check = gradcheck(layer, x, backend=backend, training=training)
    assert check, check
    assert len(check.worst_of) == 1 + len(layer.parameters)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("training", [True, False])
def test_gradients_between_a_convolution_and_its_activation(training, backend):
    model = Sequential(
        [
            layers.Input((6, 5, 3)),
            layers.Conv2D(4, 3, use_bias=False),
            BatchNormalization(),
            layers.ELU(),
            layers.Flatten(),
            layers.Dense(3, activation="softmax"),
        ]
    )
    x = np.random.default_rng(4).normal(size=(3, 6, 5, 3))
    check = gradcheck(model, x, backend=backend, training=training, samples=25)
    assert check, check


def test_no_gradient_for_x_where_nobody_wants_one():
    layer = with_weights(VECTORS.shape)
    layer.forward(VECTORS, training=True)
    assert layer.backward(np.ones_like(VECTORS), input_gradient=False) is None
    np.testing.assert_allclose(layer.beta.grad, 5)


# ---- frozen


def test_a_frozen_layer_is_in_inference_whatever_training_says():
    layer = with_weights(VECTORS.shape)
    expected, weights = layer.forward(VECTORS), layer.get_weights()
    layer.trainable = False
    np.testing.assert_array_equal(layer.forward(VECTORS, training=True), expected)
    for before, after in zip(weights, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
    assert layer.parameters == []
    layer.trainable = True
    assert not np.allclose(layer.forward(VECTORS, training=True), expected)


def test_inference_leaves_the_moving_averages_alone():
    layer = with_weights(VECTORS.shape)
    weights = layer.get_weights()
    layer.forward(VECTORS)
    for before, after in zip(weights, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)


# ---- in a model


def small_model() -> Sequential:
    fastconv.utils.set_random_seed(0)
    return Sequential(
        [
            layers.Input((6, 6, 2)),
            layers.Conv2D(4, 3, use_bias=False),
            BatchNormalization(momentum=0.5),
            layers.ReLU(),
            layers.Flatten(),
            layers.Dense(5),
            BatchNormalization(center=False),
            layers.Dense(3, activation="softmax"),
        ]
    )


def data(count=40):
    random = np.random.default_rng(5)
    y = random.integers(0, 3, count)
    return (random.normal(size=(count, 6, 6, 2)) + y[:, None, None, None]).astype(np.float32), y


def test_summary_counts_moving_averages_as_not_trainable():
    model = small_model()
    assert [weight.name for weight in model.layers[1].weights] == [
        "gamma",
        "beta",
        "moving_mean",
        "moving_variance",
    ]
    assert [weight.name for weight in model.layers[5].weights] == ["gamma", "moving_mean", "moving_variance"]
    trainable = sum(parameter.size for parameter in model.trainable_weights)
    assert (model.count_params(), trainable) == (72 + 16 + 64 * 5 + 5 + 15 + 18, 72 + 8 + 64 * 5 + 5 + 5 + 18)
    lines: list[str] = []
    model.summary(print_fn=lines.append)
    assert f"Non-trainable params: {8 + 10} " in lines[0]


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "nadam", "rmsprop"])
def test_no_optimizer_touches_the_moving_averages(optimizer):
    """After a step they are what the batch made them, but for the order of two roundings."""
    x, y = data()
    model, twin = small_model(), small_model()
    model.compile(optimizer, "sparse_categorical_crossentropy")
    twin.compile(fastconv.optimizers.SGD(0.0), "sparse_categorical_crossentropy")
    for one in (model, twin):
        one.train_on_batch(x, y)
    for index in (1, 5):
        for name in ("moving_mean", "moving_variance"):
            mine, wanted = getattr(model.layers[index], name), getattr(twin.layers[index], name)
            np.testing.assert_allclose(mine.value, wanted.value, rtol=2e-7, atol=1e-8)


def test_fit_learns_and_evaluates_with_the_moving_averages():
    x, y = data(200)
    model = small_model()
    model.compile(fastconv.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x, y, batch_size=20, epochs=15, verbose=0)
    assert model.evaluate(x, y, verbose=0)[1] > 0.9
    np.testing.assert_allclose(model.predict(x[:1], verbose=0), model.predict(x, verbose=0)[:1], atol=1e-5)


def test_a_saved_model_computes_the_same_and_goes_on_the_same(tmp_path):
    x, y = data()
    model = small_model()
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(x, y, epochs=2, verbose=0)
    model.save(tmp_path / "model.safetensors")
    loaded = fastconv.models.load_model(tmp_path / "model.safetensors")
    twin = copy.deepcopy(model)
    for other in (loaded, twin):
        np.testing.assert_array_equal(other.predict(x, verbose=0), model.predict(x, verbose=0))
    for each in (model, loaded, twin):
        each.train_on_batch(x, y)
    for other in (loaded, twin):
        for mine, wanted in zip(other.get_weights(), model.get_weights(), strict=True):
            np.testing.assert_array_equal(mine, wanted)


def test_gamma_and_beta_are_penalized_and_keep_to_their_constraints():
    layer = BatchNormalization(gamma_regularizer="l2", beta_constraint="non_neg", beta_initializer="ones")
    model = Sequential([layers.Input((6,)), layer])
    assert layer.losses == pytest.approx([0.01 * 6])
    model.compile(fastconv.optimizers.SGD(100.0), "mse")
    model.train_on_batch(VECTORS, np.zeros_like(VECTORS))
    np.testing.assert_array_equal(layer.beta.value, 0)
    assert layers.deserialize(layers.serialize(layer)).get_config() == layer.get_config()


# ---- arguments and edges


def test_configuration_goes_there_and_back():
    layer = BatchNormalization(
        momentum=0.8,
        epsilon=1e-5,
        center=False,
        gamma_initializer="zeros",
        moving_variance_initializer="zeros",
    )
    config = layer.get_config()
    again = BatchNormalization.from_config(config)
    assert again.get_config() == config
    assert layers.deserialize(layers.serialize(layer)).get_config() == config


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_batch_of_one_vector_is_beta(backend):
    layer = with_weights((None, 6))
    with fastconv.set_backend(backend):
        y = layer.forward(VECTORS[:1], training=True)
        dx = layer.backward(np.ones_like(VECTORS[:1]))
    np.testing.assert_allclose(y[0], layer.beta.value, rtol=1e-6)
    np.testing.assert_allclose(dx, 0, atol=1e-5)  # times 1 / sqrt(epsilon)


def test_other_layouts_and_types_and_read_only_arrays():
    layer = with_weights(IMAGES.shape)
    x = np.asfortranarray(IMAGES)
    x.flags.writeable = False
    y = layer.forward(IMAGES.astype(np.float32), training=True)
    np.testing.assert_array_equal(layer.forward(x, training=True), y)


def test_a_batch_without_examples():
    layer = with_weights(VECTORS.shape)
    assert layer.forward(VECTORS[:0]).shape == (0, 6)
    with pytest.raises(ValueError, match=r"BatchNormalization .* an empty batch has no mean to learn from"):
        layer.forward(VECTORS[:0], training=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"axis": 0}, "axis=0 does not fit inputs with 4 axes, the first of which is the batch"),
        ({"axis": -5}, "axis=-5 does not fit inputs with 4 axes"),
        ({"axis": 1.5}, "axis must be one whole number, got 1.5"),
        ({"axis": [1, 2]}, "axis must be one whole number"),
        ({"momentum": 1.5}, "momentum is a share, between 0 and 1; got 1.5"),
        ({"momentum": -0.1}, "momentum must be a number, not negative; got -0.1"),
        ({"epsilon": "small"}, "epsilon must be a number, not negative; got 'small'"),
        ({"renorm": True}, "'renorm' is not supported"),
        ({"renorm_momentum": 0.9}, "'renorm_momentum' is not supported"),
        ({"synchronized": True}, "'synchronized' is not supported"),
        ({"gamma_initializer": "onse"}, "unknown initializer 'onse'"),
    ],
    ids=str,
)
def test_errors_say_what_is_wrong(arguments, message):
    with pytest.raises(ValueError, match=message):
        BatchNormalization(**arguments).build((4, 5, 3))


def test_the_last_axis_by_its_number():
    layer = BatchNormalization(axis=3)
    layer.build((4, 5, 3))
    assert layer.gamma.shape == (3,)


@pytest.mark.parametrize("axis", [1, 2, -2])
@pytest.mark.parametrize("training", [True, False])
def test_another_axis_is_the_last_one_of_moved_inputs(axis, training):
    layer, moved = BatchNormalization(axis), BatchNormalization()
    x = np.moveaxis(IMAGES, -1, axis)
    for each, shape in ((layer, x.shape), (moved, IMAGES.shape)):
        each.build(shape[1:])
        each.set_weights([np.random.default_rng(6).uniform(0.5, 2, w.shape) for w in each.weights])
    y = layer.forward(x, training=training)
    np.testing.assert_array_equal(y, np.moveaxis(moved.forward(IMAGES, training=training), -1, axis))
    dy = np.random.default_rng(7).normal(size=x.shape)
    expected = moved.backward(np.moveaxis(dy, axis, -1))
    np.testing.assert_array_equal(layer.backward(dy), np.moveaxis(expected, -1, axis))
    for found, wanted in zip(layer.weights, moved.weights, strict=True):
        np.testing.assert_array_equal(found.value, wanted.value)
        np.testing.assert_array_equal(found.grad, wanted.grad)
    with pytest.raises(ValueError, match=r"BatchNormalization .* expects input .* got \(2, 3, 3, 3\)"):
        layer.forward(np.zeros((2, 3, 3, 3)))


def test_inputs_that_do_not_fit():
    layer = with_weights(IMAGES.shape)
    with pytest.raises(ValueError, match=r"expects input \(N, 5\), got \(2, 3, 4, 1\)"):
        layer.forward(IMAGES[..., :1])
    with pytest.raises(ValueError, match=r"expects input \(N, C\), got \(6,\)"):
        BatchNormalization().forward(np.zeros(6))
