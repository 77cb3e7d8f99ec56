"""Callbacks by themselves: which hook when, what is monitored, and Keras' decisions on series of numbers."""

from __future__ import annotations

import inspect
import json
import warnings
from pathlib import Path

import numpy as np
import pytest

from fastconv import metrics
from fastconv.callbacks import (
    Callback,
    CallbackList,
    CSVLogger,
    EarlyStopping,
    History,
    LambdaCallback,
    ModelCheckpoint,
    TerminateOnNaN,
)

GOLDEN = json.loads(
    (Path(__file__).parent / "golden" / "callbacks.json").read_text()
)  # golden/make_callbacks.py


class Model:
    """A stand-in whose weights are the number of the epoch."""

    metrics = ()

    def __init__(self):
        self.weights, self.stop_training, self.saved = None, False, []

    def get_weights(self):
        return self.weights

    def set_weights(self, weights):
        self.weights = weights

    def save(self, path):
        self.saved.append((self.weights, path))

    def save_weights(self, path):
        self.saved.append((self.weights, f"weights of {path}"))


def train(callback, series, name="val_loss", model=None):
    """Epochs of two batches each, with a number in the logs that goes through ``series``."""
    model = model or Model()
    callback.set_model(model)
    callback.on_train_begin()
    for epoch, value in enumerate(series):
        model.weights = epoch
        callback.on_epoch_begin(epoch)
        for batch in range(2):
            callback.on_train_batch_begin(batch)
            callback.on_train_batch_end(batch, {"loss": 0.5})
        callback.on_epoch_end(epoch, {"loss": 0.5, name: value})
        if model.stop_training:
            break
    callback.on_train_end()
    return model, epoch


# ---- Keras' decisions


@pytest.mark.parametrize("case", GOLDEN["early_stopping"])
def test_early_stopping_decides_as_keras(case):
    series, arguments, last_epoch, stopped_epoch, weights, best = case
    callback = EarlyStopping(**arguments)
    model, last = train(callback, series)
    assert (last, callback.stopped_epoch, model.weights, callback.best) == (
        last_epoch,
        stopped_epoch,
        weights,
        best,
    )


@pytest.mark.parametrize("case", GOLDEN["model_checkpoint"])
def test_checkpoint_saves_when_keras_does(case, tmp_path):
    series, arguments, saved = case
    model, _ = train(ModelCheckpoint(tmp_path / "x.safetensors", **arguments), series)
    assert [weights for weights, _ in model.saved] == saved


# ---- hooks


def test_callback_has_the_hooks_of_keras():
    # names of keras.callbacks.Callback of keras 3.15.1, with their arguments
    numbered = [
        f"on_{what}_{when}"
        for what in ("batch", "train_batch", "test_batch", "predict_batch", "epoch")
        for when in ("begin", "end")
    ]
    whole = [f"on_{what}_{when}" for what in ("train", "test", "predict") for when in ("begin", "end")]
    for cls in (Callback, CallbackList):
        for name in numbered:
            _, number, logs = inspect.signature(getattr(cls, name)).parameters.values()
            assert (number.default, logs.default) == (inspect.Parameter.empty, None)
        for name in whole:
            _, logs = inspect.signature(getattr(cls, name)).parameters.values()
            assert logs.default is None
    assert {name for name in dir(Callback) if name.startswith("on_")} == {*numbered, *whole}


def test_batch_hooks_have_a_second_name():
    seen = []

    class Batches(Callback):
        def on_batch_begin(self, batch, logs=None):
            seen.append(("begin", batch))

        def on_batch_end(self, batch, logs=None):
            seen.append(("end", batch, logs))

    Batches().on_train_batch_begin(4)
    Batches().on_train_batch_end(4, {"loss": 1.0})
    assert seen == [("begin", 4), ("end", 4, {"loss": 1.0})]


def test_a_list_passes_everything_on_in_order():
    seen = []

    class Recorder(Callback):
        def __init__(self, name):  # without super().__init__()
            self.name = name

        def on_epoch_end(self, epoch, logs=None):
            logs["seen_by"] = [*logs.get("seen_by", ()), self.name]
            seen.append((self.name, epoch, list(logs["seen_by"])))

        def on_train_begin(self, logs=None):
            seen.append((self.name, logs))

    model = Model()
    callbacks = CallbackList([Recorder("a")], model=model, epochs=3)
    callbacks.append(Recorder("b"))
    callbacks.set_model(model)
    callbacks.on_train_begin()
    callbacks.on_epoch_end(2)
    assert seen == [("a", {}), ("b", {}), ("a", 2, ["a"]), ("b", 2, ["a", "b"])]
    assert all(callback.model is model for callback in callbacks.callbacks)
    assert callbacks.callbacks[0].params == {"epochs": 3}


def test_every_hook_of_a_list_reaches_its_members():
    for hook in [name for name in dir(Callback) if name.startswith("on_")]:
        seen = []
        callbacks = CallbackList([LambdaCallback(**{hook: lambda *given, seen=seen: seen.append(given)})])
        numbered = "batch" in hook or "epoch" in hook
        getattr(callbacks, hook)(*([7] if numbered else []), {"loss": 1.0})
        assert seen == [(7, {"loss": 1.0}) if numbered else ({"loss": 1.0},)]


def test_lambda_callback():
    losses = []
    train(
        LambdaCallback(on_epoch_end=lambda epoch, logs: losses.append((epoch, logs["val_loss"]))), [3.0, 2.0]
    )
    assert losses == [(0, 3.0), (1, 2.0)]
    with pytest.raises(ValueError, match="unknown hook 'on_epoch_ends'; did you mean 'on_epoch_end'"):
        LambdaCallback(on_epoch_ends=print)


# ---- history


def test_history():
    history = History()
    model, _ = train(history, [0.5, 0.25])
    assert history.history == {"loss": [0.5, 0.5], "val_loss": [0.5, 0.25]}
    assert history.epoch == [0, 1]
    assert model.history is history


# ---- monitoring


def test_direction_comes_from_the_metric():
    model = Model()
    model.metrics = [metrics.get("sparse_categorical_accuracy"), metrics.get("mse")]
    series = [0.5, 0.6, 0.4, 0.4, 0.4]
    for name, best in [
        ("val_sparse_categorical_accuracy", 1),
        ("sparse_categorical_accuracy", 1),
        ("mse", 2),
    ]:
        callback = EarlyStopping(name, patience=9)
        train(callback, series, name, model)
        assert callback.best_epoch == best


def test_direction_that_cannot_be_told():
    with pytest.raises(ValueError, match=r"whether 'val_score' should be large or small.*mode=\"max\""):
        train(EarlyStopping("val_score"), [1.0], "val_score")


@pytest.mark.parametrize("callback_class", [EarlyStopping, ModelCheckpoint])
def test_unknown_mode(callback_class):
    arguments = {} if callback_class is EarlyStopping else {"filepath": "x.safetensors"}
    with pytest.raises(ValueError, match="unknown mode 'mx'; did you mean 'max'"):
        callback_class(mode="mx", **arguments)


def test_unknown_monitor_warns_and_lists_what_there_is():
    with pytest.warns(
        UserWarning, match=r"EarlyStopping: unknown monitor 'val_los'; did you mean 'val_loss'.*'loss'"
    ):
        model, _ = train(EarlyStopping("val_los"), [0.5])
    assert not model.stop_training
    with pytest.warns(UserWarning, match="give fit validation_data or validation_split"):
        EarlyStopping().on_epoch_end(0, {"loss": 0.5})


@pytest.mark.parametrize("callback", [EarlyStopping("f1", mode="max"), EarlyStopping("f1")])
def test_an_array_cannot_be_monitored(callback):
    with pytest.raises(ValueError, match=r"'f1' is an array of shape \(3,\).*average='macro'"):
        train(callback, [np.ones(3)], "f1")


def test_nan_is_never_the_best():
    callback = EarlyStopping(patience=2, restore_best_weights=True)
    model, last = train(callback, [np.nan, 0.5, np.nan, np.nan, np.nan])
    assert (callback.best, callback.best_epoch, model.weights, last) == (0.5, 1, 1, 3)


def test_early_stopping_can_be_used_again():
    callback = EarlyStopping(patience=1, restore_best_weights=True)
    train(callback, [0.1, 0.2, 0.3])
    model, last = train(callback, [0.9, 0.8, 0.85, 0.7])
    assert (model.weights, last, callback.best) == (1, 2, 0.8)


def test_early_stopping_says_what_it_does(capsys):
    train(EarlyStopping(patience=1, restore_best_weights=True, verbose=1), [0.1, 0.2, 0.3])
    assert capsys.readouterr().out == "Epoch 2: early stopping\nRestoring the weights of the best epoch: 1.\n"


# ---- checkpoints


def test_filepath_is_filled_in_and_folders_are_made(tmp_path):
    model, _ = train(ModelCheckpoint(tmp_path / "a" / "{epoch:02d}-{val_loss:.2f}.safetensors"), [0.5, 0.25])
    assert model.saved == [
        (0, str(tmp_path / "a" / "01-0.50.safetensors")),
        (1, str(tmp_path / "a" / "02-0.25.safetensors")),
    ]
    assert (tmp_path / "a").is_dir()


def test_every_so_many_batches_across_epochs(tmp_path):
    callback = ModelCheckpoint(tmp_path / "{epoch}-{batch}.safetensors", save_freq=3)
    model, _ = train(callback, [0.0] * 4)  # 8 batches
    assert [path.rpartition("/")[2] for _, path in model.saved] == ["2-1.safetensors", "3-2.safetensors"]


def test_weights_only(tmp_path):
    model, _ = train(ModelCheckpoint(tmp_path / "w.safetensors", save_weights_only=True), [0.5])
    assert model.saved == [(0, f"weights of {tmp_path / 'w.safetensors'}")]


def test_without_its_number_every_model_is_saved(tmp_path):
    callback = ModelCheckpoint(tmp_path / "x.safetensors", monitor="val_acuracy", save_best_only=True)
    with pytest.warns(UserWarning, match="ModelCheckpoint: unknown monitor 'val_acuracy'"):
        model, _ = train(callback, [0.5, 0.6])
    assert len(model.saved) == 2


def test_checkpoint_says_what_it_does(tmp_path, capsys):
    path = tmp_path / "x.safetensors"
    train(ModelCheckpoint(path, verbose=1, save_best_only=True), [0.5, 0.6, 0.25])
    assert capsys.readouterr().out.split("\n") == [
        "",
        f"Epoch 1: val_loss improved to 0.50000, saving model to {path}",
        "",
        "Epoch 2: val_loss did not improve from 0.50000",
        "",
        f"Epoch 3: val_loss improved from 0.50000 to 0.25000, saving model to {path}",
        "",
    ]
    train(ModelCheckpoint(path, verbose=1), [0.5])
    assert capsys.readouterr().out == f"\nEpoch 1: saving model to {path}\n"


def test_checkpoint_arguments_are_checked_at_once():
    with pytest.raises(ValueError, match=r"must end in .safetensors, got 'best.keras'"):
        ModelCheckpoint("best.keras")
    for save_freq in ("batch", 0, 1.5):
        with pytest.raises(ValueError, match="save_freq must be"):
            ModelCheckpoint("x.safetensors", save_freq=save_freq)


@pytest.mark.parametrize("name", ["{val_acc}.safetensors", "{}.safetensors"])
def test_unknown_name_in_the_filepath(tmp_path, name):
    with pytest.raises(ValueError, match=r"cannot fill in .*; there are epoch, loss, val_loss"):
        train(ModelCheckpoint(tmp_path / name), [0.5])


# ---- CSV


def test_csv_logger(tmp_path):
    path = tmp_path / "log.csv"
    train(CSVLogger(path), [0.5, 0.25])
    assert path.read_text() == "epoch,loss,val_loss\n0,0.5,0.5\n1,0.5,0.25\n"
    train(CSVLogger(path, append=True), [0.125])
    assert path.read_text() == "epoch,loss,val_loss\n0,0.5,0.5\n1,0.5,0.25\n0,0.5,0.125\n"
    train(CSVLogger(path, separator=";"), [1.0])
    assert path.read_text() == "epoch;loss;val_loss\n0;0.5;1.0\n"


def test_csv_logger_is_complete_after_every_epoch(tmp_path):
    callback = CSVLogger(tmp_path / "log.csv", append=True)
    callback.on_train_begin()
    callback.on_epoch_end(0, {"loss": 1.0})
    assert (tmp_path / "log.csv").read_text() == "epoch,loss,val_loss\n0,1.0,NA\n"
    callback.on_epoch_end(1, {"loss": 0.5, "val_loss": 0.25, "late": 3})
    assert (tmp_path / "log.csv").read_text() == "epoch,loss,val_loss\n0,1.0,NA\n1,0.5,0.25\n"
    callback.on_train_end()


def test_csv_logger_writes_arrays_in_one_cell(tmp_path):
    callback = CSVLogger(tmp_path / "log.csv")
    callback.on_train_begin()
    callback.on_epoch_end(0, {"loss": np.float64(1.5), "val_each": np.array([1, 2])})
    callback.on_train_end()
    assert (tmp_path / "log.csv").read_text() == 'epoch,loss,val_each\n0,1.5,"""[1, 2]"""\n'


def test_csv_logger_closes_its_file_when_training_starts_again(tmp_path):
    callback = CSVLogger(tmp_path / "log.csv")
    with warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        callback.on_train_begin()
        callback.on_train_begin()
        callback.on_train_end()
    with pytest.raises(RuntimeError, match="without on_train_begin"):
        callback.on_epoch_end(0, {})


# ---- NaN


@pytest.mark.parametrize("loss", [np.nan, np.inf, -np.inf])
def test_terminate_on_nan(loss, capsys):
    callback, model = TerminateOnNaN(), Model()
    callback.set_model(model)
    callback.on_train_batch_end(0, {"loss": 1.0})
    callback.on_train_batch_end(1, {})
    assert not model.stop_training
    callback.on_train_batch_end(2, {"loss": loss})
    assert model.stop_training
    assert capsys.readouterr().out == "Batch 2: Invalid loss, terminating training\n"
    with pytest.raises(RuntimeError, match="after batch 3: training diverged"):
        TerminateOnNaN(raise_error=True).on_train_batch_end(3, {"loss": loss})
