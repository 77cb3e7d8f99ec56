"""Multiply-adds and connections: the figures of LeCun et al. 1998, and each layer counted one by one."""

from __future__ import annotations

import numpy as np
import pytest

from fastconv import layers
from fastconv.models import Sequential


def counts(layer, input_shape):
    layer.build(input_shape)
    return layer.count_multiply_adds(), layer.count_connections()


def test_the_figures_of_lenet5():
    """Section II.B: "Layer C1 contains 156 trainable parameters, and 122,304 connections"."""
    assert counts(layers.Conv2D(6, 5), (32, 32, 1))[1] == 122_304
    assert counts(layers.Conv2D(120, 5), (5, 5, 16))[1] == 48_120
    assert counts(layers.Dense(84), (120,))[1] == 10_164


def counted_one_by_one(layer, input_shape):
    """How many inputs an output depends on, summed over all outputs: move each input and see."""
    layer.build(input_shape)
    for weight in layer.weights:
        weight.value = np.ones(weight.shape)
    x = np.zeros((1, *input_shape), np.float32)
    base = layer.forward(x)
    total = 0
    for place in np.ndindex(input_shape):
        moved = x.copy()
        moved[(0, *place)] = 1
        total += int((layer.forward(moved) != base).sum())
    return total


@pytest.mark.parametrize(
    ("layer", "input_shape"),
    [
        (lambda: layers.Conv2D(3, (2, 3)), (5, 6, 2)),
        (lambda: layers.Conv2D(4, 3, strides=2, dilation_rate=1), (7, 7, 1)),
        (lambda: layers.Conv2D(4, 2, groups=2), (4, 5, 6)),
        (lambda: layers.Conv2D(2, 2, dilation_rate=2, use_bias=False), (5, 5, 3)),
        (lambda: layers.Dense(3), (4,)),
        (lambda: layers.Dense(3, use_bias=False), (2, 2, 4)),
    ],
)
def test_layers_with_weights_counted_one_by_one(layer, input_shape):
    layer = layer()
    inputs = counted_one_by_one(layer, input_shape)
    assert layer.count_multiply_adds() == inputs
    units = int(np.prod(layer.output_shape))
    assert layer.count_connections() == inputs + (units if layer.use_bias else 0)


@pytest.mark.parametrize("layer", [layers.AveragePooling2D((2, 3)), layers.MaxPooling2D(3, strides=1)])
def test_pooling_counts_its_windows(layer):
    inputs = counted_one_by_one(layer, (6, 6, 2))
    assert (layer.count_multiply_adds(), layer.count_connections()) == (0, inputs)


def test_global_pooling_counts_its_maps():
    assert counts(layers.GlobalAveragePooling2D(), (4, 5, 3)) == (0, 60)
    assert counts(layers.GlobalMaxPooling2D(keepdims=True), (4, 5, 3)) == (0, 60)


def test_padding_counts_as_inputs():
    assert counts(layers.Conv2D(1, 3, padding="same"), (4, 4, 1)) == (16 * 9, 16 * 10)


def test_batch_normalization_has_one_input_and_the_shift():
    assert counts(layers.BatchNormalization(), (4, 5, 3)) == (60, 120)


@pytest.mark.parametrize(
    "layer",
    [
        layers.Activation("relu"), layers.Dropout(0.5), layers.Flatten(), layers.Rescaling(2), layers.PReLU(),
        layers.ZeroPadding2D(1), layers.RandomFlip(), layers.Reshape((-1,)), layers.Resizing(2, 2),
        layers.Softmax(), layers.GaussianNoise(0.1),
    ],
)  # fmt: skip
def test_layers_without_units_of_their_own_count_nothing(layer):
    assert counts(layer, (4, 4, 2)) == (0, 0)


def test_models_add_up():
    inner = Sequential([layers.Conv2D(2, 3), layers.MaxPooling2D(2)])
    model = Sequential([inner, layers.Flatten(), layers.Dense(3)])
    model.build((6, 6, 1))
    assert model.count_multiply_adds() == 16 * 2 * 9 + 8 * 3
    assert model.count_connections() == 16 * 2 * 10 + 8 * 4 + 3 * 9


@pytest.mark.parametrize(
    "layer", [layers.Conv2D(2, 3), layers.Dense(2), layers.MaxPooling2D(), layers.Flatten()]
)
def test_unbuilt_layers_say_so(layer):
    for count in (layer.count_multiply_adds, layer.count_connections, layer.windows):
        with pytest.raises(ValueError, match="build it first"):
            count()
    with pytest.raises(ValueError, match="build it first"):
        Sequential([layer]).count_connections()
