"""What every layer does: names, weights, gradients, freezing, configuration."""

from __future__ import annotations

import json

import numpy as np
import pytest

from fastconv import constraints, initializers, layers, regularizers, utils
from fastconv.parameter import Parameter


def test_names_count_as_in_keras():
    utils.clear_session()
    made = [
        layers.Conv2D(1, 1),
        layers.Conv2D(1, 1),
        layers.MaxPooling2D(),
        layers.ReLU(),
        layers.GlobalAveragePooling2D(),
        layers.ZeroPadding2D(),
        layers.Conv2D(1, 1, name="first"),
        layers.Conv2D(1, 1),
    ]
    assert [layer.name for layer in made] == [
        "conv2d",
        "conv2d_1",
        "max_pooling2d",
        "re_lu",
        "global_average_pooling2d",
        "zero_padding2d",
        "first",
        "conv2d_2",
    ]


def test_an_automatic_name_avoids_names_given_by_hand():
    utils.clear_session()
    layers.Dense(1, name="dense_1")
    assert [layers.Dense(1).name for _ in range(3)] == ["dense", "dense_2", "dense_3"]


def test_the_other_names_of_keras():
    assert layers.MaxPool2D is layers.MaxPooling2D
    assert layers.AvgPool2D is layers.AveragePooling2D
    assert layers.GlobalAvgPool2D is layers.GlobalAveragePooling2D
    assert layers.GlobalMaxPool2D is layers.GlobalMaxPooling2D


def test_the_first_forward_builds_the_weights_and_calling_is_forward():
    layer = layers.Dense(4)
    assert not layer.built
    assert layer.weights == []
    x = np.ones((2, 3), np.float32)
    np.testing.assert_array_equal(layer(x), layer.forward(x))
    assert layer.built
    assert (layer.input_shape, layer.output_shape) == ((3,), (4,))
    assert [weight.path for weight in layer.weights] == [f"{layer.name}/kernel", f"{layer.name}/bias"]
    assert layer.count_params() == 3 * 4 + 4


def test_building_twice_keeps_the_weights():
    layer = layers.Conv2D(2, 3)
    layer.build((8, 8, 1))
    kernel = layer.kernel
    layer.build((None, 5, 6, 1))
    assert layer.kernel is kernel
    assert len(layer.weights) == 2
    assert layer.output_shape == (3, 4, 2)


def test_gradients_are_overwritten_not_added_up():
    layer = layers.Dense(2)
    x, dy = np.ones((3, 2), np.float32), np.ones((3, 2), np.float32)
    for _ in range(2):
        layer.forward(x)
        layer.backward(dy)
    np.testing.assert_array_equal(layer.bias.grad, [3, 3])


def test_a_frozen_layer_passes_gradients_on_and_keeps_its_own_at_rest():
    layer = layers.Dense(2, trainable=False)
    x = np.ones((3, 4), np.float32)
    layer.forward(x)
    dx = layer.backward(np.ones((3, 2), np.float32))
    np.testing.assert_allclose(dx, layer.kernel.value.sum(axis=1) * np.ones((3, 4)), rtol=1e-6)
    assert not layer.kernel.grad.any()
    assert layer.parameters == []
    assert layer.non_trainable_weights == layer.weights
    layer.trainable = True
    assert layer.parameters == layer.trainable_weights == layer.weights


@pytest.mark.parametrize(
    "layer",
    [
        layers.Conv2D(2, 2),
        layers.Dense(2),
        layers.MaxPooling2D(2),
        layers.AveragePooling2D(2),
        layers.GlobalMaxPooling2D(),
        layers.GlobalAveragePooling2D(),
        layers.ZeroPadding2D(1),
        layers.Flatten(),
        layers.Reshape((-1,)),
        layers.Activation("relu"),
        layers.ReLU(),
        layers.Softmax(),
        layers.Dropout(0.5),
        layers.SpatialDropout2D(0.5),
        layers.AlphaDropout(0.5),
        layers.GaussianDropout(0.5),
        layers.GaussianNoise(0.5),
        layers.ActivityRegularization(l2=0.1),
        layers.Rescaling(2),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_dx_is_left_out_on_request(layer):
    y = layer.forward(np.ones((2, 4, 4, 3), np.float32), training=True)
    assert layer.backward(np.ones_like(y), input_gradient=False) is None
    assert layer.backward(np.ones_like(y)).shape == (2, 4, 4, 3)
    layer.forget()
    with pytest.raises(RuntimeError, match=r"call forward\(x\) before backward"):
        layer.backward(np.ones_like(y))


def test_set_weights_changes_all_or_nothing():
    layer = layers.Dense(2)
    layer.build((3,))
    before = layer.get_weights()
    with pytest.raises(ValueError, match=r"dense.*/bias has shape \(2,\), got \(3,\)"):
        layer.set_weights([np.ones((3, 2)), np.ones(3)])
    with pytest.raises(ValueError, match="has 2 weight arrays, got 1"):
        layer.set_weights([np.ones((3, 2))])
    for array, old in zip(layer.get_weights(), before, strict=True):
        np.testing.assert_array_equal(array, old)
    layer.set_weights([np.ones((3, 2)), [5, 6]])
    np.testing.assert_array_equal(layer.bias.value, [5, 6])


def test_an_initializer_must_keep_to_the_shape():
    layer = layers.Dense(2, name="d", bias_initializer=lambda shape: np.zeros(7))
    with pytest.raises(ValueError, match=r"Dense 'd': bias has shape \(2,\), its initializer made \(7,\)"):
        layer.build((3,))
    assert not layer.built
    assert layer.weights == []


def test_get_weights_are_copies():
    layer = layers.Dense(2)
    layer.build((3,))
    layer.get_weights()[0][...] = 7
    assert not (layer.kernel.value == 7).any()


def test_a_layer_that_is_not_built_says_so():
    layer = layers.Dense(2)
    with pytest.raises(ValueError, match="no weights to count"):
        layer.count_params()
    with pytest.raises(ValueError, match="no weights yet"):
        layer.set_weights([np.ones((3, 2)), np.ones(2)])


def test_a_parameter_keeps_its_arrays_and_checks_shapes():
    parameter = Parameter(np.zeros((2, 3)), "kernel", path="dense/kernel")
    value, grad = parameter.value, parameter.grad
    parameter.value = np.ones((2, 3), np.float64)
    parameter.grad = np.full((2, 3), 2)
    assert parameter.value is value
    assert parameter.grad is grad
    assert (value == 1).all()
    assert (grad == 2).all()
    assert value.dtype == grad.dtype == np.float32
    parameter.value -= 0.5 * parameter.grad
    assert (value == 0).all()
    with pytest.raises(ValueError, match=r"dense/kernel: the value has shape \(2, 3\), got \(3,\)"):
        parameter.value = np.ones(3)  # would broadcast


def test_a_parameter_is_an_array_to_numpy():
    parameter = Parameter([1.0, 2.0])
    assert np.sum(parameter) == 3
    copied = np.asarray(parameter)
    copied[0] = 9
    assert parameter.value[0] == 1


class Scale(layers.Layer):
    """y = scale · x, as a user would write it."""

    def __init__(self, start=1.0, **options):
        super().__init__(**options)
        self.start = start

    def create_weights(self, input_shape):
        self.scale = self.add_weight((), lambda shape: np.full(shape, self.start), name="scale")

    def call(self, x, training):
        self.remember(x)
        return x * self.scale.value

    def backward(self, dy, input_gradient=True):
        (x,) = self.recall()
        self.scale.grad = (dy * x).sum()
        return dy * self.scale.value if input_gradient else None

    def get_config(self):
        return {**super().get_config(), "start": self.start}


def test_a_layer_of_ones_own():
    layer = Scale(3.0)
    np.testing.assert_array_equal(layer(np.float32([[1, 2]])), [[3, 6]])
    np.testing.assert_array_equal(layer.backward(np.float32([[1, 1]])), [[3, 3]])
    assert layer.scale.grad == 3
    restored = layers.deserialize(layers.serialize(layer), {"Scale": Scale})
    assert (restored.start, restored.name) == (3.0, layer.name)
    with pytest.raises(ValueError, match="unknown layer 'Scale'"):
        layers.deserialize(layers.serialize(layer))


EXAMPLES = [
    layers.Conv2D(4, (3, 2), strides=2, padding="same", dilation_rate=1, groups=2, activation="tanh"),
    layers.Conv2D(4, 3, padding=((1, 0), (2, 1)), use_bias=False, kernel_initializer="he_normal"),
    layers.Conv2D(3, 1, algorithm="naive", input_shape=(4, 4, 2), trainable=False),
    layers.Dense(3, "relu", bias_initializer="ones"),
    layers.MaxPooling2D((3, 2), strides=1, padding="same"),
    layers.AveragePooling2D(2),
    layers.GlobalAveragePooling2D(keepdims=True),
    layers.GlobalMaxPooling2D(),
    layers.ZeroPadding2D((1, 2)),
    layers.Flatten(),
    layers.Reshape((2, -1)),
    layers.Activation("elu"),
    layers.Activation(layers.LeakyReLU(0.1)),
    layers.BatchNormalization(momentum=0.9, epsilon=1e-2, beta_initializer="ones"),
    layers.BatchNormalization(center=False, scale=False, trainable=False),
    layers.ELU(0.5),
    layers.LeakyReLU(0.2),
    layers.PReLU("ones", shared_axes=[1, 2]),
    layers.ReLU(6.0, 0.1, 0.5),
    layers.Softmax(axis=1),
    layers.Dropout(0.3, noise_shape=(None, 4, 1, None), seed=4),
    layers.SpatialDropout2D(0.3, seed=2**63),
    layers.AlphaDropout(0.3, noise_shape=[None, 1, 1, 1]),
    layers.GaussianDropout(0.3),
    layers.GaussianNoise(0.2, seed=1),
    layers.ActivityRegularization(0.1, 0.2),
    layers.Conv2D(
        3,
        2,
        kernel_regularizer="l1",
        bias_regularizer=regularizers.L1L2(0.1, 0.2),
        activity_regularizer="l2",
        kernel_constraint=constraints.MaxNorm(1.5, axis=[0, 1, 2]),
        bias_constraint="non_neg",
    ),
    layers.Dense(
        3,
        kernel_regularizer=regularizers.OrthogonalRegularizer(0.1, "columns"),
        kernel_initializer=initializers.Orthogonal(0.5, seed=3),
        kernel_constraint=constraints.MinMaxNorm(0.1, 2.0, 0.9),
        bias_constraint=constraints.UnitNorm(axis=-1),
    ),
    layers.Rescaling([1.0, 2.0], offset=-1.0),
]


@pytest.mark.parametrize("layer", EXAMPLES, ids=lambda layer: type(layer).__name__)
def test_configuration_survives_json(layer):
    written = json.dumps(layers.serialize(layer))
    restored = layers.deserialize(json.loads(written))
    assert json.dumps(layers.serialize(restored)) == written
    x = np.random.default_rng(0).random((2, 4, 4, 2)).astype(np.float32)
    expected = layer.forward(x)
    restored.build(x.shape[1:])
    restored.set_weights(layer.get_weights())
    np.testing.assert_array_equal(restored.forward(x), expected)
    assert layer.compute_output_shape((4, 4, 2)) == expected.shape[1:]
