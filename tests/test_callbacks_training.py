"""Callbacks at work in a real ``fit``: order of hooks, stopping, best weights, checkpoints that load."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from fastconv import callbacks, layers, models, optimizers
from fastconv.callbacks import Callback, CSVLogger, EarlyStopping, ModelCheckpoint, TerminateOnNaN
from fastconv.utils import set_random_seed


@pytest.fixture
def data():
    rng = np.random.default_rng(7)
    x = rng.normal(size=(40, 6)).astype(np.float32)
    return x, (x[:, 0] + 0.5 * rng.normal(size=40) > 0).astype(np.int64)


@pytest.fixture
def model():
    set_random_seed(8)
    model = models.Sequential(
        [layers.Input((6,)), layers.Dense(16, activation="tanh"), layers.Dense(2, activation="softmax")]
    )
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def test_order_of_hooks(model, data):
    seen = []

    class Recorder(Callback):
        def __getattribute__(self, name):
            if name.startswith("on_") and name not in ("on_batch_begin", "on_batch_end"):
                seen.append(name)
            return super().__getattribute__(name)

    x, y = data
    model.fit(x, y, batch_size=20, epochs=2, validation_data=(x, y), callbacks=[Recorder()], verbose=0)
    batches = ["on_train_batch_begin", "on_train_batch_end"] * 2
    validation = ["on_test_begin", *["on_test_batch_begin", "on_test_batch_end"] * 2, "on_test_end"]
    epoch = ["on_epoch_begin", *batches, *validation, "on_epoch_end"]
    assert seen == ["on_train_begin", *epoch, *epoch, "on_train_end"]
    seen.clear()
    model.predict(x, batch_size=40, callbacks=[Recorder()], verbose=0)
    assert seen == ["on_predict_begin", "on_predict_batch_begin", "on_predict_batch_end", "on_predict_end"]


def test_logs_and_history(model, data):
    x, y = data
    logs_of_epochs, logs_of_batches = [], []
    spy = callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: logs_of_epochs.append(dict(logs)),
        on_train_batch_end=lambda batch, logs: logs_of_batches.append(dict(logs)),
    )
    history = model.fit(x, y, epochs=3, validation_split=0.25, callbacks=[spy], verbose=0)
    assert list(history.history) == ["accuracy", "loss", "val_accuracy", "val_loss"]
    assert history.history == {name: [logs[name] for logs in logs_of_epochs] for name in history.history}
    assert history.epoch == [0, 1, 2]
    assert model.history is history
    assert history.params == {"verbose": 0, "epochs": 3, "steps": 1}
    assert logs_of_batches[-1]["loss"] == history.history["loss"][-1]
    assert set(logs_of_batches[0]) == {"accuracy", "loss"}


def test_early_stopping_ends_with_the_best_epochs_weights(model, data):
    x, y = data
    weights = []
    model.optimizer.learning_rate = 0.5  # overfits: validation gets worse
    stopping = EarlyStopping("val_loss", patience=3, restore_best_weights=True)
    keep = callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: weights.append(model.get_weights()))
    history = model.fit(
        x, y, batch_size=5, epochs=60, validation_split=0.5, callbacks=[keep, stopping], verbose=0
    )
    losses = history.history["val_loss"]
    best = int(np.argmin(losses))
    assert 0 < best < len(losses) - 1 < 59
    assert len(losses) == best + 1 + 3
    for array, kept in zip(model.get_weights(), weights[best], strict=True):
        np.testing.assert_array_equal(array, kept)
    assert model.evaluate(x[20:], y[20:], verbose=0, return_dict=True)["loss"] == pytest.approx(losses[best])


def test_direction_of_accuracy_is_found_by_itself(model, data):
    x, y = data
    stopping = EarlyStopping("accuracy", patience=50)
    history = model.fit(x, y, epochs=6, callbacks=[stopping], verbose=0)
    assert stopping.best == max(history.history["accuracy"])


def test_the_best_checkpoint_is_the_best_model(model, data, tmp_path):
    x, y = data
    model.optimizer.learning_rate = 0.5
    path = tmp_path / "best.safetensors"
    history = model.fit(
        x,
        y,
        batch_size=5,
        epochs=15,
        validation_split=0.5,
        callbacks=[ModelCheckpoint(path, save_best_only=True)],
        verbose=0,
    )
    best = models.load_model(path)
    loss = best.evaluate(x[20:], y[20:], verbose=0, return_dict=True)["loss"]
    assert loss == pytest.approx(min(history.history["val_loss"]), rel=1e-6)
    assert loss < history.history["val_loss"][-1]


def test_weights_of_a_checkpoint_load(model, data, tmp_path):
    x, y = data
    path = tmp_path / "w.safetensors"
    model.fit(x, y, callbacks=[ModelCheckpoint(path, save_weights_only=True)], verbose=0)
    trained = model.predict(x, verbose=0)
    model.fit(x, y, verbose=0)
    assert not np.array_equal(model.predict(x, verbose=0), trained)
    model.load_weights(path)
    np.testing.assert_array_equal(model.predict(x, verbose=0), trained)


def test_training_that_diverges_is_ended(model, data, capsys):
    x, y = data
    x = x.copy()
    x[25] = np.nan
    history = model.fit(x, y, batch_size=10, epochs=5, shuffle=False, callbacks=[TerminateOnNaN()], verbose=0)
    assert capsys.readouterr().out == "Batch 2: Invalid loss, terminating training\n"
    assert len(history.history["loss"]) == 1
    assert np.isnan(history.history["loss"][0])


def test_csv_of_a_training(model, data, tmp_path):
    x, y = data
    history = model.fit(x, y, epochs=3, callbacks=[CSVLogger(tmp_path / "log.csv")], verbose=0)
    rows = list(csv.DictReader((tmp_path / "log.csv").read_text().splitlines()))
    assert [row["epoch"] for row in rows] == ["0", "1", "2"]
    assert [float(row["loss"]) for row in rows] == history.history["loss"]
    assert {row["val_loss"] for row in rows} == {"NA"}


def test_learning_rates_are_in_the_history(model, data):
    x, y = data
    plateau = callbacks.ReduceLROnPlateau("loss", factor=0.5, patience=1, min_delta=100)
    history = model.fit(x, y, epochs=4, callbacks=[plateau], verbose=0)
    assert history.history["learning_rate"] == [0.01, 0.01, 0.005, 0.0025]
    assert model.optimizer.learning_rate == 0.00125

    rates = iter([0.5, 0.25])
    history = model.fit(
        x, y, epochs=2, callbacks=[callbacks.LearningRateScheduler(lambda epoch: next(rates))], verbose=0
    )
    assert history.history["learning_rate"] == [0.5, 0.25]


def test_one_cycle_goes_through_the_whole_training(model, data):
    x, y = data
    model.compile(optimizers.SGD(momentum=0.9, nesterov=True), "sparse_categorical_crossentropy")
    rates = []
    look = callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: rates.append(model.optimizer.learning_rate)
    )
    history = model.fit(
        x, y, batch_size=10, initial_epoch=2, epochs=10, callbacks=[callbacks.OneCycle(0.8), look], verbose=0
    )
    assert len(rates) == 8 * 4
    assert max(rates) == pytest.approx(0.8, rel=0.05)  # the peak lies between two steps
    assert rates[0] == pytest.approx(0.08)
    assert rates[-1] == pytest.approx(8e-5)
    assert history.history["learning_rate"][-1] == rates[-1]
    assert history.history["loss"][-1] < history.history["loss"][0]


def test_a_callback_that_comes_last_sees_everything(model, data):
    x, y = data

    class Last(Callback):
        comes_last = True

        def on_epoch_end(self, epoch, logs=None):
            seen.append(len(model.history.epoch))

    seen = []
    model.fit(x, y, epochs=2, callbacks=[Last()], verbose=0)
    assert seen == [1, 2]


def test_learning_rate_can_be_changed_while_training(model, data):
    x, y = data
    stop_learning = callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: setattr(model.optimizer, "learning_rate", 0.0)
    )
    weights = []
    keep = callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: weights.append(model.get_weights()))
    model.fit(x, y, epochs=3, callbacks=[stop_learning, keep], verbose=0)
    for first, last in zip(weights[0], weights[2], strict=True):
        np.testing.assert_array_equal(first, last)
