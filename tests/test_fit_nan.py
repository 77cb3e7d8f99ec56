"""NaN in training: said once, with its reason, and never an improvement."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from fastconv import layers, optimizers, utils
from fastconv.callbacks import (
    EarlyStopping,
    LambdaCallback,
    LRFinder,
    ModelCheckpoint,
    ReduceLROnPlateau,
    TerminateOnNaN,
)
from fastconv.models import Sequential

X = np.random.default_rng(0).random((64, 8)).astype(np.float32)
Y = (X.sum(axis=1) > 4).astype(np.int64)
NAN = X * np.nan


def net(rate=0.1, loss="sparse_categorical_crossentropy"):
    utils.set_random_seed(0)
    model = Sequential(
        [layers.Input((8,), name="in"), layers.Dense(2, activation="softmax", name="top")], name="net"
    )
    model.compile(optimizers.SGD(rate), loss)
    return model


def fit(model, x=X, y=Y, **arguments):
    return model.fit(x, y, **{"verbose": 0, "shuffle": False, "batch_size": 16, **arguments})


def test_the_input_is_named_once():
    x = X.copy()
    x[20:22, 3] = np.nan
    with pytest.warns(UserWarning, match="NaN") as caught:
        fit(net(), x, epochs=3)
    assert [str(warning.message) for warning in caught] == [
        "the loss of Sequential 'net' is nan in epoch 1, batch 1: x holds NaN or infinity, 2 of the 16 "
        "examples of the batch do, the first at index 4: clean the data before training"
    ]
    assert caught[0].filename == __file__


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("y", {"y": np.where(np.arange(64) == 5, np.inf, Y)[:, None] * np.ones((1, 2))}),
        ("sample_weight", {"sample_weight": np.where(np.arange(64) == 5, np.nan, 1)}),
    ],
)
def test_targets_and_weights_are_named(name, arguments):
    y = {"y": np.zeros((64, 2)), **arguments}
    with pytest.warns(UserWarning, match=f": {name} holds NaN or infinity, 1 of the 16 .* at index 5: clean"):
        fit(net(loss="mae"), **y)


def test_weights_that_explode_are_named():
    with np.errstate(all="ignore"), pytest.warns(UserWarning, match="NaN") as caught:
        fit(net(1e38, "mse"), X, np.tile([1e30, -1e30], (64, 1)), epochs=3)
    assert len(caught) == 1
    message = str(caught[0].message)
    assert "top/kernel holds NaN or infinity, training diverged: lower the learning rate" in message


def test_weights_that_explode_in_the_last_step_are_named():
    model = net()

    def spoil(batch, logs):
        model.layers[0].kernel.value = np.full((8, 2), np.nan)

    with pytest.warns(UserWarning, match="training of Sequential 'net' ended with .* top/kernel") as caught:
        fit(model, batch_size=64, callbacks=LambdaCallback(on_train_batch_end=spoil))
    assert len(caught) == 1


def test_whoever_stops_at_nan_needs_no_warning(capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        history = fit(net(), NAN, epochs=3, callbacks=TerminateOnNaN())
        LRFinder().find(net(), NAN, Y)
        fit(net(), epochs=2)  # and nothing is said of numbers
    assert len(history.epoch) == 1
    assert "Invalid loss" in capsys.readouterr().out


# ---- callbacks that look for improvement


def quietly(model, *arguments, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return fit(model, *arguments, **options)


def test_early_stopping_does_not_wait_for_ever():
    stopping = EarlyStopping("loss", patience=2, restore_best_weights=True)
    history = quietly(net(), NAN, epochs=10, callbacks=stopping)
    assert len(history.epoch) == 2
    assert (stopping.best, stopping.best_weights, stopping.stopped_epoch) == (None, None, 1)


def test_plateaus_of_nan_reduce_the_rate():
    model = net(0.1)
    quietly(model, NAN, epochs=4, callbacks=ReduceLROnPlateau("loss", factor=0.5, patience=2))
    assert model.optimizer.learning_rate == pytest.approx(0.025)


def test_nan_is_not_worth_a_checkpoint(tmp_path, capsys):
    path = tmp_path / "best.safetensors"
    checkpoint = ModelCheckpoint(path, "loss", save_best_only=True, verbose=1)
    quietly(net(), NAN, epochs=2, callbacks=checkpoint)
    assert not path.exists()
    assert capsys.readouterr().out.count("loss did not improve\n") == 2
    fit(net(), callbacks=checkpoint)
    assert path.exists()


@pytest.mark.parametrize("mode", ["min", "max"])
def test_nan_after_a_number_and_a_number_after_nan(mode):
    callback = EarlyStopping("loss", mode=mode)
    assert not callback.improves(np.nan, None)
    assert not callback.improves(np.nan, 1.0)
    assert not callback.improves(np.nan, np.nan)
    assert callback.improves(1.0, np.nan)
    assert callback.improves(1.0, None)
