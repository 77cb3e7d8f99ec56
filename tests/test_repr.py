"""What objects look like when printed: short, and with what is special of them."""

from __future__ import annotations

import numpy as np
import pytest

from fastconv import (
    activations,
    callbacks,
    constraints,
    datasets,
    initializers,
    layers,
    losses,
    metrics,
    optimizers,
    regularizers,
    utils,
)
from fastconv.models import Sequential
from fastconv.optimizers import schedules
from fastconv.parameter import Parameter


@pytest.mark.parametrize(
    ("thing", "text"),
    [
        (layers.Conv2D(6, 5, name="c"), "Conv2D(name='c', filters=6, kernel_size=(5, 5))"),
        (
            layers.Conv2D(6, (5, 3), 2, "same", activation="relu", name="c"),
            "Conv2D(name='c', filters=6, kernel_size=(5, 3), strides=(2, 2), padding='same', "
            "activation='relu')",
        ),
        (
            layers.Dense(4, kernel_initializer="he_normal", bias_regularizer="l2", trainable=False, name="d"),
            "Dense(name='d', units=4, kernel_initializer=HeNormal(), bias_regularizer=L2(), trainable=False)",
        ),
        (layers.Dense(4, "linear", kernel_initializer="GlorotUniform", name="d"), "Dense(name='d', units=4)"),
        (
            layers.Dense(4, activation=layers.LeakyReLU(0.1), name="d"),
            "Dense(name='d', units=4, activation=leaky_relu(negative_slope=0.1))",
        ),
        (
            layers.Dense(2, kernel_initializer=np.ones, name="d"),
            "Dense(name='d', units=2, kernel_initializer=ones)",
        ),
        (layers.MaxPooling2D(name="p"), "MaxPooling2D(name='p', pool_size=(2, 2))"),
        (
            layers.AveragePooling2D(3, strides=1, name="p"),
            "AveragePooling2D(name='p', pool_size=(3, 3), strides=(1, 1))",
        ),
        (layers.Dropout(0.5, seed=3, name="d"), "Dropout(name='d', rate=0.5, seed=3)"),
        (layers.SpatialDropout2D(0.5, name="d"), "SpatialDropout2D(name='d', rate=0.5)"),
        (layers.BatchNormalization(momentum=0.9, name="b"), "BatchNormalization(name='b', momentum=0.9)"),
        (layers.RandomBrightness(0.2, name="b"), "RandomBrightness(name='b', factor=(-0.2, 0.2))"),
        (layers.InputLayer((4, 4, 1), name="i"), "InputLayer(name='i', shape=[4, 4, 1])"),
        (optimizers.Adam(), "Adam(learning_rate=0.001)"),
        (optimizers.SGD(0.1, momentum=0.9, clipnorm=1), "SGD(learning_rate=0.1, momentum=0.9, clipnorm=1)"),
        (
            optimizers.SGD(schedules.ExponentialDecay(0.1, 10, 0.9)),
            "SGD(learning_rate=ExponentialDecay(initial_learning_rate=0.1, decay_steps=10, decay_rate=0.9))",
        ),
        (losses.MeanSquaredError(), "MeanSquaredError()"),
        (losses.CategoricalCrossentropy(label_smoothing=0.1), "CategoricalCrossentropy(label_smoothing=0.1)"),
        (metrics.AUC(name="roc"), "AUC(name='roc')"),
        (metrics.TopKCategoricalAccuracy(3), "TopKCategoricalAccuracy(k=3)"),
        (initializers.HeNormal(), "HeNormal()"),
        (initializers.RandomNormal(stddev=0.1, seed=1), "RandomNormal(stddev=0.1, seed=1)"),
        (regularizers.L1L2(l1=0.1), "L1L2(l1=0.1)"),
        (constraints.MaxNorm(1.0, axis=[0, 1, 2]), "MaxNorm(max_value=1.0, axis=[0, 1, 2])"),
        (activations.relu, "relu"),
        (callbacks.EarlyStopping(patience=3), "EarlyStopping(patience=3)"),
        (callbacks.LearningRateScheduler(max), "LearningRateScheduler(schedule=max)"),
        (callbacks.LambdaCallback(on_epoch_end=print), "LambdaCallback(on_epoch_end=print)"),
        (callbacks.History(), "<History of 0 epochs>"),
        (Parameter(np.zeros((2, 3)), "kernel", path="a/kernel"), "<Parameter a/kernel (2, 3), trainable>"),
        (Parameter(0, "mean", trainable=False), "<Parameter mean (), not trainable>"),
        (
            datasets.Loader(np.zeros((9, 2, 2, 1)), np.zeros(9), batch_size=4, seed=1),
            "Loader(x=<array (9, 2, 2, 1) float64>, y=<array (9,) float64>, batch_size=4, seed=1)",
        ),
        (utils.Prefetch([(np.zeros(2),)], depth=3), "Prefetch(source=[(<array (2,) float64>,)], depth=3)"),
    ],
    ids=lambda thing: "" if isinstance(thing, str) else type(thing).__name__,
)
def test_the_call_that_makes_one_like_it(thing, text):
    assert repr(thing) == text


def test_models():
    model = Sequential([layers.Dense(3)], name="m")
    assert repr(model) == "<Sequential 'm': 1 layer, not built>"
    model.build((None, 4))
    assert repr(model) == "<Sequential 'm': 1 layer, (None, 4) -> (None, 3), 15 params>"


def test_history_tells_where_it_ended():
    model = Sequential([layers.Dense(2, input_dim=2, activation="softmax", kernel_initializer="zeros")])
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy", metrics.ConfusionMatrix(2)])
    history = model.fit(np.zeros((4, 2)), np.zeros(4, int), epochs=1, verbose=0)
    loss, accuracy = history.history["loss"][0], history.history["accuracy"][0]
    assert repr(history).startswith("<History of 1 epoch: ")
    assert f"loss {loss:.4g}" in repr(history)
    assert f"accuracy {accuracy:.4g}" in repr(history)
    assert "confusion" not in repr(history)


def test_str_of_layers_stays_short():
    """Error messages name layers by it."""
    assert str(layers.Conv2D(6, 5, name="c")) == "Conv2D 'c'"
    assert str(Sequential(name="m")) == "Sequential 'm'"


def test_objects_of_ones_own():
    class Plain(layers.Layer):
        def __init__(self, units, *, rate=0.5, **options):
            super().__init__(**options)
            self.units, self.rate = units, rate

    class Broken(Plain):
        def get_config(self):
            raise RuntimeError("no")

    class Batches(utils.PyDataset):
        def __init__(self, x, **options):
            super().__init__(**options)
            self.x = x

    class Silent(callbacks.Callback):
        pass

    assert repr(Plain(3, name="p")) == "Plain(name='p', units=3)"
    assert repr(Plain(3, rate=0.1, name="p")) == "Plain(name='p', units=3, rate=0.1)"
    assert repr(Broken(3, name="b")) == "Broken(name='b', units=3)"
    assert repr(Batches(np.zeros(3))) == "Batches(x=<array (3,) float64>)"
    assert repr(Silent()) == "Silent()"


def test_long_values_are_cut():
    assert len(repr(utils.Prefetch([(np.zeros(2),)] * 1000))) < 400
    assert len(repr(initializers.Constant(np.zeros((50, 50))))) < 1000


def test_what_is_printed_makes_an_equal_layer():
    made = [
        layers.Conv2D(4, (3, 1), dilation_rate=2, groups=2, use_bias=False),
        layers.BatchNormalization(epsilon=0.1, center=False),
        layers.ReLU(max_value=6.0),
        layers.RandomZoom(0.2, fill_mode="wrap"),
        layers.Rescaling(1 / 255, offset=-1),
        layers.ZeroPadding2D(2),
        layers.Reshape((4, -1)),
        layers.Resizing(3, 4, interpolation="nearest"),
        layers.GlobalAveragePooling2D(keepdims=True),
        layers.MaxPooling2D((2, 3), padding="same"),
    ]
    for layer in made:
        again = eval(repr(layer), vars(layers))
        assert again.get_config() == layer.get_config()
