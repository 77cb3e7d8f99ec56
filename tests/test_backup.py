"""BackupAndRestore: a training that was broken off and started again ends as one that was not, to the bit."""

from __future__ import annotations

import copy
import importlib.util
import itertools
import json
import os
from pathlib import Path

import numpy as np
import pytest

from fastconv import callbacks, layers, models, optimizers, utils
from fastconv._core import randomness
from fastconv._core.files import read_state, write_state
from fastconv._core.randomness import generator, generator_state
from fastconv.callbacks import BackupAndRestore, Callback
from fastconv.datasets import Loader
from fastconv.utils import Prefetch, PyDataset

RNG = np.random.default_rng(0)
X = RNG.normal(size=(50, 6)).astype(np.float32)
Y = (X[:, 0] + 0.3 * RNG.normal(size=50) > 0).astype(np.int64)


class Killed(BaseException):
    """What stands in for the end of a process."""


class KillAfter(Callback):
    """Ends everything after so many batches, or in the hook ``where`` of so many epochs."""

    def __init__(self, batches=None, epochs=None):
        self.batches, self.epochs = batches, epochs

    def on_train_batch_end(self, batch, logs=None):
        if self.batches is not None:
            self.batches -= 1
            if self.batches == 0:
                raise Killed

    def on_epoch_end(self, epoch, logs=None):
        if epoch + 1 == self.epochs:
            raise Killed


class KillLast(KillAfter):
    comes_last = True


def program(folder, data, more=(), save_freq="epoch", double=False, killer=None, **arguments):
    """The user's program, from its first line: what it leaves behind."""
    utils.set_random_seed(5)
    model = models.Sequential(
        [
            layers.Input((6,)),
            layers.Dropout(0.2, name="global_masks"),
            layers.Dense(8, activation="tanh"),
            layers.Dropout(0.2, seed=7, name="own_masks"),
            layers.Dense(2, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"], weighted_metrics=["acc"])
    kept = [
        BackupAndRestore(folder, save_freq, double_checkpoint=double),
        callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.9),
        callbacks.EarlyStopping("loss", patience=50, restore_best_weights=True),
        *more,
    ]
    history = model.fit(
        **data(), **{"epochs": 4, "verbose": 0, **arguments}, callbacks=[*kept, *([killer] if killer else [])]
    )
    state = model.optimizer.state_dict()
    return {
        "weights": model.get_weights(),
        "optimizer": [np.asarray(value) for value in state.values()],
        "history": [np.array(values) for values in history.history.values()],
        "names": list(history.history),
        "epochs": history.epoch,
        "layers": repr(model.random_state()),
        "next": generator().random(),
    }


def assert_same(one, other):
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_equal(one[name], other[name], err_msg=name)


def shuffled_arrays():
    return {"x": X, "y": Y, "batch_size": 8, "validation_split": 0.2}  # 5 batches


def mixed_batches():
    return {"x": X, "y": Y, "batch_size": 8, "shuffle": "batch", "validation_data": (X[:10], Y[:10])}


def odd_steps():
    """Each epoch goes on in the middle of the data."""
    return {"x": X, "y": Y, "batch_size": 16, "steps_per_epoch": 3}


def batches_in_order():
    return [(X[i : i + 10], Y[i : i + 10]) for i in range(0, 50, 10)]


def list_of_batches():
    return {"x": batches_in_order()}


def one_generator():
    endless = itertools.cycle(batches_in_order())
    return {"x": (batch for batch in endless), "steps_per_epoch": 3}


class Indexed:
    def __len__(self):
        return 5

    def __getitem__(self, i):
        return batches_in_order()[i]


def shuffled_indices():
    return {"x": Indexed(), "validation_data": iter(batches_in_order()), "validation_steps": 1}


def noisy_loader():
    noise = layers.GaussianNoise(0.5)
    prepare = {"map": lambda x, y: (noise(x, training=True), y)}
    return {"x": Loader(X, Y, batch_size=10, **prepare), "validation_data": Loader(X, Y, batch_size=20)}


def seeded_loader():
    """Each epoch ends in the middle of a pass; the layer has a seed of its own too."""
    noise = layers.GaussianNoise(0.5, seed=3)
    prepare = {"seed": 2, "map": lambda x, y: (noise(x, training=True), y)}
    return {"x": Loader(X, Y, batch_size=13, **prepare), "steps_per_epoch": 3}


def prefetched_loader():
    noise = layers.GaussianNoise(0.5)
    return {"x": Prefetch(Loader(X, Y, batch_size=10, seed=1), lambda x, y: (noise(x, training=True), y))}


class Reshuffled(PyDataset):
    """Deals its examples anew after each epoch, with numbers of its own."""

    def __init__(self, **options):
        super().__init__(**options)
        self.random = np.random.default_rng(3)
        self.order = np.arange(50)

    def __len__(self):
        return 5

    def __getitem__(self, i):
        which = self.order[10 * i : 10 * i + 10]
        return X[which], Y[which]

    def on_epoch_end(self):
        self.random.shuffle(self.order)

    def state_dict(self):
        return {"random": self.random.bit_generator.state, "order": self.order.copy()}

    def load_state_dict(self, state):
        self.random.bit_generator.state = state["random"]
        self.order = state["order"].copy()


def data_set():
    return {"x": Reshuffled()}


def data_set_in_the_background():
    return {"x": Reshuffled(workers=2, max_queue_size=2), "validation_data": Reshuffled(workers=2)}


DATA = [
    shuffled_arrays,
    mixed_batches,
    odd_steps,
    list_of_batches,
    one_generator,
    shuffled_indices,
    noisy_loader,
    seeded_loader,
    prefetched_loader,
    data_set,
    data_set_in_the_background,
]


@pytest.mark.parametrize("save_freq", ["epoch", 1, 2])
@pytest.mark.parametrize("data", DATA)
def test_broken_off_after_any_batch(data, save_freq, tmp_path):
    unbroken = program(tmp_path / "unbroken", data)
    steps = 3 if "steps_per_epoch" in data() else 5 if data is not mixed_batches else 7
    for batches in (1, 2, steps - 1, steps, steps + 1, 3 * steps, 4 * steps - 1, 4 * steps):
        folder = tmp_path / str(batches)
        with pytest.raises(Killed):
            program(folder, data, save_freq=save_freq, killer=KillAfter(batches=batches))
        generator().random()  # another process is somewhere else
        assert_same(program(folder, data, save_freq=save_freq), unbroken)
        assert not folder.exists()


@pytest.mark.parametrize("save_freq", ["epoch", 2])
def test_a_network_that_augments_its_images(save_freq, tmp_path):
    images = X[:, :, None, None] * np.ones((1, 1, 6, 1), np.float32)

    def train(folder, killer=()):
        utils.set_random_seed(5)
        utils.clear_session()
        model = models.Sequential(
            [
                layers.Input((6, 6, 1)),
                layers.RandomFlip(),
                layers.RandomRotation(0.1, seed=3),
                layers.RandomCrop(5, 5),
                layers.BatchNormalization(),
                layers.Flatten(),
                layers.Dense(2, activation="softmax"),
            ]
        )
        model.compile("adam", "sparse_categorical_crossentropy")
        backup = BackupAndRestore(folder, save_freq)
        model.fit(images, Y, batch_size=8, epochs=3, callbacks=[backup, *killer], verbose=0)
        return model.get_weights(), model.random_state()

    unbroken, states = train(tmp_path / "unbroken")
    assert [state["draws"] for state in states.values()] == [21, 21, 21]
    with pytest.raises(Killed):
        train(tmp_path / "b", [KillAfter(batches=12)])
    weights, _ = train(tmp_path / "b")
    for one, other in zip(weights, unbroken, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("killer", [KillAfter, KillLast])
@pytest.mark.parametrize("epochs", [1, 2, 4])
def test_broken_off_at_the_end_of_an_epoch(killer, epochs, tmp_path):
    """Before the backup of the epoch, and right after it."""
    unbroken = program(tmp_path / "unbroken", shuffled_arrays)
    with pytest.raises(Killed):
        program(tmp_path / "b", shuffled_arrays, killer=killer(epochs=epochs))
    assert_same(program(tmp_path / "b", shuffled_arrays), unbroken)


def test_broken_off_again_and_again(tmp_path):
    unbroken = program(tmp_path / "unbroken", shuffled_arrays)
    times = 0
    for _ in range(30):
        try:
            result = program(tmp_path / "b", shuffled_arrays, save_freq=1, killer=KillAfter(batches=2))
        except Killed:
            times += 1
        else:
            break
    assert times > 5
    assert_same(result, unbroken)


def test_early_stopping_is_not_forgotten(tmp_path):
    """A backup was made after the epoch in which it stopped; nothing must follow."""
    stop = callbacks.EarlyStopping("loss", mode="max", patience=1)  # the loss falls: after two epochs

    unbroken = program(tmp_path / "unbroken", shuffled_arrays, [stop], epochs=9)
    assert 1 < len(unbroken["epochs"]) < 9
    killer = KillLast(epochs=len(unbroken["epochs"]))
    with pytest.raises(Killed):
        program(tmp_path / "b", shuffled_arrays, [stop], epochs=9, killer=killer)
    assert_same(program(tmp_path / "b", shuffled_arrays, [stop], epochs=9), unbroken)


def test_one_cycle_and_a_plateau_go_on(tmp_path):
    more = [callbacks.OneCycle(0.05), callbacks.ReduceLROnPlateau("loss", patience=1, min_delta=10)]
    unbroken = program(tmp_path / "unbroken", shuffled_arrays, more)
    for batches in (3, 11):
        with pytest.raises(Killed):
            program(tmp_path / "b", shuffled_arrays, more, save_freq=2, killer=KillAfter(batches=batches))
        assert_same(program(tmp_path / "b", shuffled_arrays, more, save_freq=2), unbroken)


@pytest.mark.parametrize("save_freq", ["epoch", 2])
def test_a_network_that_runs_as_a_program(save_freq, tmp_path):
    images = X[:, :, None, None] * np.ones((1, 1, 6, 1), np.float32)

    def train(folder, killer=()):
        utils.set_random_seed(5)
        model = models.Sequential(
            [
                layers.Input((6, 6, 1)),
                layers.Conv2D(3, 3, activation="relu"),
                layers.MaxPooling2D(2),
                layers.Flatten(),
                layers.Dense(2, activation="softmax"),
            ]
        )
        model.compile("adam", "sparse_categorical_crossentropy", jit_compile=True)
        backup = BackupAndRestore(folder, save_freq)
        model.fit(images, Y, batch_size=8, epochs=3, callbacks=[backup, *killer], verbose=0)
        return model.get_weights()

    unbroken = train(tmp_path / "unbroken")
    with pytest.raises(Killed):
        train(tmp_path / "b", [KillAfter(batches=12)])
    for one, other in zip(train(tmp_path / "b"), unbroken, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("batches", [1, 4, 10, 19, 20])
def test_an_optimizer_that_remembers_much(batches, tmp_path):
    """Schedule, averages, and half a step's gradients: two batches make a step, five an epoch."""

    def train(folder, killer=()):
        utils.set_random_seed(5)
        rate = optimizers.schedules.CosineDecay(0.1, 10)
        options = {"use_ema": True, "ema_momentum": 0.8, "ema_overwrite_frequency": 3, "clipnorm": 0.5}
        model = models.Sequential([layers.Input((6,)), layers.Dense(2, activation="softmax")])
        optimizer = optimizers.AdamW(rate, gradient_accumulation_steps=2, **options)
        model.compile(optimizer, "sparse_categorical_crossentropy")
        backup = BackupAndRestore(folder, save_freq=1)
        model.fit(X, Y, batch_size=10, epochs=4, callbacks=[*killer, backup], verbose=0)
        return {"weights": model.get_weights(), "optimizer": optimizer.state_dict()}

    unbroken = train(tmp_path / "unbroken")
    with pytest.raises(Killed):
        train(tmp_path / "b", [KillAfter(batches=batches)])
    assert_same(train(tmp_path / "b"), unbroken)


def test_ctrl_c_leaves_the_backup(tmp_path):
    def interrupt(batch, logs):
        if batch == 3:
            raise KeyboardInterrupt

    killer = callbacks.LambdaCallback(on_train_batch_end=interrupt)
    with pytest.raises(KeyboardInterrupt):
        program(tmp_path / "b", shuffled_arrays, save_freq=1, killer=killer)
    assert_same(
        program(tmp_path / "b", shuffled_arrays, save_freq=1), program(tmp_path / "other", shuffled_arrays)
    )


def test_a_backup_that_is_kept_is_the_end(tmp_path):
    model = models.Sequential([layers.Input((6,)), layers.Dense(2, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    keep = BackupAndRestore(tmp_path / "b", delete_checkpoint=False)
    first = model.fit(X, Y, epochs=2, callbacks=keep, verbose=0)
    weights = model.get_weights()
    again = model.fit(X, Y, epochs=2, callbacks=keep, verbose=0)
    assert again.history == first.history
    for one, other in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(one, other)
    assert len(model.fit(X, Y, epochs=3, callbacks=keep, verbose=0).epoch) == 3  # one more


def test_other_files_in_the_folder_are_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / ".latest.safetensors.0123abcd.tmp").write_text("of a process that was killed while it wrote")
    program(tmp_path, shuffled_arrays)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("damage", ["cut off", "gone"])
def test_the_backup_before_the_last(damage, tmp_path):
    unbroken = program(tmp_path / "unbroken", shuffled_arrays)
    folder = tmp_path / "b"
    with pytest.raises(Killed):
        program(folder, shuffled_arrays, double=True, killer=KillAfter(epochs=4))
    latest = folder / "latest.safetensors"
    if damage == "gone":
        latest.unlink()
    else:
        latest.write_bytes(latest.read_bytes()[:100])
    assert_same(program(folder, shuffled_arrays, double=True), unbroken)
    assert not folder.exists()


def test_a_damaged_backup_is_an_error(tmp_path):
    with pytest.raises(Killed):
        program(tmp_path, shuffled_arrays, killer=KillAfter(epochs=2))
    (tmp_path / "latest.safetensors").write_bytes(b"nonsense")
    with pytest.raises(ValueError, match=r"latest.safetensors is damaged.*Delete .* to start afresh"):
        program(tmp_path, shuffled_arrays)
    model = models.Sequential([layers.Dense(2)])
    model.build((6,))
    model.save_weights(tmp_path / "latest.safetensors")
    with pytest.raises(ValueError, match="expected fastconv backup in version 1"):
        program(tmp_path, shuffled_arrays)


def test_a_backup_of_another_training_is_an_error(tmp_path):
    with pytest.raises(Killed):
        program(tmp_path, shuffled_arrays, killer=KillAfter(epochs=2))
    with pytest.raises(
        ValueError, match=r"of another training: it was made with the callbacks \['EarlyStopping"
    ):
        program(tmp_path, shuffled_arrays, [callbacks.ReduceLROnPlateau()])
    other = models.Sequential([layers.Input((6,)), layers.Dense(2)])
    other.compile("sgd", "mse")
    with pytest.raises(ValueError, match=r"is of another training.*Delete the folder"):
        other.fit(X, X[:, :2], callbacks=[callbacks.EarlyStopping(), BackupAndRestore(tmp_path)], verbose=0)


def test_arguments():
    for save_freq in (0, -1, "batch", False, 1.5):
        with pytest.raises(ValueError, match='save_freq must be "epoch" or a number of batches'):
            BackupAndRestore("x", save_freq=save_freq)
    with pytest.raises(ValueError, match="backup_dir is empty"):
        BackupAndRestore("")


def test_a_model_without_weights(tmp_path):
    model = models.Sequential([layers.Dense(2)])
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="has no weights yet that could be restored: give it an Input"):
        model.fit(X, X[:, :2], callbacks=BackupAndRestore(tmp_path), verbose=0)


def test_a_copy_of_a_model_at_work_is_not_at_work():
    copies = []
    model = models.Sequential([layers.Input((6,)), layers.Dense(2, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    take = callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: copies.append(copy.deepcopy(model)))
    seen = callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: model.evaluate(X, Y, verbose=0))
    model.fit(X, Y, epochs=2, callbacks=[take, seen], verbose=0)
    assert [(m.run, m.built) for m in copies] == [(None, True)] * 2
    assert model.run is None


# ---- the file


def test_a_state_survives_the_file(tmp_path):
    state = {
        "numbers": [1, 2.5, float("inf"), None, True, 2**127],
        "arrays": {"a": np.arange(6.0).reshape(2, 3).T, "b": [np.zeros((0, 2), np.float32), np.array(3)]},
        "text": "naïve",
        "numpy": np.float32(0.1),
    }
    write_state(tmp_path / "x.safetensors", state, "test")
    found = read_state(tmp_path / "x.safetensors", "test")
    assert found["numbers"] == state["numbers"]
    assert (found["text"], found["numpy"]) == ("naïve", float(np.float32(0.1)))
    for one, other in [
        (found["arrays"]["a"], state["arrays"]["a"]),
        *zip(found["arrays"]["b"], state["arrays"]["b"], strict=True),
    ]:
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


def test_what_a_file_cannot_hold(tmp_path):
    with pytest.raises(TypeError, match=r"cannot save callbacks/0/when: .* is neither a number, a string"):
        write_state(tmp_path / "x", {"callbacks": [{"when": object()}]}, "test")
    assert not list(tmp_path.iterdir())


def test_a_backup_that_may_not_be_read_is_not_taken_for_none(tmp_path, monkeypatch):
    """Training that began afresh would replace it."""
    write_state(tmp_path / "latest.safetensors", {"step": 0}, "fastconv backup")
    before = (tmp_path / "latest.safetensors").read_bytes()
    monkeypatch.setattr(os, "access", lambda place, mode: mode != os.R_OK)  # root may read everything
    model = models.Sequential([layers.Input((2,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match=r"no permission to read this file.*to start afresh"):
        model.fit(np.ones((4, 2)), np.ones(4), callbacks=BackupAndRestore(tmp_path), verbose=0)
    assert (tmp_path / "latest.safetensors").read_bytes() == before


# ---- random states


def test_random_states_of_layers():
    model = models.Sequential(
        [
            layers.Dropout(0.5, seed=3, name="a"),
            models.Sequential([layers.Dropout(0.5, seed=4, name="b"), layers.Dense(2)], name="inner"),
        ]
    )
    x = np.ones((4, 5), np.float32)
    model.forward(x, training=True)
    state = json.loads(json.dumps(model.random_state()))
    assert state.keys() == {"a", "inner"}
    first = model.forward(x, training=True)
    second = model.forward(x, training=True)
    assert not np.array_equal(first, second)
    model.set_random_state(state)
    np.testing.assert_array_equal(model.forward(x, training=True), first)
    with pytest.raises(ValueError, match="random state of layers"):
        model.set_random_state({"a": state["a"]})
    with pytest.raises(ValueError, match="draws no random numbers"):
        layers.Flatten().set_random_state(state)


def test_the_state_of_the_global_generator():
    state = json.loads(json.dumps(generator_state()))
    first = generator().random(3)
    randomness.set_generator_state(state)
    np.testing.assert_array_equal(generator().random(3), first)


# ---- real kills

TOOLS = Path(__file__).parents[1] / "tools"


@pytest.mark.skipif(not TOOLS.is_dir() or os.name != "posix", reason="the tool is in the checkout alone")
def test_killed_for_real(tmp_path):
    """SIGKILL at three moments: after a batch, before a file is synced, before it is renamed.

    ``python tools/kill_and_resume.py`` does so in fifty trainings.
    """
    specification = importlib.util.spec_from_file_location("kill_and_resume", TOOLS / "kill_and_resume.py")
    tool = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(tool)
    unbroken, _ = tool.run(tmp_path / "unbroken", "epoch", [])
    assert unbroken.pop("moments") > 100
    result, kills = tool.run(tmp_path / "broken", 5, [24, 26, 28])
    assert kills == 3
    del result["moments"]
    assert result == unbroken
