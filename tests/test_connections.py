"""Conv2D(connections=...): what each filter sees, how it starts, and what is refused."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest

from fastconv import layers, losses, ops, optimizers
from fastconv.models import Sequential, load_model

LISTS = [[0, 2], [1], [0, 1, 2]]
TABLE = np.array([[1, 0, 1], [0, 1, 1], [1, 0, 1]])
IMAGES = np.random.default_rng(0).normal(size=(4, 7, 6, 3)).astype(np.float32)


@pytest.mark.parametrize("connections", [LISTS, TABLE, TABLE.astype(bool), [(2, 0), (1,), (0, 1, 2)]])
def test_lists_and_tables_say_the_same(connections):
    layer = layers.Conv2D(3, (3, 2), connections=connections)
    layer.build((7, 6, 3))
    np.testing.assert_array_equal(layer.table, TABLE)
    assert layer.kernel.shape == (3, 2, 6)
    assert layer.bias.shape == (3,)
    assert layer.count_params() == 6 * 6 + 3
    assert layer.output_shape == (5, 5, 3)


def test_a_filter_depends_on_its_maps_alone():
    layer = layers.Conv2D(3, 3, connections=LISTS)
    y = layer.forward(IMAGES)
    for c in range(3):
        moved = IMAGES.copy()
        moved[..., c] += 1
        changed = (layer.forward(moved) != y).any(axis=(0, 1, 2))
        np.testing.assert_array_equal(changed, TABLE[c])


def test_the_kernel_is_the_dense_one_where_the_table_is_true():
    dense, layer = layers.Conv2D(3, 3, padding="same"), layers.Conv2D(3, 3, padding="same", connections=LISTS)
    dense.build((7, 6, 3)), layer.build((7, 6, 3))
    kernel = dense.kernel.value * layer.table
    dense.kernel.value = kernel
    layer.kernel.value = kernel[:, :, layer.table]
    np.testing.assert_allclose(layer.forward(IMAGES), dense.forward(IMAGES), atol=1e-5)


def test_counts_are_those_of_the_connections():
    layer = layers.Conv2D(3, 3, connections=LISTS)
    layer.build((7, 6, 3))
    assert layer.count_multiply_adds() == 5 * 4 * 9 * 6
    assert layer.count_connections() == 5 * 4 * (9 * 6 + 3)


def test_each_filter_starts_by_its_own_number_of_inputs():
    maps = [[k] for k in range(8)] + [list(range(8))] * 8
    layer = layers.Conv2D(16, 15, connections=maps, kernel_initializer="lecun_uniform")
    layer.build((15, 15, 8))
    dense = np.zeros((15, 15, 8, 16))
    dense[:, :, layer.table] = layer.kernel.value
    for k, seen in enumerate(map(len, maps)):
        limit = np.sqrt(3 / (225 * seen))
        largest = np.abs(dense[..., k]).max()
        assert 0.95 * limit < largest <= limit, k  # 225 numbers at least: the largest is near the end
    assert len({dense[0, 0, k, k] for k in range(8)}) == 8  # filters that see as much do not start alike


def test_with_a_seed_a_full_table_starts_as_the_dense_layer():
    from fastconv.initializers import GlorotUniform

    dense = layers.Conv2D(5, 3, kernel_initializer=GlorotUniform(seed=3))
    layer = layers.Conv2D(5, 3, kernel_initializer=GlorotUniform(seed=3), connections=np.ones((3, 5)))
    dense.build((7, 6, 3)), layer.build((7, 6, 3))
    np.testing.assert_array_equal(layer.kernel.value.reshape(3, 3, 3, 5), dense.kernel.value)


def test_a_map_that_no_filter_sees_gets_no_gradient():
    layer = layers.Conv2D(2, 3, connections=[[0], [0, 2]])
    y = layer.forward(IMAGES, training=True)
    dx = layer.backward(np.ones_like(y))
    np.testing.assert_array_equal(dx[..., 1], 0)
    assert (dx[..., [0, 2]] != 0).any()


def test_frozen_it_keeps_its_gradients_as_they_are():
    layer = layers.Conv2D(3, 3, connections=LISTS, trainable=False)
    y = layer.forward(IMAGES, training=True)
    layer.kernel.grad = np.full(layer.kernel.shape, 7)
    assert layer.backward(np.ones_like(y)) is not None
    np.testing.assert_array_equal(layer.kernel.grad, 7)
    assert layer.backward(np.ones_like(y), input_gradient=False) is None


def test_configuration_copies_and_files(tmp_path):
    model = Sequential(
        [
            layers.Input((7, 6, 3)),
            layers.Conv2D(3, 3, connections=TABLE, activation="scaled_tanh"),
            layers.Subsampling2D(2, activation="scaled_tanh"),
            layers.Flatten(),
            layers.RBF(4),
        ]
    )
    config = json.loads(json.dumps(model.layers[0].get_config()))
    assert config["connections"] == LISTS
    again = layers.deserialize({"class_name": "Conv2D", "config": config})
    again.build((7, 6, 3))
    np.testing.assert_array_equal(again.table, TABLE)

    model.compile(optimizers.SGD(0.01), losses.MaximumAPosteriori(j=2), metrics=["accuracy"])
    model.fit(IMAGES, [0, 1, 2, 3], epochs=1, verbose=0)
    y = model.predict(IMAGES, verbose=0)
    np.testing.assert_array_equal(copy.deepcopy(model).predict(IMAGES, verbose=0), y)
    model.save(tmp_path / "model.safetensors")
    loaded = load_model(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(loaded.predict(IMAGES, verbose=0), y)
    assert loaded.loss.get_config() == model.loss.get_config()
    assert loaded.evaluate(IMAGES, [0, 1, 2, 3], verbose=0) == model.evaluate(IMAGES, [0, 1, 2, 3], verbose=0)
    assert loaded.layers[-1].prototypes.trainable is False


def test_it_runs_in_python_and_says_why():
    connected = layers.Conv2D(3, 3, connections=LISTS, name="C3")
    model = Sequential(
        [layers.Input((7, 6, 3)), connected, layers.Flatten(), layers.Dense(2, activation="softmax")]
    )
    model.compile("sgd", "sparse_categorical_crossentropy", jit_compile=True)
    rows = model._executor.explain(model, None, [np.asarray(IMAGES, np.float32)], training=False).rows
    ((way, why),) = [(row.way, row.why) for row in rows if row.layers == "C3"]
    assert way == "python"
    assert "connections" in why
    assert np.isfinite(model.fit(IMAGES, [0, 1, 0, 1], verbose=0).history["loss"]).all()


@pytest.mark.parametrize(
    ("connections", "message"),
    [
        (
            np.ones((3, 4)),
            r"shape \(input channels, filters\) = \(C, 3\); got an array of float64, shape \(3, 4\)",
        ),
        (np.ones(3), "a table of connections has shape"),
        (np.full((3, 3), 2), "holds booleans, or 0 and 1"),
        (np.array([[1, 0, 1], [1, 0, 0]]), "filter 1 has no input channel"),
        ([[0], [1]], "lists the channels of 2 filters, but there are 3"),
        ([[0], [], [1]], "filter 1 has no input channel"),
        ([[0], [1, 1], [2]], r"filter 1 lists a channel twice: \[1, 1\]"),
        ([[0], [-1], [2]], r"filter 1 must be whole numbers from 0; got \[-1\]"),
        ([[0], [0.5], [2]], "whole numbers from 0"),
    ],
)
def test_what_is_no_table_is_refused(connections, message):
    with pytest.raises(ValueError, match=f"Conv2D: .*{message}"):
        layers.Conv2D(3, 3, connections=connections)


def test_other_refusals():
    with pytest.raises(TypeError, match="connections must be a table"):
        layers.Conv2D(3, 3, connections="all")
    with pytest.raises(ValueError, match="groups and connections both say what a filter sees"):
        layers.Conv2D(4, 3, connections=[[0]] * 4, groups=2)
    with pytest.raises(ValueError, match="algorithm='im2col' is for filters that see all maps"):
        layers.Conv2D(3, 3, connections=LISTS, algorithm="im2col")
    with pytest.raises(
        ValueError, match="connections has input channel 2, but the input has channels 0 to 1"
    ):
        layers.Conv2D(3, 3, connections=LISTS).build((7, 6, 2))
    with pytest.raises(ValueError, match="a table for 3 input channels, the input has 4"):
        layers.Conv2D(3, 3, connections=TABLE).build((7, 6, 4))


def test_the_layer_is_the_operation():
    layer = layers.Conv2D(3, 3, connections=LISTS, strides=2, padding="same")
    y = layer.forward(IMAGES)
    expected = ops.conv2d_connected(IMAGES, layer.kernel.value, TABLE, layer.bias.value, 2, "same")
    np.testing.assert_array_equal(y, expected)
