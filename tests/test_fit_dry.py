"""Data that runs dry: nothing is learnt from batches that are not there, and nothing is said of them."""

from __future__ import annotations

import numpy as np
import pytest

from fastconv import layers, optimizers, utils
from fastconv.callbacks import BackupAndRestore, Callback, EarlyStopping, LambdaCallback, ModelCheckpoint
from fastconv.models import Sequential

X = np.random.default_rng(0).random((40, 4)).astype(np.float32)
Y = X.sum(axis=1, keepdims=True)


def net():
    utils.set_random_seed(0)
    model = Sequential([layers.Input((4,)), layers.Dense(1)])
    model.compile(optimizers.SGD(0.1), "mse")
    return model


def batches(number):
    return ((X[4 * i : 4 * i + 4], Y[4 * i : 4 * i + 4]) for i in range(number))


class Indexed(utils.PyDataset):
    """So many batches, and what was called in which order."""

    def __init__(self, number, **options):
        super().__init__(**options)
        self.number, self.seen = number, []

    def __len__(self):
        return self.number

    def __getitem__(self, index):
        self.seen.append(index)
        return X[4 * index : 4 * index + 4], Y[4 * index : 4 * index + 4]

    def on_epoch_begin(self):
        self.seen.append("begin")

    def on_epoch_end(self):
        self.seen.append("end")


@pytest.mark.parametrize("arguments", [{}, {"steps_per_epoch": 2}])
@pytest.mark.parametrize("source", [lambda: iter([]), lambda: batches(0)])
def test_nothing_to_train_on_is_an_error(source, arguments):
    model = net()
    with pytest.raises(ValueError, match="there was nothing to train on: the data yielded no batch"):
        model.fit(source(), verbose=0, **arguments)
    assert model.history.history == {}


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("method", ["fit", "evaluate", "predict", "validation"])
def test_a_data_set_of_no_batches_is_an_error(method, workers):
    model, empty = net(), Indexed(0, workers=workers)
    arguments = (X, Y) if method == "validation" else (empty,)
    options = {"validation_data": empty} if method == "validation" else {}
    with pytest.raises(ValueError, match="Indexed has a length of 0 batches"):
        getattr(model, method.replace("validation", "fit"))(*arguments, verbose=0, **options)
    assert model.optimizer.iterations == 0
    assert empty.seen == []


def test_an_epoch_without_a_batch_is_none():
    model, ended = net(), []
    watch = LambdaCallback(
        on_epoch_end=lambda epoch, logs: ended.append(epoch),
        on_train_end=lambda logs: ended.append(sorted(logs)),
    )
    with pytest.warns(UserWarning, match="the data ran out: there is no batch for epoch 3") as caught:
        history = model.fit(batches(4), epochs=5, steps_per_epoch=2, callbacks=watch, verbose=0)
    assert caught[0].filename == __file__
    assert ended == [0, 1, ["loss"]]
    assert history.epoch == [0, 1]
    assert min(history.history["loss"]) > 0
    assert model.optimizer.iterations == 4


def test_part_of_an_epoch_is_one():
    with pytest.warns(UserWarning, match="the data ran out after 1 of the epoch's 2 batches") as caught:
        history = net().fit(batches(3), epochs=5, steps_per_epoch=2, verbose=0)
    assert caught[0].filename == __file__
    assert history.epoch == [0, 1]


def test_callbacks_that_look_for_the_best_see_no_zero(tmp_path):
    model = net()
    stopping = EarlyStopping("loss", restore_best_weights=True)
    checkpoint = ModelCheckpoint(tmp_path / "best.safetensors", "loss", save_best_only=True)
    with pytest.warns(UserWarning, match="no batch for epoch 3"):
        history = model.fit(
            batches(4), epochs=3, steps_per_epoch=2, callbacks=[stopping, checkpoint], verbose=0
        )
    assert stopping.best == checkpoint.best == min(history.history["loss"]) > 0


def test_a_data_set_that_shrinks_to_nothing_ends_training():
    class Shrinking(Indexed):
        def on_epoch_end(self):
            self.number -= 1

    with pytest.warns(UserWarning, match="no batch for epoch 3"):
        history = net().fit(Shrinking(2), epochs=9, verbose=0)
    assert history.epoch == [0, 1]


@pytest.mark.parametrize("number", [0, 4])
def test_validation_data_that_runs_dry_does_not_end_training(number):
    model = net()
    with pytest.warns(
        UserWarning, match=f"validation data ran out: none from epoch {number // 2 + 1} on"
    ) as w:
        history = model.fit(
            X, Y, epochs=5, validation_data=batches(number), validation_steps=2, verbose=0
        ).history
    assert len(w) == 1
    assert len(history["loss"]) == 5
    assert len(history.get("val_loss", [])) == number // 2
    assert all(loss > 0 for loss in history.get("val_loss", []))


@pytest.mark.parametrize("method", ["evaluate", "predict"])
def test_no_hook_is_called_where_there_is_no_batch(method):
    class Any(Callback):
        def on_test_begin(self, logs=None):
            raise AssertionError

        on_predict_begin = on_test_begin

    with pytest.raises(ValueError, match="the data yielded no batch"):
        getattr(net(), method)(batches(0), callbacks=Any(), verbose=0)


# ---- the hooks of a data set


@pytest.mark.parametrize("workers", [1, 2])
def test_hooks_of_whole_passes(workers):
    data = Indexed(2, workers=workers)
    net().fit(data, epochs=2, shuffle=False, verbose=0)
    assert data.seen == ["begin", 0, 1, "end"] * 2
    data.seen.clear()
    net().evaluate(data, verbose=0)
    assert data.seen == ["begin", 0, 1, "end"]


def test_hooks_are_called_for_each_epoch_whatever_makes_one():
    data = Indexed(3)
    net().fit(data, epochs=3, steps_per_epoch=2, shuffle=False, verbose=0)
    assert data.seen == ["begin", 0, 1, "end", "begin", 2, 0, "end", "begin", 1, 2, "end"]


class Turning(utils.PyDataset):
    """What a batch is depends on how often the hooks were called."""

    def __init__(self):
        super().__init__()
        self.turn, self.seen = 0, []

    def __len__(self):
        return 5

    def __getitem__(self, index):
        self.seen.append((index, self.turn))
        return X[4 * index : 4 * index + 4] + self.turn / 100, Y[4 * index : 4 * index + 4]

    def on_epoch_begin(self):
        self.turn += 1

    def on_epoch_end(self):
        self.turn += 10

    def state_dict(self):
        return {"turn": self.turn}

    def load_state_dict(self, state):
        self.turn = state["turn"]


@pytest.mark.parametrize("steps", [None, 3])
@pytest.mark.parametrize("killed_after", [1, 2, 4, 5, 7])
def test_a_resumed_training_goes_on_in_the_data_set(tmp_path, steps, killed_after):
    class Killed(Exception):
        pass

    def kill(batch, logs):
        counted.append(batch)
        if len(counted) == killed_after:
            raise Killed

    arguments = {"epochs": 4, "steps_per_epoch": steps, "verbose": 0}
    whole, model, counted = Turning(), net(), []
    expected = model.fit(whole, **arguments).history["loss"]
    weights = model.get_weights()

    first = net()
    backup = BackupAndRestore(tmp_path, save_freq=1)
    kills = LambdaCallback(on_train_batch_begin=kill)
    with pytest.raises(Killed):
        first.fit(Turning(), callbacks=[backup, kills], **arguments)

    second, data = net(), Turning()
    history = second.fit(data, callbacks=[BackupAndRestore(tmp_path, save_freq=1)], **arguments)
    assert history.history["loss"] == expected
    assert data.seen == whole.seen[killed_after - 1 :]
    for array, other in zip(second.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(array, other)


def test_num_batches_in_place_of_a_length():
    class Numbered(Indexed):
        __len__ = utils.PyDataset.__len__

        @property
        def num_batches(self):
            return self.number

    data = Numbered(3)
    assert len(data) == 3
    model = net()
    model.fit(data, shuffle=False, verbose=0)
    assert data.seen == ["begin", 0, 1, 2, "end"]
    assert model.predict(data, verbose=0).shape == (12, 1)
    with pytest.raises(ValueError, match="Numbered: num_batches is None, and endless data sets"):
        model.fit(Numbered(None), verbose=0)


def test_a_data_set_without_a_length():
    class Bare(utils.PyDataset):
        def __getitem__(self, index):
            return X, Y

    with pytest.raises(NotImplementedError, match=r"Bare has no __len__\(\)"):
        net().fit(Bare(), verbose=0)


# ---- how many epochs


@pytest.mark.parametrize("validation_freq", [1, 1000, [1, 10**9]])
def test_a_huge_number_of_epochs_costs_nothing(validation_freq):
    model = net()

    def stop_after_two(epoch, logs):
        model.stop_training = epoch == 1

    stop = LambdaCallback(on_epoch_end=stop_after_two)
    history = model.fit(
        X,
        Y,
        epochs=10**30,
        validation_data=(X, Y),
        validation_freq=validation_freq,
        callbacks=stop,
        verbose=0,
    )
    assert history.epoch == [0, 1]
    due = 10**30 // validation_freq if isinstance(validation_freq, int) else 2
    with pytest.raises(ValueError, match=f"but {due} passes over it are wanted"):
        model.fit(X, Y, epochs=10**30, validation_data=batches(2), validation_freq=validation_freq, verbose=0)


@pytest.mark.parametrize(("initial_epoch", "epochs"), [(0, 0), (3, 3), (5, 2)])
def test_no_epochs(initial_epoch, epochs):
    model, seen = net(), []
    before = model.get_weights()
    watch = LambdaCallback(
        on_train_begin=lambda logs: seen.append("begin"), on_train_end=lambda logs: seen.append("end")
    )
    history = model.fit(X, Y, initial_epoch=initial_epoch, epochs=epochs, callbacks=watch, verbose=0)
    assert (history.history, history.epoch, seen) == ({}, [], ["begin", "end"])
    np.testing.assert_array_equal(model.get_weights()[0], before[0])
