"""Activations as arguments and as layers: LeakyReLU, PReLU, ELU, Activation; functions with parameters."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import fastconv
from fastconv import activations, gradcheck, layers, ops
from fastconv.models import Sequential
from fastconv.models.batches import Batch
from fastconv.models.objective import Objective

BACKENDS = ["reference", "native"]
VECTORS = np.random.default_rng(1).normal(0, 2, (4, 7)).astype(np.float32)
PENALIZED = layers.LeakyReLU(0.1, activity_regularizer="l2")
IMAGES = np.random.default_rng(2).normal(size=(2, 5, 4, 3)).astype(np.float32)


# ---- every activation in every layer that takes one


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", ops.ACTIVATIONS)
def test_gradients_through_every_activation(name, backend):
    for layer, x in [
        (layers.Dense(5, activation=name), VECTORS),
        (layers.Conv2D(4, 3, activation=name), IMAGES),
        (layers.Activation(name), VECTORS),
    ]:
        check = gradcheck(layer, x, backend=backend, samples=20)
        assert check, (layer, check)


@pytest.mark.parametrize("name", ops.ACTIVATIONS)
def test_operations_with_an_activation_are_the_layers(name):
    dense, conv = layers.Dense(5, activation=name), layers.Conv2D(4, 3, activation=name)
    y = dense.forward(VECTORS)
    np.testing.assert_array_equal(ops.dense(VECTORS, dense.kernel.value, dense.bias.value, name), y)
    y = conv.forward(IMAGES)
    np.testing.assert_array_equal(ops.conv2d(IMAGES, conv.kernel.value, conv.bias.value, activation=name), y)


@pytest.mark.parametrize(
    ("name", "function"), [("swish", "silu"), ("hard_swish", "hard_silu"), ("silu", "silu"), (None, "linear")]
)
def test_other_names(name, function):
    assert activations.get(name) is getattr(activations, function)
    assert layers.Dense(2, activation=name).get_config()["activation"] == function


def test_functions_take_keras_parameters():
    x = VECTORS
    np.testing.assert_array_equal(activations.leaky_relu(x), np.where(x < 0, np.float32(0.2) * x, x))
    found = activations.leaky_relu(x, negative_slope=0.5)
    np.testing.assert_array_equal(found, np.where(x < 0, np.float32(0.5) * x, x))
    np.testing.assert_allclose(activations.elu(x, alpha=2.0), np.where(x < 0, 2 * np.expm1(x), x), rtol=1e-6)
    np.testing.assert_array_equal(activations.gelu(x, approximate=True), activations.gelu_tanh(x))
    np.testing.assert_array_equal(activations.gelu(x, approximate=False), activations.gelu(x))
    assert np.abs(activations.gelu(x) - activations.gelu_tanh(x)).max() > 1e-5
    np.testing.assert_array_equal(activations.softmax(x, axis=0), activations.softmax(x.T).T)
    np.testing.assert_array_equal(activations.softmax(x, 0), activations.softmax(x.T).T)
    with pytest.raises(ValueError, match=r"tanh: Keras' argument 'axis' is not .*; it has no parameters"):
        activations.tanh(x, axis=0)
    with pytest.raises(TypeError, match=r"activations\.elu takes x and 1 more arguments, got 2 more"):
        activations.elu(x, 1.0, 2.0)
    with pytest.raises(TypeError, match=r"activations\.elu got the argument 'alpha' twice"):
        activations.elu(x, 1.0, alpha=2.0)
    with pytest.raises(ValueError, match=r"activations\.squareplus: b must be a number, got 'four'"):
        activations.squareplus(x, "four")
    with pytest.raises(TypeError, match=r"activations\.relu has no argument 'treshold'"):
        activations.relu(x, treshold=1)


def test_unknown_activations():
    with pytest.raises(ValueError, match="unknown activation 'sofplus'; did you mean 'softplus'"):
        activations.get("sofplus")
    for function in (np.tanh, layers.Dense(3, activation="relu"), 3, PENALIZED):
        with pytest.raises(
            TypeError, match=r"activation must be one of the names .* or a layer such as LeakyReLU"
        ):
            layers.Dense(2, activation=function)


# ---- functions with a parameter, and layers as functions


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (activations.leaky_relu.with_parameters(negative_slope=0.1), lambda z: np.where(z < 0, 0.1 * z, z)),
        (layers.LeakyReLU(0.1), lambda z: np.where(z < 0, 0.1 * z, z)),
        (layers.LeakyReLU(), lambda z: np.where(z < 0, 0.3 * z, z)),
        (layers.ReLU(negative_slope=0.5), lambda z: np.where(z < 0, 0.5 * z, z)),
        (layers.ReLU(), lambda z: np.maximum(z, 0)),
        (layers.ELU(0.5), lambda z: np.where(z < 0, 0.5 * np.expm1(z), z)),
        (layers.Activation("tanh"), np.tanh),
        (activations.tanh, np.tanh),
    ],
    ids=lambda given: getattr(given, "__name__", str(given)),
)
def test_what_a_layer_takes_as_activation(given, expected, tmp_path):
    dense = layers.Dense(5, activation=given)
    model = Sequential([layers.Input((7,)), dense])
    z = VECTORS @ dense.kernel.value
    np.testing.assert_allclose(model.forward(VECTORS), expected(z), rtol=1e-5, atol=1e-6)
    assert gradcheck(dense, VECTORS)
    model.save(tmp_path / "model.safetensors")
    loaded = fastconv.models.load_model(tmp_path / "model.safetensors")
    for other in (loaded, copy.deepcopy(model)):
        np.testing.assert_array_equal(other.forward(VECTORS), model.forward(VECTORS))
    assert loaded.get_config() == model.get_config()


def test_programs_run_all_activations():
    x = np.random.default_rng(3).normal(size=(20, 5, 5, 2)).astype(np.float32)
    y = np.random.default_rng(4).integers(0, 3, 20)
    loss = fastconv.losses.SparseCategoricalCrossentropy()
    for activation in (*ops.ACTIVATIONS, layers.LeakyReLU(0.4)):
        model = Sequential(
            [
                layers.Input((5, 5, 2)), layers.Conv2D(3, 3, activation=activation), layers.Flatten(),
                layers.Dense(4, activation=activation), layers.Dense(3, activation="softmax"),
            ]
        )  # fmt: skip
        probabilities = model.forward(x, training=True)
        model.backward_from_logits(loss.gradient_at_logits(y, probabilities, None))
        expected = [parameter.grad.copy() for parameter in model.parameters]
        found, _ = model._executor.loss_and_gradients(model, Objective(loss, None), Batch(x, y, None))
        np.testing.assert_allclose(found, probabilities, atol=2e-6)
        for parameter, gradient in zip(model.parameters, expected, strict=True):
            np.testing.assert_allclose(parameter.grad, gradient, atol=5e-6 * max(1, np.abs(gradient).max()))


@pytest.mark.parametrize("activation", ["silu", "gelu", "mish"])
def test_a_model_learns_through_activations_that_need_their_input(activation):
    random = np.random.default_rng(5)
    y = random.integers(0, 3, 90)
    x = (random.normal(0, 0.5, (90, 6)) + np.eye(3)[y].repeat(2, 1)).astype(np.float32)
    fastconv.utils.set_random_seed(1)
    model = Sequential([layers.Input((6,)), layers.Dense(8, activation), layers.Dense(3, "softmax")])
    model.compile(fastconv.optimizers.Adam(0.02), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x, y, epochs=15, verbose=0)
    assert model.evaluate(x, y, verbose=0)[1] > 0.9


# ---- the layers


def test_leaky_relu_and_elu():
    x = np.float32([[-2, -0.5, 0, 3]])
    np.testing.assert_allclose(layers.LeakyReLU()(x), [[-0.6, -0.15, 0, 3]], rtol=1e-6)
    np.testing.assert_allclose(layers.LeakyReLU(negative_slope=0.5)(x), [[-1, -0.25, 0, 3]])
    with pytest.warns(UserWarning, match="alpha is called negative_slope now"):
        assert layers.LeakyReLU(alpha=0.2).negative_slope == 0.2
    np.testing.assert_allclose(layers.ELU()(x), [[np.expm1(-2), np.expm1(-0.5), 0, 3]], rtol=1e-6)
    np.testing.assert_allclose(layers.ELU(alpha=2)(x)[0, 0], 2 * np.expm1(-2), rtol=1e-6)
    for layer in (layers.LeakyReLU(0.7), layers.ELU(0.7)):
        again = layers.deserialize(layers.serialize(layer))
        assert again.get_config() == layer.get_config()
        np.testing.assert_array_equal(again(x), layer(x))
        for backend in BACKENDS:
            assert gradcheck(layer, VECTORS, backend=backend)
    for make, message in [
        (lambda: layers.LeakyReLU(-1), "LeakyReLU: negative_slope must be a number, not negative; got -1"),
        (lambda: layers.LeakyReLU(None), "negative_slope must be a number"),
        (lambda: layers.ELU(-1), "ELU: alpha must be a number, not negative; got -1"),
    ]:
        with pytest.raises(ValueError, match=message):
            make()


@pytest.mark.parametrize(
    ("shared_axes", "shape"),
    [(None, (5, 4, 3)), ([1, 2], (1, 1, 3)), (3, (5, 4, 1)), ([2], (5, 1, 3)), ([1, 2, 3], (1, 1, 1))],
    ids=str,
)
def test_prelu_shares_slopes(shared_axes, shape):
    layer = layers.PReLU("random_normal", shared_axes=shared_axes)
    layer.build(IMAGES.shape[1:])
    alpha = layer.alpha.value
    assert alpha.shape == shape
    np.testing.assert_allclose(layer(IMAGES), np.where(IMAGES < 0, alpha * IMAGES, IMAGES), rtol=1e-6)
    for backend in BACKENDS:
        check = gradcheck(layer, IMAGES, backend=backend)
        assert check, check
    again = layers.deserialize(layers.serialize(layer))
    again.build(IMAGES.shape[1:])
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(again(IMAGES), layer(IMAGES))
    np.testing.assert_array_equal(copy.deepcopy(layer)(IMAGES), layer(IMAGES))


def test_prelu_begins_as_a_rectifier_and_learns():
    layer = layers.PReLU()
    np.testing.assert_array_equal(layer(VECTORS), np.maximum(VECTORS, 0))
    model = Sequential([layers.Input((7,)), layers.Dense(7), layer, layers.Dense(1)])
    model.compile(fastconv.optimizers.SGD(0.05), "mse")
    model.fit(VECTORS, VECTORS[:, :1], epochs=3, verbose=0)
    assert layer.alpha.value.any()


def test_prelu_shared_over_the_image_takes_images_of_other_sizes():
    layer = layers.PReLU(shared_axes=[1, 2])
    layer.build((5, 4, 3))
    assert layer(np.ones((2, 7, 7, 3))).shape == (2, 7, 7, 3)
    with pytest.raises(ValueError, match=r"expects input \(N, 5, 4, 3\), got \(2, 5, 4, 2\)"):
        layer(np.ones((2, 5, 4, 2)))


def test_errors_of_prelu():
    with pytest.raises(
        ValueError, match=r"shared_axes has 4, but its input \(None, 5, 4, 3\) has axes 1 to 3"
    ):
        layers.PReLU(shared_axes=[4]).build((5, 4, 3))
    with pytest.raises(ValueError, match="each of shared_axes must be a whole number, at least 1; got 0"):
        layers.PReLU(shared_axes=[0])
    with pytest.raises(ValueError, match="did you mean 'non_neg'"):
        layers.PReLU(alpha_constraint="non_negg")


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("activation", ["silu", "gelu", "softplus", "tanh"])
def test_a_penalty_on_outputs_goes_through_the_activation(activation, backend):
    """d/dz of Σ y² / N is 2 y φ′(z) / N, whether φ′ is made of y or of z."""
    plain = layers.Activation(activation)
    layer = layers.Activation(activation, activity_regularizer=fastconv.regularizers.L2(0.5))
    with fastconv.set_backend(backend):
        y, dy = layer.forward(VECTORS), np.ones_like(VECTORS)
        plain.forward(VECTORS)
        np.testing.assert_allclose(
            layer.backward(dy), plain.backward(dy + y / len(VECTORS)), rtol=1e-5, atol=1e-6
        )


def test_slopes_keep_to_their_constraint_and_are_penalized():
    layer = layers.PReLU("ones", alpha_regularizer=fastconv.regularizers.L2(0.5), alpha_constraint="non_neg")
    model = Sequential([layers.Input((7,)), layer])
    assert layer.losses == [0.5 * 7]
    model.compile(fastconv.optimizers.SGD(10.0), "mse")
    model.train_on_batch(VECTORS, VECTORS)  # a step of 10 · 2 · 0.5: from 1 to -9, were it not for non_neg
    np.testing.assert_array_equal(layer.alpha.value, 0)
    again = layers.deserialize(layers.serialize(layer))
    assert again.get_config() == layer.get_config()


# ---- the rectifier with a threshold; activations assigned later


THRESHOLD = np.array([-np.inf, -1, 0, 4, 5, 5.5, 6, 7, 9, np.inf])


@pytest.mark.parametrize(
    ("parameters", "y", "slope"),
    [  # y as Keras 3.15
        ({"threshold": 5}, [0, 0, 0, 0, 0, 5.5, 6, 7, 9, np.inf], [0, 0, 0, 0, 0, 1, 1, 1, 1, 1]),
        (
            {"threshold": 5, "negative_slope": 0.5},
            [-np.inf, -3, -2.5, -0.5, 0, 5.5, 6, 7, 9, np.inf],
            [0.5, 0.5, 0.5, 0.5, 0.5, 1, 1, 1, 1, 1],
        ),
        (
            {"threshold": 5, "negative_slope": 0.5, "max_value": 7},
            [-np.inf, -3, -2.5, -0.5, 0, 5.5, 6, 7, 7, 7],
            [0.5, 0.5, 0.5, 0.5, 0.5, 1, 1, 0, 0, 0],
        ),
        ({"max_value": 6}, [0, 0, 0, 4, 5, 5.5, 6, 6, 6, 6], [0, 0, 0, 1, 1, 1, 0, 0, 0, 0]),
        ({"threshold": 5, "max_value": 3}, [0, 0, 0, 0, 0, 3, 3, 3, 3, 3], [0] * 10),
    ],
    ids=str,
)
@pytest.mark.parametrize("backend", ["native", "reference"])
def test_the_threshold_itself_is_below(parameters, y, slope, backend):
    x = THRESHOLD.astype(np.float32)
    with fastconv.set_backend(backend):
        layer, dense = layers.ReLU(**parameters), layers.Dense(10, layers.ReLU(**parameters))
        np.testing.assert_array_equal(layer(x), np.float32(y))
        np.testing.assert_array_equal(layer.backward(np.full_like(x, 3)), 3 * np.float32(slope))
        np.testing.assert_array_equal(activations.relu(x, **parameters), np.float32(y))
        assert activations.get(activations.serialize(dense.activation))(5.5) == activations.relu(
            5.5, **parameters
        )
    for name, value in parameters.items():
        assert getattr(layer, name) == layer.get_config()[name] == value


def test_a_rectifier_with_a_threshold_within_a_network():
    x = np.random.default_rng(1).normal(0, 1, (3, 6, 6, 2)).astype(np.float32)
    for head in (
        layers.ReLU(threshold=0.5),
        layers.Activation(activations.relu.with_parameters(threshold=0.5)),
    ):
        model = Sequential(
            [layers.Input((6, 6, 2)), layers.Conv2D(3, 3), head, layers.Flatten(), layers.Dense(2)]
        )
        model.add(layers.Softmax())
        z = model.layers[0](x)
        features = np.where(z > 0.5, z, 0).reshape(3, -1)
        expected = activations.softmax(features @ model.layers[3].kernel + model.layers[3].bias)
        np.testing.assert_allclose(model.predict(x, verbose=0), expected, rtol=1e-5)
        assert gradcheck(model, x)


def test_nan_stays_nan():
    for parameters in ({"threshold": 5}, {"max_value": 6}, {"negative_slope": 0.1, "threshold": 1}):
        assert np.isnan(layers.ReLU(**parameters)(np.float32([np.nan]))).all()


def test_activations_may_be_assigned_later():
    dense = layers.Dense(5, activation="relu")
    z = dense(VECTORS) * 0 + VECTORS @ dense.kernel.value
    for given, expected in (
        (None, z),
        ("tanh", np.tanh(z)),
        (layers.LeakyReLU(0.5), np.where(z < 0, z / 2, z)),
    ):
        dense.activation = given
        np.testing.assert_allclose(dense(VECTORS), expected, rtol=1e-5, atol=1e-6)
        assert gradcheck(dense, VECTORS)
    dense.activation = None
    assert dense.get_config()["activation"] == "linear"
    with pytest.raises(ValueError, match="did you mean 'relu'"):
        dense.activation = "rleu"
    leaky, elu = layers.LeakyReLU(0.3), layers.ELU(1.0)
    leaky.negative_slope = elu.alpha = 0.5
    np.testing.assert_allclose(leaky([[-2.0]]), [[-1]])
    np.testing.assert_allclose(elu([[-2.0]]), [[0.5 * np.expm1(-2)]], rtol=1e-6)
    assert (leaky.get_config()["negative_slope"], elu.get_config()["alpha"]) == (0.5, 0.5)
    with pytest.raises(ValueError, match="negative_slope must be a number, not negative; got -1"):
        leaky.negative_slope = -1


@pytest.mark.parametrize("axis", [(1, 2), [-1, 1], np.array([3, 2]), (1, 2, 3), 1])
def test_softmax_along_several_axes_together(axis):
    x = np.random.default_rng(1).normal(0, 1, (2, 3, 4, 5)).astype(np.float32)
    layer = layers.Softmax(axis)
    axes = tuple(np.atleast_1d(axis).tolist())
    e = np.exp(x.astype(np.float64))
    np.testing.assert_allclose(layer(x), e / e.sum(axes, keepdims=True), rtol=1e-5)
    assert gradcheck(layer, x)
    assert layers.deserialize(layers.serialize(layer)).axis == layer.axis
