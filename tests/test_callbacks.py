"""Callbacks by themselves: which hook when, what is monitored, and Keras' decisions on series of numbers."""

from __future__ import annotations

import inspect
import json
import warnings
from pathlib import Path

import numpy as np
import pytest

from fastconv import metrics, optimizers
from fastconv.callbacks import (
    Callback,
    CallbackList,
    CSVLogger,
    EarlyStopping,
    History,
    LambdaCallback,
    LearningRateScheduler,
    ModelCheckpoint,
    OneCycle,
    ProgbarLogger,
    ReduceLROnPlateau,
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


def learning_rates(callback, series, name, start, optimizer=None):
    """The logs' learning rate of each epoch, and the optimizer's at the end."""
    model = Model()
    model.optimizer = optimizer or optimizers.SGD(start)
    rates = []
    keep = LambdaCallback(on_epoch_end=lambda epoch, logs: rates.append(logs["learning_rate"]))
    train(CallbackList([callback, keep]), series, name, model)
    return [*rates, model.optimizer.learning_rate]


@pytest.mark.parametrize("case", GOLDEN["reduce_lr_on_plateau"])
def test_plateaus_are_those_of_keras(case):
    series, arguments, expected = case
    name = arguments.get("monitor", "val_loss")
    rates = learning_rates(ReduceLROnPlateau(**arguments), series, name, expected[0])
    # Keras keeps the rate in float32; each of up to ten reductions rounds to 6e-8 of it
    np.testing.assert_allclose(rates, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("which", "schedule"),
    [
        ("of_both", lambda epoch, rate: rate if epoch < 3 else rate * 0.8),
        ("of_epoch", lambda epoch: 1 / (2 + epoch)),
        ("of_epoch", lambda epoch: np.float32(1 / (2 + epoch))),
    ],
)
def test_scheduled_rates_are_those_of_keras(which, schedule):
    expected = GOLDEN["learning_rate_scheduler"][which]
    rates = learning_rates(LearningRateScheduler(schedule), [0.0] * 8, "loss", 0.5)
    np.testing.assert_allclose(rates, expected, rtol=1e-6)


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


# ---- learning rates


def test_schedulers_say_what_they_do(capsys):
    learning_rates(LearningRateScheduler(lambda epoch: 0.25, verbose=1), [1.0], "loss", 0.5)
    learning_rates(ReduceLROnPlateau("loss", patience=1, verbose=1), [1.0, 1.0], "loss", 0.5)
    assert capsys.readouterr().out == (
        "\nEpoch 1: LearningRateScheduler setting learning rate to 0.25.\n"
        "\nEpoch 2: ReduceLROnPlateau reducing learning rate to 0.05.\n"
    )


def test_a_schedule_that_is_none():
    with pytest.raises(TypeError, match=r"schedule must be a function of the epoch, got 0\.1"):
        LearningRateScheduler(0.1)
    with pytest.raises(ValueError, match=r"schedule\(0, 0.5\) must return the learning rate.*returned None"):
        learning_rates(LearningRateScheduler(lambda epoch, rate: None), [1.0], "loss", 0.5)
    with pytest.raises(ZeroDivisionError):  # its own errors are not covered up
        learning_rates(LearningRateScheduler(lambda epoch: 1 / epoch), [1.0], "loss", 0.5)

    def confused(epoch, rate):
        return len(epoch)

    with pytest.raises(TypeError, match=r"'int' has no len"):
        learning_rates(LearningRateScheduler(confused), [1.0], "loss", 0.5)


def test_plateau_arguments():
    for factor in (0, 1, 1.5, -1):
        with pytest.raises(ValueError, match="0 < factor < 1"):
            ReduceLROnPlateau(factor=factor)
    with pytest.warns(UserWarning, match="ReduceLROnPlateau: unknown monitor 'val_los'"):
        learning_rates(ReduceLROnPlateau("val_los"), [1.0], "val_loss", 0.5)


def test_a_plateau_callback_can_be_used_again():
    callback = ReduceLROnPlateau("loss", patience=2)
    assert learning_rates(callback, [1.0, 1.0, 1.0], "loss", 1.0)[-1] == 0.1
    assert learning_rates(callback, [2.0, 2.0], "loss", 1.0)[-1] == 1.0


def rates_and_momenta(callback, optimizer, momentum, epochs=5, steps=2):
    """Of every batch, as the optimizer sees them."""
    model, seen = Model(), []
    model.optimizer = optimizer
    look = LambdaCallback(
        on_train_batch_end=lambda batch, logs: seen.append(
            (model.optimizer.learning_rate, getattr(model.optimizer, momentum))
        )
    )
    callbacks = CallbackList([callback, look], epochs=epochs, steps=steps)
    train(callbacks, [0.0] * epochs, "loss", model)
    return np.array(seen).T


@pytest.mark.parametrize(
    ("optimizer", "momentum"),
    [
        (lambda: optimizers.SGD(momentum=0.5, nesterov=True), "momentum"),
        (lambda: optimizers.RMSprop(momentum=0.5), "momentum"),
        (lambda: optimizers.Adam(), "beta_1"),
        (lambda: optimizers.Nadam(), "beta_1"),
    ],
)
def test_one_cycle_by_hand(optimizer, momentum):
    # 11 batches, so 10 ways from the first to the last; the last fifth of them falls to a thousandth of η₀
    callback = OneCycle(1.0, total_steps=11, final_share=0.2)
    rates, momenta = rates_and_momenta(callback, optimizer(), momentum, epochs=6)
    middle = 0.1 + 0.9 * 0.25 * np.array([0, 1, 2, 3, 4, 3, 2, 1, 0])
    np.testing.assert_allclose(rates, [*middle, 0.05005, 1e-4, 1e-4], rtol=1e-12)  # and so on
    middle = 0.95 - 0.1 * 0.25 * np.array([0, 1, 2, 3, 4, 3, 2, 1, 0])
    np.testing.assert_allclose(momenta, [*middle, 0.95, 0.95, 0.95], rtol=1e-12)


def test_one_cycle_is_as_long_as_the_training():
    callback = OneCycle(1.0, initial_learning_rate=0.5, final_learning_rate=0.01, final_share=0)
    for epochs in (5, 20):  # and can be used again
        rates, momenta = rates_and_momenta(callback, optimizers.SGD(momentum=0.9), "momentum", epochs)
        assert len(rates) == 2 * epochs
        assert rates[0] == 0.5
        assert rates[-1] in (0.5, 0.01)
        assert momenta.min() < 0.8501 + 0.1 / epochs


def test_one_cycle_leaves_an_optimizer_without_momentum_without():
    _, momenta = rates_and_momenta(OneCycle(1.0), optimizers.SGD(), "momentum")
    assert set(momenta) == {0}


def test_one_cycle_writes_the_rate_into_the_logs():
    rates = learning_rates(OneCycle(1.0, 4), [0.0] * 2, "loss", 0.1)
    assert rates[1] == rates[2] == pytest.approx(1e-4)


def test_one_cycle_has_to_know_how_long():
    callback = OneCycle(1.0)
    callback.set_params({"epochs": 3, "steps": None})
    with pytest.raises(ValueError, match=r"the number of batches per epoch is not known.*total_steps"):
        callback.on_epoch_begin(0)


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
    with pytest.raises(ValueError, match=r"must end in .safetensors or, for Keras, .keras; got 'best.h5'"):
        ModelCheckpoint("best.h5")
    for path, weights_only in (("best.keras", False), ("best.weights.h5", True)):
        assert ModelCheckpoint(path, save_weights_only=weights_only).filepath == path
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


# ---- what callbacks remember


@pytest.mark.parametrize(
    "make",
    [
        lambda: EarlyStopping(patience=2, restore_best_weights=True),
        lambda: ReduceLROnPlateau(patience=2, cooldown=1, min_delta=0),
        lambda: ModelCheckpoint("x.safetensors", save_best_only=True),
        lambda: ModelCheckpoint("x.safetensors", save_freq=3),
        lambda: OneCycle(0.7, 12),
        lambda: History(),
    ],
)
@pytest.mark.parametrize("cut", [1, 2, 4])
def test_a_callback_goes_on_where_another_stopped(make, cut, tmp_path, monkeypatch):
    """After ``cut`` epochs its state goes through JSON to a new one, as between two processes."""
    monkeypatch.chdir(tmp_path)
    series = [0.9, 0.5, 0.6, 0.5, 0.55, 0.4]

    def run(callbacks, model, epochs):
        for epoch in epochs:
            model.weights = epoch
            callbacks.on_epoch_begin(epoch)
            for batch in range(2):
                callbacks.on_train_batch_begin(batch)
                callbacks.on_train_batch_end(batch, {"loss": 0.5})
            callbacks.on_epoch_end(epoch, {"loss": 0.5, "val_loss": series[epoch]})

    def fresh():
        model, callback = Model(), make()
        model.optimizer = optimizers.SGD(0.1, momentum=0.9)
        callback.set_model(model)
        callback.on_train_begin()
        return model, callback

    unbroken, callback = fresh()
    run(callback, unbroken, range(6))
    callback.on_train_end()

    first, callback_of_first = fresh()
    run(callback_of_first, first, range(cut))
    state = json.loads(json.dumps(callback_of_first.state_dict()))
    second, callback_of_second = fresh()
    second.optimizer.learning_rate = first.optimizer.learning_rate
    second.stop_training = first.stop_training
    callback_of_second.load_state_dict(state)
    run(callback_of_second, second, range(cut, 6))
    callback_of_second.on_train_end()

    assert callback_of_second.state_dict() == callback.state_dict()
    assert first.saved + second.saved == unbroken.saved
    assert second.weights == unbroken.weights
    assert second.stop_training == unbroken.stop_training
    assert second.optimizer.learning_rate == unbroken.optimizer.learning_rate


def test_a_state_is_a_copy():
    callback = History()
    train(callback, [0.5])
    state = callback.state_dict()
    callback.on_epoch_end(1, {"loss": 0.5})
    assert state["history"]["loss"] == [0.5]


def test_what_a_csv_logger_wrote_after_its_state_was_taken_is_taken_back(tmp_path):
    first = CSVLogger(tmp_path / "log.csv")
    first.on_train_begin()
    first.on_epoch_end(0, {"loss": 1.0})
    state = first.state_dict()
    first.on_epoch_end(1, {"loss": 9.0})
    first.on_train_end()
    second = CSVLogger(tmp_path / "log.csv")
    second.on_train_begin()
    second.load_state_dict(json.loads(json.dumps(state)))
    second.on_epoch_end(1, {"loss": 0.5})
    second.on_train_end()
    assert (tmp_path / "log.csv").read_text() == "epoch,loss,val_loss\n0,1.0,NA\n1,0.5,NA\n"


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


def test_csv_logger_goes_on_under_the_headings_of_the_file(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("val_loss,epoch,loss,mae\n0.5,0,0.25,1.0")  # an editor left out the last end of line
    train(CSVLogger(path, append=True), [0.125])
    assert path.read_text().splitlines() == ["val_loss,epoch,loss,mae", "0.5,0,0.25,1.0", "0.125,0,0.5,NA"]


@pytest.mark.parametrize("text", ["", "epoch,loss,val_loss\n"])
def test_csv_logger_begins_with_headings_where_there_are_none(tmp_path, text):
    path = tmp_path / "log.csv"
    path.write_text(text)
    train(CSVLogger(path, append=True), [0.125])
    assert path.read_text() == "epoch,loss,val_loss\n0,0.5,0.125\n"


@pytest.mark.parametrize(
    "text", ["epoch,loss,val_mae\n", "loss,val_loss\n", "epoch;loss;val_loss\n", "notes"]
)
def test_csv_logger_does_not_write_under_other_headings(tmp_path, text):
    path = tmp_path / "log.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"log.csv has the columns .* append=False to write the file anew"):
        train(CSVLogger(path, append=True), [0.125])
    assert path.read_text().rstrip() == text.rstrip()


# ---- arrays of one


def test_an_array_of_one_is_a_number(tmp_path):
    stopping = EarlyStopping("f1_score", mode="max", patience=1)
    _, last = train(stopping, [np.array([0.5]), np.array([0.75]), np.array([0.6])], "f1_score")
    assert (last, stopping.best, stopping.best_epoch) == (2, 0.75, 1)
    checkpoint = ModelCheckpoint(tmp_path / "x.safetensors", "f1_score", save_best_only=True, mode="max")
    model, _ = train(checkpoint, [np.array([0.5]), np.array([0.25])], "f1_score")
    assert [weights for weights, _ in model.saved] == [0]


# ---- lists of callbacks


class Duck:
    """Not a Callback, but it has hooks."""

    def __init__(self):
        self.seen = []

    def set_model(self, model):
        self.seen.append("model")

    def on_epoch_end(self, epoch, logs=None):
        self.seen.append((epoch, sorted(logs)))


def test_objects_with_hooks_are_callbacks():
    duck, keep = Duck(), History()
    callbacks = CallbackList([(duck,), [[keep]]])
    assert callbacks.callbacks == [duck, keep]
    train(callbacks, [0.5, 0.25])
    assert duck.seen == ["model", (0, ["loss", "val_loss"]), (1, ["loss", "val_loss"])]
    assert keep.history["val_loss"] == [0.5, 0.25]


@pytest.mark.parametrize("wrong", ["early", 3, EarlyStopping, lambda epoch, logs: None, {"a": 1}])
def test_what_has_no_hooks_is_no_callback(wrong):
    with pytest.raises(TypeError, match="callbacks must be Callback objects, or have hooks"):
        CallbackList([wrong])
    with pytest.raises(TypeError, match="callbacks must be Callback objects, or have hooks"):
        CallbackList().append(wrong)


def test_a_list_adds_history_and_progress(capsys):
    callbacks = CallbackList([], True, True, Model(), epochs=2, verbose=2)
    assert [type(callback) for callback in callbacks.callbacks] == [History, ProgbarLogger]
    train(callbacks, [0.5, 0.25], model=callbacks.model)
    assert callbacks.callbacks[0].history == {"loss": [0.5, 0.5], "val_loss": [0.5, 0.25]}
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" - ")[0] for line in lines] == ["Epoch 1/2", "Epoch 2/2"]
    assert [line.split(" - ")[-1] for line in lines] == ["val_loss: 0.5000", "val_loss: 0.2500"]
    own = [ProgbarLogger(), History()]
    assert CallbackList(own, add_history=True, add_progbar=True).callbacks == own
