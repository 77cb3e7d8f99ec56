"""What layers say when something does not fit: who, what was expected, what came, what to do."""

from __future__ import annotations

import re

import numpy as np
import pytest

from fastconv import layers
from fastconv.models import Sequential


def built(layer, shape):
    layer.build(shape)
    return layer


IMAGES_1 = built(layers.Conv2D(2, 3, name="conv2d_1"), (28, 28, 1))
IMAGES_3 = built(layers.Conv2D(2, 3, name="conv"), (8, 9, 3))
VECTORS = built(layers.Dense(2, name="dense"), (784,))


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (
            IMAGES_1,
            (32, 28, 28),
            "Conv2D 'conv2d_1' expects input (N, H, W, 1), got (32, 28, 28): "
            "add the channel axis with x[..., None]",
        ),
        (IMAGES_1, (28, 28, 1), "(N, H, W, 1), got (28, 28, 1): add the batch axis with x[None]"),
        (
            IMAGES_1,
            (32, 784),
            "got (32, 784): these are flat vectors: restore the images with x.reshape(-1, ",
        ),
        (
            IMAGES_1,
            (32, 1, 28, 28),
            "looks like channels first (NCHW): move the channels last with np.moveaxis(x, 1, -1)",
        ),
        (IMAGES_1, (32, 28, 28, 3), "the last axis must hold 1 channel, it holds 3"),
        (IMAGES_3, (32, 3, 8, 9), "np.moveaxis(x, 1, -1)"),
        (IMAGES_3, (32, 8, 9, 4), "the last axis must hold 3 channels, it holds 4"),
        (IMAGES_3, (8, 9, 3), "add the batch axis with x[None]"),
        (
            layers.Conv2D(2, 3, name="c"),
            (32, 8, 8),
            "Conv2D 'c' expects input (N, H, W, C), got (32, 8, 8): add the channel",
        ),
        (layers.MaxPooling2D(name="p"), (5, 7), "MaxPooling2D 'p' expects input (N, H, W, C), got (5, 7)"),
        (
            layers.GlobalMaxPooling2D(name="g"),
            (5,),
            "GlobalMaxPooling2D 'g' expects input (N, H, W, C), got (5,)",
        ),
        (
            VECTORS,
            (32, 28, 28),
            "Dense 'dense' expects input (N, 784), got (32, 28, 28): flatten the examples first",
        ),
        (VECTORS, (784,), "got (784,): add the batch axis with x[None]"),
        (VECTORS, (32, 100), "Dense 'dense' expects input (N, 784), got (32, 100)"),
        (
            layers.Dense(2, name="d"),
            (7,),
            "Dense 'd' expects input (N, features), got (7,): add the batch axis",
        ),
    ],
)
def test_inputs_that_do_not_fit(layer, shape, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        layer.forward(np.zeros(shape, np.float32))


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (
            layers.Conv2D(2, 5, name="c"),
            (4, 9, 1),
            r"Conv2D 'c': kernel_size \(5, 5\) covers 5x5 .* 4x9 under padding='valid'",
        ),
        (layers.Conv2D(2, 3, dilation_rate=4, name="c"), (8, 8, 1), "Conv2D 'c': .* covers 9x9"),
        (layers.MaxPooling2D(3, name="p"), (2, 2, 1), r"MaxPooling2D 'p': pool_size \(3, 3\)"),
        (
            layers.Conv2D(4, 3, groups=2, name="c"),
            (8, 8, 3),
            "Conv2D 'c': 3 input channels .* 2 equal groups",
        ),
        (
            layers.Reshape((3, -1), name="r"),
            (4, 5),
            r"Reshape 'r': the 20 numbers of an example \(4, 5\) .*\(3, -1\)",
        ),
        (layers.Reshape((3, 7), name="r"), (4, 5), "Reshape 'r'"),
    ],
)
def test_shapes_that_cannot_be(layer, shape, message):
    with pytest.raises(ValueError, match=message):
        layer.build(shape)
    assert layer.input_shape is None
    assert layer.weights == []
    with pytest.raises(ValueError, match=message):
        Sequential([layers.Input(shape), layer])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layers.Conv2D(0, 3), "Conv2D: filters must be a whole number, at least 1; got 0"),
        (lambda: layers.Conv2D(2.5, 3), "filters must be a whole number"),
        (lambda: layers.Conv2D(2, 0), "Conv2D: kernel_size must be"),
        (lambda: layers.Conv2D(2, (3, 3, 3)), "Conv2D: kernel_size must be"),
        (lambda: layers.Conv2D(2, 3, strides=-1), "Conv2D: strides must be"),
        (lambda: layers.Conv2D(2, 3, padding="smae"), "Conv2D: unknown padding 'smae'; did you mean 'same'"),
        (lambda: layers.Conv2D(3, 3, groups=2), "3 filters cannot be split into 2 equal groups"),
        (lambda: layers.Conv2D(2, 3, activation="rleu"), "unknown activation 'rleu'; did you mean 'relu'"),
        (lambda: layers.Conv2D(2, 3, kernel_initializer="he_nromal"), "did you mean 'he_normal'"),
        (lambda: layers.Conv2D(2, 3, algorithm="winogard"), "did you mean 'winograd'"),
        (lambda: layers.Conv2D(2, 3, data_format="channels_first"), r"np\.moveaxis\(x, 1, -1\)"),
        (lambda: layers.MaxPooling2D(data_format="channels_first"), "MaxPooling2D: data_format"),
        (lambda: layers.Flatten(data_format="chanels_last"), "did you mean 'channels_last'"),
        (lambda: layers.Conv2D(2, 3, kernel_regularizer="l3"), "unknown regularizer 'l3'. Known: 'l1', "),
        (lambda: layers.Dense(2, bias_constraint="maxnrom"), "did you mean 'max_norm'"),
        (lambda: layers.MaxPooling2D(activity_regularizer="l1"), "put an ActivityRegularization layer"),
        (lambda: layers.Dense(2, dtype="float16"), "Dense: dtype='float16' is not supported, numbers are"),
        (lambda: layers.Flatten(batch_input_shape=(None, 2)), "'batch_input_shape' is not supported"),
        (lambda: layers.Dense(-1), "Dense: units must be a whole number, at least 1; got -1"),
        (lambda: layers.MaxPooling2D("2"), "MaxPooling2D: pool_size must be"),
        (lambda: layers.ZeroPadding2D("same"), "ZeroPadding2D: padding must be numbers; got 'same'"),
        (lambda: layers.ZeroPadding2D((1, -1)), "ZeroPadding2D: padding must be"),
        (lambda: layers.Reshape((-1, -1)), "one of which may be -1"),
        (lambda: layers.Reshape((0, 2)), "at least 1"),
        (lambda: layers.Dropout(1.5), "Dropout: rate .* between 0 and 1; got 1.5"),
        (lambda: layers.Dropout("half"), "Dropout: rate"),
        (lambda: layers.Dropout(0.5, noise_shape="x"), "Dropout: noise_shape must be a list of sizes"),
        (lambda: layers.Dropout(0.5, noise_shape=(None, 0)), "every size of noise_shape must be .* got 0"),
        (lambda: layers.Dropout(0.5, seed=-1), r"Dropout: seed must be .* 2\*\*64 - 1; got -1"),
        (lambda: layers.SpatialDropout2D(2), "SpatialDropout2D: rate .* between 0 and 1; got 2"),
        (lambda: layers.SpatialDropout2D(0.1, data_format="channels_first"), r"np\.moveaxis\(x, 1, -1\)"),
        (lambda: layers.AlphaDropout(1), "AlphaDropout: rate .* less than 1; got 1"),
        (lambda: layers.GaussianDropout(1.0), "GaussianDropout: rate .* less than 1; got 1.0"),
        (lambda: layers.GaussianNoise(1.5), "GaussianNoise: stddev must be a number between 0 and 1"),
        (lambda: layers.ActivityRegularization(l1=-1), "l1 must be a finite number, 0 or more; got -1"),
        (lambda: layers.ReLU(max_value=-1), "ReLU: max_value must not be negative, got -1"),
        (lambda: layers.ReLU(negative_slope=None), "ReLU: negative_slope must not be"),
        (
            lambda: layers.Softmax(axis=(1, 0)),
            "Softmax: axis must be a whole number, .*not the batch axis 0",
        ),
        (lambda: layers.Softmax(axis="last"), "Softmax: axis must be a whole number, or several"),
        (lambda: layers.Softmax(axis=(1, 1))(np.ones((2, 3))), r"each must be another one, from 1 to 1 or"),
        (
            lambda: layers.Softmax(axis=(1, 2))(np.ones((2, 3))),
            r"axis=\[1, 2\] does not fit inputs with 2",
        ),
        (lambda: layers.Softmax(axis=0), "not the batch axis"),
        (lambda: layers.Input(), "Input needs the shape"),
        (lambda: layers.Input(28), r"write Input\(shape=\(28,\)\)"),
        (lambda: layers.Input((28.5, None, 3)), "whole numbers, .* or None for a size left open"),
        (lambda: layers.Input((28, 28), batch_size=0), "Input: batch_size must be a whole number"),
        (lambda: layers.Input((28,), batch_shape=(None, 28)), "give shape, or batch_shape with"),
        (lambda: layers.Input(batch_shape=()), "batch_shape has the batch axis in front"),
        (lambda: layers.Input((28,), sparse=True), "'sparse' is not supported"),
        (lambda: layers.Dense(2, trainable="yes"), "Dense: trainable must be True or False; got 'yes'"),
        (lambda: layers.Dense(2, input_shape=(0,)), "input_shape is the shape of one example"),
        (
            lambda: layers.deserialize({"class_name": "Conv3D"}),
            "Keras' layer 'Conv3D' is not supported: .* layers.Conv2D",
        ),
    ],
)
def test_arguments_that_cannot_be(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_arguments_nobody_knows():
    with pytest.raises(TypeError, match="Dense has no argument 'unit'"):
        layers.Dense(2, unit=3)
    with pytest.raises(TypeError, match="A function of your own has no derivative"):
        layers.Dense(2, activation=np.tanh)
    layers.Dense(2, dtype="float32")


@pytest.mark.parametrize("x", [np.zeros((2, 3), complex), np.array([["a", "b"]]), [[1, 2], [None, 3]]])
def test_what_is_not_numbers(x):
    with pytest.raises(TypeError, match="the input of Dense 'd' must hold real numbers"):
        layers.Dense(2, name="d").forward(x)


def test_images_that_look_like_channels_first_are_warned_of():
    with pytest.warns(UserWarning, match=r"\(N, 3, 32, 32\) looks like channels first \(NCHW\)"):
        layers.Conv2D(2, 3, padding="same").build((3, 32, 32))


def test_a_sequential_model_checks_what_it_is_made_of():
    with pytest.raises(TypeError, match=r"made of layers, got <class .*Flatten'>: write Flatten\(\.\.\.\)"):
        Sequential([layers.Flatten])
    with pytest.raises(TypeError, match="made of layers, got 3"):
        Sequential([3])
    layer = layers.Dense(2, name="twice")
    with pytest.raises(ValueError, match="can be used only once"):
        Sequential([layer, layer])
    with pytest.raises(ValueError, match="a layer named 'twice' already"):
        Sequential([layer, layers.Dense(2, name="twice")])
    with pytest.raises(ValueError, match="Input comes first, and only once"):
        Sequential([layers.Dense(2), layers.Input((3,))])
    with pytest.raises(ValueError, match="has no layers: add some"):
        Sequential().build((3,))


def test_a_layer_that_does_not_fit_is_not_added():
    model = Sequential([layers.Input((4, 4, 1)), layers.Conv2D(2, 3)])
    with pytest.raises(ValueError, match="covers 3x3 pixels"):
        model.add(layers.Conv2D(2, 3))
    assert len(model.layers) == 1
    model.add(layers.Flatten())
    assert model.output_shape == (None, 8)


def test_a_model_that_cannot_be_built_stays_unbuilt():
    model = Sequential([layers.Conv2D(2, 3), layers.MaxPooling2D(4), layers.Flatten(), layers.Dense(1)])
    with pytest.raises(ValueError, match="pool_size"):
        model.predict(np.zeros((2, 5, 5, 1)))
    assert not model.built
    assert [layer.input_shape for layer in model.layers] == [None] * 4
    assert model.weights == []
    assert model.predict(np.zeros((2, 6, 6, 3)), verbose=0).shape == (2, 1)


def test_a_built_model_takes_one_shape_only():
    model = Sequential([layers.Input((6, 6, 1)), layers.Flatten(), layers.Dense(1)])
    with pytest.raises(
        ValueError, match=r"Sequential 's.*' expects input \(N, 6, 6, 1\), got \(2, 6, 7, 1\)"
    ):
        model(np.zeros((2, 6, 7, 1)))
    with pytest.raises(ValueError, match=r"x\[\.\.\., None\]"):
        model(np.zeros((2, 6, 6)))
    with pytest.raises(ValueError, match=r"is built for inputs \(None, 6, 6, 1\) already"):
        model.build((None, 5, 5, 1))
    model.build((6, 6, 1))
