"""What readers of a well-known textbook write: its ways of using Keras, on small data of our own.

A. Géron, "Hands-On Machine Learning with Scikit-Learn, Keras & TensorFlow", 2nd edition 2019 and 3rd edition
2022, chapters 10 (multilayer perceptrons), 11 (deep networks) and 14 (convolution). No code is taken from it.
"""

from __future__ import annotations

import math
import re
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import fastconv as keras
from fastconv import backend as K

PAGE = Path(__file__).parents[1] / "docs" / "keras-differences.md"

CLASSES = ["bars", "columns", "frame"]


@pytest.fixture(autouse=True)
def afresh():
    K.clear_session()
    keras.utils.set_random_seed(42)


def pictures(number: int = 240, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """8×8 pictures of horizontal bars, vertical bars and frames, 0 to 255, and their classes."""
    random = np.random.default_rng(seed)
    images = random.integers(0, 60, (number, 8, 8)).astype(np.uint8)
    labels = (np.arange(number) % 3).astype(np.uint8)
    for image, label in zip(images, labels, strict=True):
        place = random.integers(0, 3)
        if label == 0:
            image[place::3, :] = 255
        elif label == 1:
            image[:, place::3] = 255
        else:
            image[[0, -1], :] = image[:, [0, -1]] = 255
    return images, labels


X_FULL, Y_FULL = pictures()
X_VALID, X_TRAIN = X_FULL[:60] / 255.0, X_FULL[60:] / 255.0
Y_VALID, Y_TRAIN = Y_FULL[:60], Y_FULL[60:]
X_TEST, Y_TEST = pictures(60, seed=1)
X_TEST = X_TEST / 255.0

FEATURES = np.random.default_rng(2).normal(size=(200, 5))
TARGET = FEATURES @ np.array([1.0, -2.0, 0.5, 0.0, 3.0]) + 0.5


def perceptron(*, compiled: bool = True, **options):
    model = keras.models.Sequential()
    model.add(keras.layers.Flatten(input_shape=[8, 8]))
    model.add(keras.layers.Dense(30, activation="relu"))
    model.add(keras.layers.Dense(20, activation="relu"))
    model.add(keras.layers.Dense(3, activation="softmax"))
    if compiled:
        settings = {"loss": "sparse_categorical_crossentropy", "optimizer": "sgd", "metrics": ["accuracy"]}
        model.compile(**(settings | options))
    return model


# ---- chapter 10: multilayer perceptrons


def test_a_classifier_from_layers_added_one_by_one(capsys):
    model = perceptron()
    model.summary()
    assert "Total params: 2,633" in capsys.readouterr().out
    assert [layer.name for layer in model.layers] == ["flatten", "dense", "dense_1", "dense_2"]
    hidden = model.layers[1]
    assert model.get_layer("dense") is hidden
    assert model.get_layer(index=1) is hidden
    weights, biases = hidden.get_weights()
    assert weights.shape == (64, 30)
    assert weights.std() > 0
    np.testing.assert_array_equal(biases, np.zeros(30))
    hidden.set_weights([np.ones_like(weights), biases + 0.5])
    np.testing.assert_array_equal(hidden.get_weights()[1], np.full(30, 0.5, np.float32))


def test_a_classifier_from_a_list():
    model = keras.models.Sequential(
        [
            keras.layers.Input(shape=[8, 8]),
            keras.layers.Flatten(),
            keras.layers.Dense(30, activation="relu"),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )
    assert model.count_params() == 64 * 30 + 30 + 30 * 3 + 3
    assert model.input_shape == (None, 8, 8)
    assert model.output_shape == (None, 3)


def test_fit_evaluate_predict():
    model = perceptron(optimizer=keras.optimizers.SGD(learning_rate=0.1))
    history = model.fit(X_TRAIN, Y_TRAIN, epochs=30, validation_data=(X_VALID, Y_VALID), verbose=0)
    assert history.params["epochs"] == 30
    assert history.epoch == list(range(30))
    assert set(history.history) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    loss, accuracy = model.evaluate(X_TEST, Y_TEST, verbose=0)
    assert accuracy > 0.9
    assert loss < 0.4
    probabilities = model.predict(X_TEST[:3], verbose=0)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    chosen = np.argmax(probabilities, axis=-1)
    assert list(np.array(CLASSES)[chosen]) == [CLASSES[label] for label in Y_TEST[:3]]


def test_losses_optimizers_and_metrics_may_be_objects():
    model = perceptron(
        loss=keras.losses.sparse_categorical_crossentropy,
        optimizer=keras.optimizers.SGD(),
        metrics=[keras.metrics.sparse_categorical_accuracy],
    )
    history = model.fit(X_TRAIN, Y_TRAIN, verbose=0)
    assert set(history.history) == {"loss", "sparse_categorical_accuracy"}
    one_hot = keras.utils.to_categorical(Y_TRAIN, num_classes=3)
    model.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
    assert set(model.fit(X_TRAIN, one_hot, verbose=0).history) == {"loss", "accuracy"}


def test_classes_and_samples_have_weights():
    model = perceptron()
    model.fit(X_TRAIN, Y_TRAIN, class_weight={0: 1.0, 1: 2.0, 2: 0.5}, verbose=0)
    model.fit(
        X_TRAIN, Y_TRAIN, sample_weight=np.linspace(0.5, 1, len(Y_TRAIN)), validation_split=0.1, verbose=0
    )
    assert "val_loss" in model.history.history


def test_regression():
    model = keras.models.Sequential(
        [
            keras.layers.Dense(30, activation="relu", input_shape=FEATURES.shape[1:]),
            keras.layers.Dense(1),
        ]
    )
    model.compile(
        loss="mean_squared_error",
        optimizer=keras.optimizers.Adam(learning_rate=1e-2),
        metrics=["RootMeanSquaredError"],
    )
    before = model.evaluate(FEATURES[150:], TARGET[150:], verbose=0)[0]
    model.fit(FEATURES[:150], TARGET[:150], epochs=30, validation_split=0.2, verbose=0)
    mse, rmse = model.evaluate(FEATURES[150:], TARGET[150:], verbose=0)
    assert mse < before / 10
    assert rmse == pytest.approx(math.sqrt(mse), rel=1e-4)
    assert model.predict(FEATURES[:3], verbose=0).shape == (3, 1)


def wide_and_deep(inputs_wide=5, inputs_deep=None, *, with_help: bool = False, **names):
    """A linear path and a deep one, side by side: of the same features, or of two sets of them."""
    wide = keras.layers.Input(shape=[inputs_wide], name="wide_input")
    deep = wide if inputs_deep is None else keras.layers.Input(shape=[inputs_deep], name="deep_input")
    hidden1 = keras.layers.Dense(30, activation="relu")(deep)
    hidden2 = keras.layers.Dense(30, activation="relu")(hidden1)
    both = keras.layers.Concatenate()([wide, hidden2])
    outputs = [keras.layers.Dense(1, name="output")(both)]
    if with_help:
        outputs.append(keras.layers.Dense(1, name="aux_output")(hidden2))
    return keras.Model(inputs=[wide] if deep is wide else [wide, deep], outputs=outputs)


def test_a_wide_and_deep_network():
    model = wide_and_deep()
    model.compile(loss="mse", optimizer=keras.optimizers.Adam(1e-2))
    history = model.fit(FEATURES[:150], TARGET[:150], epochs=30, validation_split=0.2, verbose=0).history
    assert history["val_loss"][-1] < history["val_loss"][0] / 10
    predicted = model.predict(FEATURES[150:153], verbose=0)
    w1, b1, w2, b2, w3, b3 = model.get_weights()
    x = FEATURES[150:153]
    deep = np.maximum(np.maximum(x @ w1 + b1, 0) @ w2 + b2, 0)
    np.testing.assert_allclose(predicted, np.hstack([x, deep]) @ w3 + b3, rtol=1e-4, atol=1e-5)


def test_several_inputs():
    wide, deep = FEATURES[:, :3], FEATURES[:, 1:]
    model = wide_and_deep(3, 4)
    model.compile(loss="mse", optimizer=keras.optimizers.Adam(1e-2))
    history = model.fit(
        (wide[:150], deep[:150]),
        TARGET[:150],
        epochs=20,
        validation_data=((wide[150:], deep[150:]), TARGET[150:]),
        verbose=0,
    ).history
    assert history["val_loss"][-1] < history["val_loss"][0] / 5
    by_place = model.predict((wide[:3], deep[:3]), verbose=0)
    by_name = model.predict({"wide_input": wide[:3], "deep_input": deep[:3]}, verbose=0)
    np.testing.assert_array_equal(by_place, by_name)


def test_an_output_that_only_helps_to_train():
    wide, deep = FEATURES[:, :3], FEATURES[:, 1:]
    model = wide_and_deep(3, 4, with_help=True)
    model.compile(
        loss=["mse", "mse"],
        loss_weights=[0.9, 0.1],
        optimizer=keras.optimizers.Adam(1e-2),
        metrics=["RootMeanSquaredError", "RootMeanSquaredError"],
    )
    model.fit((wide, deep), [TARGET, TARGET], epochs=10, verbose=0)
    logs = model.evaluate((wide, deep), [TARGET, TARGET], verbose=0, return_dict=True)
    assert logs["loss"] == pytest.approx(0.9 * logs["output_loss"] + 0.1 * logs["aux_output_loss"], rel=1e-4)
    assert logs["output_RootMeanSquaredError"] ** 2 == pytest.approx(logs["output_loss"], rel=1e-4)
    main, helper = model.predict((wide, deep), verbose=0)
    assert main.shape == helper.shape == (200, 1)
    by_name = model.get_layer("aux_output")
    assert model.output_names == ["output", by_name.name]


def test_a_subclass_of_model():
    class WideAndDeep(keras.Model):
        def __init__(self, units=30, activation="relu", **options):
            super().__init__(**options)
            self.hidden1 = keras.layers.Dense(units, activation=activation)
            self.hidden2 = keras.layers.Dense(units, activation=activation)
            self.main_output = keras.layers.Dense(1)
            self.aux_output = keras.layers.Dense(1)

        def call(self, inputs):
            wide, deep = inputs
            hidden = self.hidden2(self.hidden1(deep))
            both = keras.layers.Concatenate()([wide, hidden])
            return self.main_output(both), self.aux_output(hidden)

    wide, deep = FEATURES[:, :3], FEATURES[:, 1:]
    model = WideAndDeep(30, name="my_model")
    model.compile(loss="mse", loss_weights=[0.9, 0.1], optimizer=keras.optimizers.Adam(1e-2))
    losses = model.fit((wide, deep), (TARGET, TARGET), epochs=10, verbose=0).history["loss"]
    assert losses[-1] < losses[0] / 2
    same = wide_and_deep(3, 4, with_help=True)
    same.set_weights(model.get_weights())
    for mine, its in zip(
        model.predict((wide, deep), verbose=0), same.predict((wide, deep), verbose=0), strict=True
    ):
        np.testing.assert_allclose(mine, its, rtol=1e-5, atol=1e-6)


def test_standardized_inputs():
    """The 3rd edition's Normalization layer: the same numbers from NumPy."""
    raw = FEATURES * 7 + 3
    mean, deviation = raw[:150].mean(axis=0), raw[:150].std(axis=0)
    scale = keras.layers.Rescaling(1.0, offset=0.0)
    np.testing.assert_allclose(scale((raw[:150] - mean) / deviation).mean(axis=0), 0, atol=1e-6)


def test_saving_and_loading(tmp_path):
    model = perceptron()
    model.fit(X_TRAIN, Y_TRAIN, verbose=0)
    model.save(tmp_path / "my_model.safetensors")
    loaded = keras.models.load_model(tmp_path / "my_model.safetensors")
    np.testing.assert_array_equal(loaded.predict(X_TEST, verbose=0), model.predict(X_TEST, verbose=0))
    model.save_weights(tmp_path / "my_weights.safetensors")
    other = perceptron()
    other.load_weights(tmp_path / "my_weights.safetensors")
    np.testing.assert_array_equal(other.predict(X_TEST, verbose=0), model.predict(X_TEST, verbose=0))


def test_checkpoints_and_early_stopping(tmp_path):
    model = perceptron(optimizer=keras.optimizers.SGD(0.1))
    checkpoint = keras.callbacks.ModelCheckpoint(tmp_path / "best.safetensors", save_best_only=True)
    stopping = keras.callbacks.EarlyStopping(patience=3, min_delta=0.01, restore_best_weights=True)
    history = model.fit(
        X_TRAIN,
        Y_TRAIN,
        epochs=200,
        validation_data=(X_VALID, Y_VALID),
        callbacks=[checkpoint, stopping],
        verbose=0,
    )
    assert len(history.epoch) < 200
    best = keras.models.load_model(tmp_path / "best.safetensors")
    value = best.evaluate(X_VALID, Y_VALID, verbose=0)[0]
    assert value == pytest.approx(min(history.history["val_loss"]), rel=1e-5)


def test_a_callback_of_ones_own():
    ratios = []

    class ValidationOverTraining(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs):
            ratios.append(logs["val_loss"] / logs["loss"])

    history = (
        perceptron()
        .fit(
            X_TRAIN,
            Y_TRAIN,
            epochs=2,
            validation_data=(X_VALID, Y_VALID),
            callbacks=[ValidationOverTraining()],
            verbose=0,
        )
        .history
    )
    assert ratios == [v / t for v, t in zip(history["val_loss"], history["loss"], strict=True)]


def test_models_from_hyperparameters():
    """A function that builds a model, and a search over its arguments."""

    def build(n_hidden=1, n_neurons=10, learning_rate=3e-3, input_shape=(5,)):
        model = keras.models.Sequential([keras.layers.Input(shape=input_shape)])
        for _ in range(n_hidden):
            model.add(keras.layers.Dense(n_neurons, activation="relu"))
        model.add(keras.layers.Dense(1))
        model.compile(loss="mse", optimizer=keras.optimizers.SGD(learning_rate=learning_rate))
        return model

    scores = {}
    for hidden in (0, 1):
        for rate in (1e-5, 1e-2):
            model = build(n_hidden=hidden, learning_rate=rate)
            model.fit(FEATURES[:150], TARGET[:150], epochs=5, verbose=0)
            scores[hidden, rate] = model.evaluate(FEATURES[150:], TARGET[150:], verbose=0)
    assert min(scores, key=scores.get)[1] == 1e-2


class ExponentialRate(keras.callbacks.Callback):
    """The learning rate times a factor after each batch, and the losses meanwhile."""

    def __init__(self, factor):
        super().__init__()
        self.factor = factor
        self.rates, self.losses = [], []

    def on_batch_end(self, batch, logs=None):
        rate = K.get_value(self.model.optimizer.learning_rate)
        self.rates.append(rate)
        self.losses.append(logs["loss"])
        self.model.optimizer.learning_rate = rate * self.factor


def test_searching_for_a_learning_rate():
    model = perceptron(optimizer=keras.optimizers.SGD(1e-3))
    initial = model.get_weights()
    search = ExponentialRate(1.5)
    model.fit(X_TRAIN, Y_TRAIN, batch_size=32, epochs=3, callbacks=[search], verbose=0)
    model.set_weights(initial)
    steps = math.ceil(len(X_TRAIN) / 32) * 3
    np.testing.assert_allclose(search.rates, 1e-3 * 1.5 ** np.arange(steps), rtol=1e-6)
    assert len(search.losses) == steps
    for weight, start in zip(model.get_weights(), initial, strict=True):
        np.testing.assert_array_equal(weight, start)


def test_data_sets_of_other_libraries():
    """Anything that yields batches will do, of whatever turns into arrays, as TensorFlow's tensors do."""

    class Tensor:
        def __init__(self, array):
            self.array = array

        def __array__(self, dtype=None, copy=None):
            return np.asarray(self.array, dtype)

    class Dataset:
        def __iter__(self):
            for start in range(0, len(X_TRAIN), 32):
                place = slice(start, start + 32)
                yield Tensor(X_TRAIN[place]), Tensor(Y_TRAIN[place])

    model, same = perceptron(), perceptron()
    same.set_weights(model.get_weights())
    model.fit(Dataset(), epochs=2, validation_data=Dataset(), verbose=0)
    same.fit(X_TRAIN, Y_TRAIN, epochs=2, shuffle=False, verbose=0)
    for weight, other in zip(model.get_weights(), same.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, other)


# ---- chapter 11: deep networks


def test_what_there_is_can_be_listed():
    """Names without files, imports and helpers among them."""
    initializers = [name for name in dir(keras.initializers) if not name.startswith("_")]
    assert {"HeNormal", "VarianceScaling", "he_normal", "glorot_uniform"} <= set(initializers)
    assert not {"random", "Registry", "np", "annotations"} & set(initializers)
    relus = [name for name in dir(keras.layers) if "relu" in name.lower()]
    assert relus == ["LeakyReLU", "PReLU", "ReLU"]
    activations = [name for name in dir(keras.activations) if not name.startswith("_")]
    assert {"relu", "selu", "elu", "swish", "mish"} <= set(activations)
    assert not {"ops", "Array", "Any"} & set(activations)


def test_initializers():
    by_name = keras.layers.Dense(10, activation="relu", kernel_initializer="he_normal")
    scaled = keras.initializers.VarianceScaling(scale=2.0, mode="fan_avg", distribution="uniform")
    by_object = keras.layers.Dense(10, activation="sigmoid", kernel_initializer=scaled)
    for layer, limit in ((by_name, 2 * math.sqrt(2 / 1000) / 0.87), (by_object, math.sqrt(3 * 2 / 505))):
        layer.build((1000,))
        assert np.abs(layer.get_weights()[0]).max() <= limit * 1.01


@pytest.mark.parametrize(
    "hidden",
    [
        lambda: [keras.layers.Dense(20, activation=keras.layers.LeakyReLU(negative_slope=0.2))],
        lambda: [keras.layers.Dense(20, kernel_initializer="he_normal"), keras.layers.LeakyReLU(0.2)],
        lambda: [keras.layers.Dense(20, kernel_initializer="he_normal"), keras.layers.PReLU()],
        lambda: [keras.layers.Dense(20, activation="elu", kernel_initializer="he_normal")],
        lambda: [keras.layers.Dense(20, activation="selu", kernel_initializer="lecun_normal")],
        lambda: [keras.layers.Dense(20, activation="swish", kernel_initializer="he_normal")],
        lambda: [keras.layers.Dense(20, activation=keras.activations.gelu)],
        lambda: [keras.layers.Dense(20, activation="relu"), keras.layers.BatchNormalization()],
        lambda: [
            keras.layers.Dense(20, kernel_initializer="he_normal", use_bias=False),
            keras.layers.BatchNormalization(),
            keras.layers.Activation("relu"),
        ],
        lambda: [keras.layers.AlphaDropout(rate=0.1), keras.layers.Dense(20, activation="selu")],
        lambda: [keras.layers.Dropout(rate=0.1), keras.layers.Dense(20, activation="relu")],
        lambda: [keras.layers.Dense(20, "relu", kernel_constraint=keras.constraints.max_norm(1.0))],
        lambda: [keras.layers.Dense(20, "relu", kernel_regularizer=keras.regularizers.l2(0.001))],
        lambda: [keras.layers.Dense(20, "relu", kernel_regularizer=keras.regularizers.l1(0.0001))],
        lambda: [keras.layers.Dense(20, "relu", kernel_regularizer=keras.regularizers.l1_l2(0.0001, 0.001))],
    ],
)
def test_hidden_layers(hidden):
    model = keras.models.Sequential(
        [keras.layers.Flatten(input_shape=[8, 8]), *hidden(), keras.layers.Dense(3, activation="softmax")]
    )
    model.compile("nadam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(X_TRAIN, Y_TRAIN, epochs=5, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]


def test_a_deep_network_normalizes_itself():
    """SELU keeps mean 0 and deviation 1 through thirty layers."""
    model = keras.models.Sequential([keras.layers.Input((50,))])
    for _ in range(30):
        model.add(keras.layers.Dense(50, activation="selu", kernel_initializer="lecun_normal"))
    outputs = model(np.random.default_rng(0).normal(size=(500, 50)))
    assert abs(outputs.mean()) < 0.3
    assert 0.6 < outputs.std() < 1.4


def test_batch_normalization_has_four_arrays():
    model = keras.models.Sequential(
        [keras.layers.Flatten(input_shape=[8, 8]), keras.layers.BatchNormalization(), keras.layers.Dense(3)]
    )
    normalization = model.layers[1]
    assert [(weight.name, weight.trainable) for weight in normalization.weights] == [
        ("gamma", True),
        ("beta", True),
        ("moving_mean", False),
        ("moving_variance", False),
    ]


@pytest.mark.parametrize("clipping", [{"clipvalue": 1.0}, {"clipnorm": 1.0}])
def test_gradient_clipping(clipping):
    model = perceptron(optimizer=keras.optimizers.SGD(**clipping))
    assert np.isfinite(model.fit(X_TRAIN * 1e4, Y_TRAIN, verbose=0).history["loss"]).all()


def test_reusing_layers():
    model_a = perceptron()
    model_a.fit(X_TRAIN, Y_TRAIN, epochs=3, verbose=0)
    clone = keras.models.clone_model(model_a)
    clone.set_weights(model_a.get_weights())

    two = Y_TRAIN < 2
    model_b = keras.models.Sequential(model_a.layers[:-1])
    model_b.add(keras.layers.Dense(1, activation="sigmoid", name="answer"))
    for layer in model_b.layers[:-1]:
        layer.trainable = False
    frozen = model_b.layers[1].get_weights()
    model_b.compile("sgd", "binary_crossentropy", metrics=["accuracy"])
    model_b.fit(X_TRAIN[two], Y_TRAIN[two], epochs=2, verbose=0)
    np.testing.assert_array_equal(model_b.layers[1].get_weights()[0], frozen[0])
    for layer in model_b.layers[:-1]:
        layer.trainable = True
    model_b.compile(keras.optimizers.SGD(learning_rate=1e-2), "binary_crossentropy", metrics=["accuracy"])
    model_b.fit(X_TRAIN[two], Y_TRAIN[two], epochs=2, verbose=0)
    assert not np.array_equal(model_b.layers[1].get_weights()[0], frozen[0])
    np.testing.assert_array_equal(model_a.layers[1].get_weights()[0], model_b.layers[1].get_weights()[0])
    np.testing.assert_array_equal(clone.layers[1].get_weights()[0], frozen[0])


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda: keras.optimizers.SGD(learning_rate=0.001, momentum=0.9),
        lambda: keras.optimizers.SGD(learning_rate=0.001, momentum=0.9, nesterov=True),
        lambda: keras.optimizers.Adagrad(learning_rate=0.01),
        lambda: keras.optimizers.RMSprop(learning_rate=0.001, rho=0.9),
        lambda: keras.optimizers.Adam(learning_rate=0.001, beta_1=0.9, beta_2=0.999),
        lambda: keras.optimizers.Adamax(learning_rate=0.001, beta_1=0.9, beta_2=0.999),
        lambda: keras.optimizers.Nadam(learning_rate=0.001, beta_1=0.9, beta_2=0.999),
        lambda: keras.optimizers.AdamW(weight_decay=1e-5, learning_rate=0.001, beta_1=0.9, beta_2=0.999),
        lambda: keras.optimizers.SGD(keras.optimizers.schedules.ExponentialDecay(0.01, 20, 0.1)),
        lambda: keras.optimizers.SGD(keras.optimizers.schedules.InverseTimeDecay(0.01, 100, 1.0)),
        lambda: keras.optimizers.SGD(
            keras.optimizers.schedules.PiecewiseConstantDecay([5, 15], [0.01, 0.005, 0.001])
        ),
    ],
)
def test_optimizers(optimizer):
    history = perceptron(optimizer=optimizer()).fit(X_TRAIN, Y_TRAIN, epochs=4, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]


def decay(initial, epochs):
    def of_epoch(epoch):
        return initial * 0.1 ** (epoch / epochs)

    return of_epoch


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [
        (decay(0.01, 2), [0.01, 0.01 * 0.1**0.5, 0.001, 0.1**1.5 * 0.01]),
        (lambda epoch, rate: rate * 0.5, [0.005, 0.0025, 0.00125, 0.000625]),
        (lambda epoch: 0.01 if epoch < 2 else 0.002, [0.01, 0.01, 0.002, 0.002]),
    ],
)
def test_schedules_by_epoch(schedule, rates):
    model = perceptron(optimizer=keras.optimizers.SGD(learning_rate=0.01))
    scheduler = keras.callbacks.LearningRateScheduler(schedule)
    history = model.fit(X_TRAIN, Y_TRAIN, epochs=4, callbacks=[scheduler], verbose=0).history
    np.testing.assert_allclose(history["learning_rate"], rates, rtol=1e-6)


def test_a_schedule_by_step_as_a_callback():
    class Decay(keras.callbacks.Callback):
        def __init__(self, steps):
            super().__init__()
            self.steps = steps

        def on_batch_begin(self, batch, logs=None):
            rate = K.get_value(self.model.optimizer.learning_rate)
            self.model.optimizer.learning_rate = rate * 0.1 ** (1 / self.steps)

        def on_epoch_end(self, epoch, logs=None):
            logs = logs or {}
            logs["lr"] = K.get_value(self.model.optimizer.learning_rate)

    model = perceptron(optimizer=keras.optimizers.SGD(learning_rate=0.01))
    steps = math.ceil(len(X_TRAIN) / 32)
    history = model.fit(X_TRAIN, Y_TRAIN, epochs=2, callbacks=[Decay(steps)], verbose=0).history
    np.testing.assert_allclose(history["lr"], [0.001, 0.0001], rtol=1e-6)


def test_the_rate_falls_on_a_plateau():
    model = perceptron(optimizer=keras.optimizers.SGD(learning_rate=0.01))
    plateau = keras.callbacks.ReduceLROnPlateau(factor=0.5, patience=2, min_delta=10)
    history = model.fit(
        X_TRAIN, Y_TRAIN, epochs=6, validation_data=(X_VALID, Y_VALID), callbacks=[plateau], verbose=0
    ).history
    np.testing.assert_allclose(history["learning_rate"], [0.01] * 3 + [0.005] * 2 + [0.0025], rtol=1e-6)


def test_one_cycle_as_a_callback():
    """Up, down, and down again to nearly nothing, step by step; ``callbacks.OneCycle`` is ready-made."""

    class Cycle(keras.callbacks.Callback):
        def __init__(self, steps, top):
            super().__init__()
            self.steps, self.top, self.step, self.rates = steps, top, 0, []

        def on_batch_begin(self, batch, logs=None):
            half, start, last = self.steps * 0.45, self.top / 10, self.top / 10000
            rate = float(
                np.interp(self.step, [0, half, 2 * half, self.steps], [start, self.top, start, last])
            )
            self.model.optimizer.learning_rate = rate
            self.rates.append(rate)
            self.step += 1

    epochs = 10
    cycle = Cycle(math.ceil(len(X_TRAIN) / 32) * epochs, 0.2)
    model = perceptron()
    model.fit(X_TRAIN, Y_TRAIN, epochs=epochs, callbacks=[cycle], verbose=0)
    assert len(cycle.rates) == cycle.steps
    assert max(cycle.rates) == pytest.approx(0.2, rel=0.05)
    ready = perceptron()
    ready.fit(X_TRAIN, Y_TRAIN, epochs=epochs, callbacks=[keras.callbacks.OneCycle(0.2)], verbose=0)
    for trained in (model, ready):
        assert trained.evaluate(X_TEST, Y_TEST, verbose=0)[1] > 0.8


def test_regularized_layers_through_partial():
    Regularized = partial(
        keras.layers.Dense,
        activation="elu",
        kernel_initializer="he_normal",
        kernel_regularizer=keras.regularizers.l2(0.01),
    )
    model = keras.models.Sequential(
        [
            keras.layers.Flatten(input_shape=[8, 8]),
            Regularized(30),
            Regularized(20),
            Regularized(3, activation="softmax", kernel_initializer="glorot_uniform"),
        ]
    )
    kernels = [layer.get_weights()[0] for layer in model.layers[1:]]
    np.testing.assert_allclose(model.losses, [0.01 * (kernel**2).sum() for kernel in kernels], rtol=1e-5)


def test_monte_carlo_dropout():
    class MCDropout(keras.layers.Dropout):
        def call(self, inputs, training=False):
            return super().call(inputs, training=True)

    model = keras.models.Sequential(
        [
            keras.layers.Flatten(input_shape=[8, 8]),
            keras.layers.Dense(30, activation="relu"),
            keras.layers.Dropout(rate=0.2),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )
    model.compile("nadam", "sparse_categorical_crossentropy")
    model.fit(X_TRAIN, Y_TRAIN, epochs=5, verbose=0)
    samples = np.stack([model(X_TEST[:4], training=True) for _ in range(20)])
    assert samples.shape == (20, 4, 3)
    assert samples.std(axis=0).max() > 0
    np.testing.assert_array_equal(model.predict(X_TEST[:4], verbose=0), model.predict(X_TEST[:4], verbose=0))

    always = keras.models.Sequential(
        [
            MCDropout(layer.rate) if isinstance(layer, keras.layers.Dropout) else layer
            for layer in model.layers
        ]
    )
    always.set_weights(model.get_weights())
    samples = np.stack([always.predict(X_TEST[:4], verbose=0) for _ in range(20)])
    assert samples.std(axis=0).max() > 0
    ready = keras.utils.monte_carlo_predict(model, X_TEST[:4], samples=20)
    np.testing.assert_allclose(ready.mean, samples.mean(axis=0), atol=0.25)


def test_max_norm_bounds_each_unit():
    model = keras.models.Sequential(
        [
            keras.layers.Flatten(input_shape=[8, 8]),
            keras.layers.Dense(20, "relu", kernel_constraint=keras.constraints.max_norm(1.0)),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )
    model.compile(keras.optimizers.SGD(1.0), "sparse_categorical_crossentropy")
    model.fit(X_TRAIN, Y_TRAIN, epochs=3, verbose=0)
    assert np.linalg.norm(model.layers[1].get_weights()[0], axis=0).max() <= 1 + 1e-6


# ---- chapter 14: convolution


IMAGES = np.random.default_rng(3).random((2, 20, 30, 3)).astype(np.float32)


@pytest.mark.parametrize(
    ("options", "shape"),
    [
        ({}, (2, 14, 24, 4)),
        ({"padding": "same"}, (2, 20, 30, 4)),
        ({"padding": "same", "strides": 2}, (2, 10, 15, 4)),
        ({"padding": "valid", "strides": (2, 3)}, (2, 7, 8, 4)),
    ],
)
def test_sizes_of_feature_maps(options, shape):
    layer = keras.layers.Conv2D(filters=4, kernel_size=7, **options)
    assert layer(IMAGES).shape == shape
    kernels, biases = layer.get_weights()
    assert kernels.shape == (7, 7, 3, 4)
    assert biases.shape == (4,)


def test_filters_by_hand():
    """A vertical and a horizontal line as filters, applied to arrays without a layer."""
    filters = np.zeros((7, 7, 3, 2), np.float32)
    filters[:, 3, :, 0] = filters[3, :, :, 1] = 1
    maps = keras.ops.conv2d(IMAGES, filters, strides=1, padding="same")
    assert maps.shape == (2, 20, 30, 2)
    np.testing.assert_allclose(maps[0, 10, 10, 0], IMAGES[0, 7:14, 10].sum(), rtol=1e-5)
    np.testing.assert_allclose(maps[0, 10, 10, 1], IMAGES[0, 10, 7:14].sum(), rtol=1e-5)


def test_pooling():
    assert keras.layers.MaxPool2D(pool_size=2)(IMAGES).shape == (2, 10, 15, 3)
    assert keras.layers.AvgPool2D(2)(IMAGES).shape == (2, 10, 15, 3)
    pooled = keras.layers.GlobalAvgPool2D()(IMAGES)
    np.testing.assert_allclose(pooled, IMAGES.mean(axis=(1, 2)), rtol=1e-5)


def test_pooling_over_channels_is_a_layer_of_ones_own():
    class DepthPool(keras.layers.Layer):
        def __init__(self, pool_size=3, **options):
            super().__init__(**options)
            self.pool_size = pool_size

        def compute_output_shape(self, input_shape):
            return (*input_shape[:-1], input_shape[-1] // self.pool_size)

        def call(self, x, training=False):
            groups = x.reshape(*x.shape[:-1], -1, self.pool_size)
            self.remember(groups)
            return groups.max(axis=-1)

        def backward(self, dy, input_gradient=True):
            (groups,) = self.recall()
            chosen = np.eye(self.pool_size, dtype=dy.dtype)[groups.argmax(axis=-1)]
            return (chosen * dy[..., None]).reshape(*dy.shape[:-1], -1) if input_gradient else None

        def get_config(self):
            return {**super().get_config(), "pool_size": self.pool_size}

    layer = DepthPool(3)
    np.testing.assert_array_equal(layer(IMAGES)[..., 0], IMAGES.max(axis=-1))
    keras.gradcheck(DepthPool(2), np.random.default_rng(0).permutation(4 * 4 * 4).reshape(1, 4, 4, 4) / 10.0)


def convolutional() -> keras.Sequential:
    Convolution = partial(
        keras.layers.Conv2D, kernel_size=3, padding="same", activation="relu", kernel_initializer="he_normal"
    )
    return keras.models.Sequential(
        [
            Convolution(filters=8, kernel_size=5, input_shape=[8, 8, 1]),
            keras.layers.MaxPool2D(),
            Convolution(filters=16),
            Convolution(filters=16),
            keras.layers.MaxPool2D(),
            keras.layers.Flatten(),
            keras.layers.Dense(units=16, activation="relu", kernel_initializer="he_normal"),
            keras.layers.Dropout(0.25),
            keras.layers.Dense(units=3, activation="softmax"),
        ]
    )


def test_a_convolutional_classifier():
    model = convolutional()
    model.compile(loss="sparse_categorical_crossentropy", optimizer="nadam", metrics=["accuracy"])
    model.fit(X_TRAIN[..., np.newaxis], Y_TRAIN, epochs=12, verbose=0)
    assert model.evaluate(X_TEST[..., np.newaxis], Y_TEST, verbose=0)[1] > 0.9


def test_upper_case_padding():
    """The 2nd edition writes it so, and Keras takes it."""
    assert keras.layers.Conv2D(2, 3, padding="SAME")(IMAGES).shape == (2, 20, 30, 2)
    assert keras.layers.MaxPool2D(3, padding="VALID")(IMAGES).shape == (2, 6, 10, 3)


def test_augmentation_in_front_of_a_network():
    augmentation = keras.models.Sequential(
        [
            keras.layers.RandomFlip(mode="horizontal", seed=42),
            keras.layers.RandomRotation(factor=0.05, seed=42),
            keras.layers.RandomContrast(factor=0.2, seed=42),
        ]
    )
    images = X_TRAIN[:5, ..., np.newaxis].astype(np.float32)
    changed = augmentation(images, training=True)
    assert changed.shape == images.shape
    assert not np.array_equal(changed, images)
    np.testing.assert_array_equal(augmentation(images, training=False), images)
    model = keras.models.Sequential([keras.layers.Input((8, 8, 1)), augmentation, *convolutional().layers])
    model.compile("nadam", "sparse_categorical_crossentropy")
    losses = model.fit(X_TRAIN[..., np.newaxis], Y_TRAIN, epochs=4, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


def test_transfer_from_a_trained_network():
    """In place of a network for ImageNet: one for digits that comes with the package, and a new top."""
    base = keras.applications.LeNet5(weights="mnist")
    top = keras.layers.Dense(2, activation="softmax", name="top")
    model = keras.models.Sequential([*base.layers[:-1], top])
    for layer in base.layers[:-1]:
        layer.trainable = False
    optimizer = keras.optimizers.SGD(0.05, momentum=0.9)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    (images, digits), _ = keras.datasets.digits.load_data()
    images, even = images[:300, ..., np.newaxis] / 255.0, digits[:300] % 2
    model.fit(images, even, epochs=5, verbose=0)
    assert model.evaluate(images, even, verbose=0)[1] > 0.9


class ResidualUnit(keras.layers.Layer):
    """A layer of layers: two convolutions, and beside them nothing, or a third that makes the sizes fit."""

    def __init__(self, filters, strides=1, activation="relu", **options):
        super().__init__(**options)
        self.activation = keras.activations.get(activation)
        self.main_layers = [
            keras.layers.Conv2D(filters, 3, strides=strides, padding="same", use_bias=False),
            keras.layers.BatchNormalization(),
            self.activation,
            keras.layers.Conv2D(filters, 3, padding="same", use_bias=False),
            keras.layers.BatchNormalization(),
        ]
        self.skip_layers = []
        if strides > 1:
            self.skip_layers = [
                keras.layers.Conv2D(filters, 1, strides=strides, padding="same", use_bias=False),
                keras.layers.BatchNormalization(),
            ]

    def call(self, inputs):
        main = inputs
        for layer in self.main_layers:
            main = layer(main)
        skip = inputs
        for layer in self.skip_layers:
            skip = layer(skip)
        return self.activation(main + skip)


def test_a_residual_network():
    model = keras.Sequential([keras.layers.Conv2D(8, 3, padding="same", input_shape=[8, 8, 1])])
    before = 8
    for filters in [8, 16]:
        model.add(ResidualUnit(filters, strides=1 if filters == before else 2))
        before = filters
    model.add(keras.layers.GlobalAvgPool2D())
    model.add(keras.layers.Flatten())
    model.add(keras.layers.Dense(3, activation="softmax"))
    model.compile(loss="sparse_categorical_crossentropy", optimizer="nadam", metrics=["accuracy"])
    assert model.layers[2].compute_output_shape((8, 8, 8)) == (4, 4, 16)
    assert len(model.layers[2].trainable_weights) == 3 + 2 * 3
    losses = model.fit(X_TRAIN[..., np.newaxis], Y_TRAIN, epochs=5, verbose=0).history["loss"]
    assert losses[-1] < losses[0] / 2
    x = X_TEST[:5, ..., np.newaxis].astype(np.float32)
    stem, unit = model.layers[:2]
    conv1, norm1, relu, conv2, norm2 = unit.main_layers
    inside = norm2(conv2(relu(norm1(conv1(stem(x)), training=False))), training=False)
    np.testing.assert_allclose(unit(stem(x)), np.maximum(inside + stem(x), 0), rtol=1e-4, atol=1e-5)


def test_an_inception_module():
    def convolution(filters, size, x):
        return keras.layers.Conv2D(filters, size, padding="same", activation="relu")(x)

    image = keras.layers.Input(shape=[8, 8, 1])
    x = convolution(8, 3, image)
    branches = [
        convolution(4, 1, x),
        convolution(8, 3, convolution(4, 1, x)),
        convolution(4, 5, convolution(2, 1, x)),
        convolution(4, 1, keras.layers.MaxPool2D(3, strides=1, padding="same")(x)),
    ]
    x = keras.layers.Concatenate(axis=-1)(branches)
    assert x.shape == (None, 8, 8, 20)
    outputs = keras.layers.Dense(3, activation="softmax")(keras.layers.GlobalAvgPool2D()(x))
    model = keras.Model(image, outputs)
    model.compile(loss="sparse_categorical_crossentropy", optimizer=keras.optimizers.Adam(0.01))
    losses = model.fit(X_TRAIN[..., np.newaxis], Y_TRAIN, epochs=5, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize(
    ("layer", "shape", "parameters"),
    [
        (lambda: keras.layers.DepthwiseConv2D(3, padding="same"), (2, 20, 30, 3), 3 * 3 * 3 + 3),
        (lambda: keras.layers.SeparableConv2D(8, 3), (2, 18, 28, 8), 3 * 3 * 3 + 3 * 8 + 8),
        (lambda: keras.layers.Conv2DTranspose(4, 3, strides=2, padding="same"), (2, 40, 60, 4), 9 * 12 + 4),
    ],
)
def test_other_convolutions(layer, shape, parameters):
    made = layer()
    assert made(IMAGES).shape == shape
    assert made.count_params() == parameters


def test_a_convolution_along_a_sequence():
    series = np.random.default_rng(4).normal(size=(2, 50, 1)).astype(np.float32)
    layer = keras.layers.Conv1D(20, kernel_size=4, strides=2, padding="valid")
    assert layer(series).shape == (2, 24, 20)
    causal = keras.layers.Conv1D(1, 2, padding="causal", dilation_rate=4, use_bias=False)
    shorter = causal(series[:, :30])
    np.testing.assert_allclose(causal(series)[:, :30], shorter, rtol=1e-5, atol=1e-6)


def test_a_new_top_by_the_functional_api():
    """Freeze a trained network, put a new top on its features, train that, then all of it."""
    base = keras.applications.LeNet5(weights="mnist")
    features = keras.Model(base.input, base.layers[-2].output)
    before = [weight.copy() for weight in features.get_weights()]
    output = keras.layers.Dense(2, activation="softmax")(features.output)
    model = keras.Model(inputs=features.input, outputs=output)
    for layer in features.layers:
        layer.trainable = False
    (images, digits), _ = keras.datasets.digits.load_data()
    images, even = images[:300, ..., np.newaxis] / 255.0, digits[:300] % 2
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(images, even, epochs=2, verbose=0)
    for weight, start in zip(features.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, start)
    for layer in features.layers:
        layer.trainable = True
    model.compile(
        keras.optimizers.SGD(0.01, momentum=0.9), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    model.fit(images, even, epochs=3, verbose=0)
    assert not np.array_equal(features.get_weights()[0], before[0])
    assert model.evaluate(images, even, verbose=0)[1] > 0.9


# ---- what cannot be done, and the way round


def call_with_functions_on_arrays():
    class Squared(keras.Model):
        def __init__(self):
            super().__init__()
            self.hidden = keras.layers.Dense(1)

        def call(self, inputs):
            return np.square(self.hidden(inputs))

    model = Squared()
    model.compile(loss="mse", optimizer="sgd")
    model.fit(FEATURES, TARGET, verbose=0)


def old_learning_rate():
    return keras.optimizers.SGD(lr=0.01)


def rate_as_variable():
    optimizer = perceptron().optimizer
    K.set_value(optimizer.learning_rate, 0.01)


def loss_as_function():
    perceptron(loss=lambda y_true, y_pred: np.abs(y_true - y_pred).mean())


def hdf5_file():
    perceptron().save("my_model.h5")


def function_without_derivative():
    model = keras.Sequential([keras.layers.Dense(2), keras.layers.Lambda(np.sin)])
    model.compile("sgd", "mse")
    model.fit(np.ones((4, 3)), np.ones((4, 2)), verbose=0)


def checkpoint_file():
    perceptron().save_weights("my_weights.ckpt")


# What stands in the table of the page -> calls that are errors, with parts of the messages.
IMPOSSIBLE = {
    "`tf.` functions in the `call` of a model or layer": [
        (call_with_functions_on_arrays, r"numpy\.square needs numbers, .*write it with layers or \+ - \* /"),
    ],
    "`Lambda` layers": [
        (function_without_derivative, r"give the derivative, Lambda\(function, gradient=lambda x, dy")
    ],
    "losses, activations and regularizers as functions": [
        (loss_as_function, r"subclass of fastconv\.losses\.Loss with call\(y_true, y_pred\) and derivative"),
        (lambda: keras.layers.Dense(2, activation=np.tanh), "write it as a Layer with call and backward"),
        (lambda: keras.layers.Dense(2, kernel_regularizer=np.sum), "Regularizer"),
    ],
    "networks for ImageNet, `preprocess_input`, `decode_predictions`": [
        (lambda: keras.applications.ResNet50(weights="imagenet"), r"applications\.LeNet5"),
        (lambda: keras.applications.xception.Xception, r"applications\.pretrained_weights"),
        (lambda: keras.applications.imagenet_utils, r"layers\.Rescaling"),
    ],
    '`model.save("my_model.h5")`, `.ckpt`': [
        (hdf5_file, r"models are saved as \.keras"),
        (checkpoint_file, r"end in \.safetensors"),
    ],
    "`optimizers.SGD(lr=0.01, decay=1e-4)`": [
        (old_learning_rate, "it is learning_rate"),
        (lambda: keras.optimizers.SGD(decay=1e-4), r"fastconv\.optimizers\.schedules"),
    ],
    "`K.set_value(model.optimizer.learning_rate, 0.01)`": [
        (rate_as_variable, r"as in optimizer\.learning_rate = 0\.01"),
    ],
    "`K.function`, `K.learning_phase`": [
        (lambda: K.function, r"models\.Model\(inputs, outputs\) .*visualize\.extract_features"),
        (lambda: K.learning_phase(), r"training=True"),
    ],
    "`utils.image_dataset_from_directory`": [
        (lambda: keras.utils.image_dataset_from_directory("images"), r"utils\.PyDataset"),
    ],
    "`wrappers` for scikit-learn": [
        (lambda: keras.wrappers.SKLearnRegressor, "model.fit and model.predict"),
    ],
    "`preprocessing.image.ImageDataGenerator`": [
        (lambda: keras.preprocessing.image, r"layers\.RandomFlip and its like augment images"),
    ],
}


@pytest.mark.parametrize("subject", IMPOSSIBLE)
def test_what_cannot_be_done_says_what_to_do(subject):
    for call, message in IMPOSSIBLE[subject]:
        with pytest.raises(
            (AttributeError, ImportError, NotImplementedError, TypeError, ValueError), match=message
        ):
            call()


@pytest.mark.skipif(not PAGE.is_file(), reason="the documentation is in the checkout alone")
def test_the_page_lists_what_cannot_be_done():
    _, _, section = PAGE.read_text().partition("## From a textbook\n")
    section, _, _ = section.partition("\n## ")
    table = [line for line in section.splitlines() if line.startswith("| ") and "---" not in line][1:]
    assert [re.split(r" \| ", line[2:])[0] for line in table] == list(IMPOSSIBLE)
