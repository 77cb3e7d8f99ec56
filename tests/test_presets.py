"""The preset is the table of defaults, row by row, and learns with them."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import fastconv
from fastconv import initializers, presets, regularizers
from fastconv.callbacks import EarlyStopping, OneCycle
from fastconv.layers import Activation, BatchNormalization, Dense, Flatten
from fastconv.presets import DEEP, default_dnn

SHALLOW, DEEP_ENOUGH = [20] * (DEEP - 1), [20] * DEEP


def hidden_dense(model):
    return [layer for layer in model.layers if isinstance(layer, Dense)][:-1]


def activation_names(model):
    """Of the hidden layers, wherever the activation sits."""
    names = [layer.activation.name for layer in model.layers if isinstance(layer, (Dense, Activation))]
    return [name for name in names if name != "linear"][:-1]


@pytest.mark.parametrize("units", [SHALLOW, DEEP_ENOUGH])
def test_row_initialisation_is_hes(units):
    layers = hidden_dense(default_dnn(30, units).model)
    assert len(layers) == len(units)
    assert all(isinstance(layer.kernel_initializer, initializers.HeNormal) for layer in layers)
    # Var w = 2 / fan_in; 20·20 numbers give a variance within about 5 · sqrt(2/400) = 35 %.
    np.testing.assert_allclose(layers[1].kernel.value.var(), 2 / 20, rtol=0.35)


@pytest.mark.parametrize("units", [SHALLOW, DEEP_ENOUGH])
def test_row_activation_is_elu(units):
    model = default_dnn(30, units).model
    assert activation_names(model) == ["elu"] * len(units)
    assert model.layers[-1].activation.name == "softmax"


def test_row_normalisation_none_if_shallow():
    model = default_dnn(30, SHALLOW).model
    assert [type(layer) for layer in model.layers] == [Dense] * (DEEP - 1 + 1)
    assert all(layer.use_bias for layer in model.layers)


def test_row_normalisation_batch_norm_if_deep():
    model = default_dnn(30, DEEP_ENOUGH).model
    assert [type(layer) for layer in model.layers] == [Dense, BatchNormalization, Activation] * DEEP + [Dense]
    assert not any(layer.use_bias for layer in hidden_dense(model))
    assert DEEP == 5  # as documented


def test_normalisation_can_be_decided_otherwise():
    assert not any(
        isinstance(f, BatchNormalization) for f in default_dnn(3, [4] * 9, batch_norm=False).model.layers
    )
    assert any(isinstance(f, BatchNormalization) for f in default_dnn(3, [4], batch_norm=True).model.layers)


def test_row_regularisation_is_early_stopping():
    early = default_dnn(30).callbacks[0]
    assert isinstance(early, EarlyStopping)
    assert (early.monitor, early.patience, early.restore_best_weights) == ("val_loss", 10, True)
    assert default_dnn(30, patience=3).callbacks[0].patience == 3


@pytest.mark.parametrize("units", [SHALLOW, DEEP_ENOUGH])
def test_row_regularisation_l2_if_needed(units):
    plain = default_dnn(30, units).model
    assert all(layer.kernel_regularizer is None for layer in plain.layers if isinstance(layer, Dense))
    penalized = [f for f in default_dnn(30, units, l2=1e-3).model.layers if isinstance(f, Dense)]
    assert len(penalized) == len(units) + 1
    assert all(regularizers.serialize(f.kernel_regularizer)["config"] == {"l2": 1e-3} for f in penalized)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("nesterov", {"name": "sgd", "momentum": 0.95, "nesterov": True}),
        ("momentum", {"name": "sgd", "momentum": 0.95, "nesterov": False}),
        ("rmsprop", {"name": "rmsprop"}),
        ("nadam", {"name": "nadam"}),
    ],
)
def test_row_optimizer(name, expected):
    config = default_dnn(30, optimizer=name).model.optimizer.get_config()
    assert {key: config[key] for key in expected} == expected
    if name == "nesterov":
        assert default_dnn(30).model.optimizer.get_config() == config


def test_row_schedule_is_one_cycle_over_all_of_fit():
    ready = default_dnn(4, [3], 2, max_learning_rate=0.1)
    cycle = ready.callbacks[1]
    assert isinstance(cycle, OneCycle)
    rates, momenta = [], []
    watch = fastconv.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: (
            rates.append(ready.model.optimizer.learning_rate),
            momenta.append(ready.model.optimizer.momentum),
        )
    )
    x, y = np.random.default_rng(0).standard_normal((64, 4)), np.arange(64) % 2
    ready.model.fit(x, y, epochs=5, batch_size=16, verbose=0, callbacks=[*ready.callbacks[1:], watch])
    assert len(rates) == 20  # 4 batches, 5 epochs
    assert rates[0] == pytest.approx(0.01)
    assert 0.09 < max(rates) <= 0.1
    assert rates[-1] == pytest.approx(0.01 / 1000)
    assert momenta[0] == momenta[-1] == pytest.approx(0.95)
    assert 0.85 <= min(momenta) < 0.86
    assert np.argmin(momenta) == np.argmax(rates)


def test_shapes():
    images = default_dnn((8, 8, 1), [5], 3).model
    assert isinstance(images.layers[0], Flatten)
    assert images.output_shape == (None, 3)
    assert not isinstance(default_dnn((7,), [5]).model.layers[0], Flatten)
    assert default_dnn(np.int64(7), [5]).model.input_shape == (None, 7)
    assert default_dnn(7, []).model.count_params() == 7 * 10 + 10


def test_mistakes():
    with pytest.raises(ValueError, match="unknown optimizer of default_dnn 'nadma'; did you mean 'nadam'"):
        default_dnn(4, optimizer="nadma")
    with pytest.raises(ValueError, match=r"hidden_units\[1\] must be a whole number, at least 1; got 0"):
        default_dnn(4, [3, 0])
    with pytest.raises(ValueError, match="classes must be a whole number, at least 2; got 1"):
        default_dnn(4, classes=1)
    with pytest.raises(TypeError, match="hidden_units is a sequence of sizes"):
        default_dnn(4, 300)


@pytest.mark.parametrize("units", [SHALLOW, DEEP_ENOUGH])
def test_copies_and_files(units, tmp_path):
    model = default_dnn(6, units, l2=0.01).model
    x = np.random.default_rng(0).standard_normal((5, 6)).astype(np.float32)
    path = tmp_path / "model.safetensors"
    model.save(path)
    for other in (copy.deepcopy(model), fastconv.models.load_model(path)):
        np.testing.assert_array_equal(other.predict(x, verbose=0), model.predict(x, verbose=0))
        assert other.optimizer.get_config() == model.optimizer.get_config()


@pytest.mark.parametrize(
    ("units", "optimizer"),
    [([100] * 8, "nesterov"), *(([300, 100], name) for name in ("nesterov", "momentum", "rmsprop", "nadam"))],
)
def test_learns_the_digits(optimizer, units):
    (x, y), (x_test, y_test) = fastconv.datasets.digits.load_data()
    fastconv.utils.set_random_seed(1)
    model, callbacks = default_dnn((28, 28), units, 10, optimizer=optimizer)
    model.fit(x / 255, y, epochs=10, validation_split=0.1, callbacks=callbacks, verbose=0)
    _, accuracy = model.evaluate(x_test / 255, y_test, verbose=0)
    assert accuracy > 0.94  # 0.952 to 0.978 over optimizers and depths; 355 images, one deviation is 0.01


def test_is_public():
    assert fastconv.presets is presets
