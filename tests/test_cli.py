"""The commands, as somebody at a terminal meets them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys

import numpy as np
import pytest

import fastconv
from fastconv.cli import keeper, main
from fastconv.cli.cool_down import CoolDown
from fastconv.cli.course import Course, course_in
from fastconv.cli.data import scaled, trained_on, white_of
from fastconv.cli.keeper import Keeper
from fastconv.cli.shifts import ShiftedBatches
from fastconv.layers import RBF, Conv2D, Dense, Flatten, Input, Rescaling
from fastconv.models import Sequential, load_model, read_notes
from fastconv.utils import set_random_seed


@pytest.fixture(autouse=True)
def _in_an_empty_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FASTCONV_DATA", raising=False)
    monkeypatch.setenv("FASTCONV_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def few_digits(monkeypatch):
    """200 digits to learn, 50 to try: a second of training is too long for most of these tests."""
    from fastconv.datasets import digits

    (x_train, y_train), (x_test, y_test) = digits.load_data()
    few = (x_train[:200], y_train[:200]), (x_test[:50], y_test[:50])
    monkeypatch.setattr(digits, "load_data", lambda: few)


@pytest.fixture
def threads():
    with fastconv.set_num_threads(fastconv.get_num_threads()):
        yield


def run(capsys, *argv: str) -> tuple[int, str, str]:
    status = main(argv)
    return (status, *capsys.readouterr())


def files(tmp_path) -> set[str]:
    return {path.name for path in tmp_path.iterdir()}


def last_model(name: str) -> Sequential:
    """The network after the last epoch, which has a file of its own where it is not the best."""
    last = name.replace(".safetensors", ".last.safetensors")
    return load_model(last if os.path.exists(last) else name)


def best_epoch(history) -> int:
    """The first of the epochs with the highest accuracy, and the lowest loss among those."""
    pairs = list(zip(history["val_accuracy"], [-loss for loss in history["val_loss"]], strict=True))
    return pairs.index(max(pairs))


# ---- train


def test_train_without_arguments(capsys, tmp_path):
    """The first thing a newcomer sees: LeNet-5 learns digits in seconds and is right on 98% of the others."""
    status, output, errors = run(capsys, "train")
    assert (status, errors) == (0, "")
    assert "C3 (Conv2D)" in output
    assert "61,706" in output
    assert len(re.findall(r"accuracy: \d\.\d+.*val_accuracy: \d\.\d+", output)) == 30
    assert (
        "Try next:\n  fastconv evaluate lenet5-digits.safetensors\n  fastconv predict lenet5-digits" in output
    )
    assert str(tmp_path) in output
    found = re.search(r"Held-out accuracy: ([\d.]+)% of the 355 test images after epoch (\d+)", output)
    accuracy, epoch = float(found[1]), int(found[2])
    assert accuracy >= 98

    history = json.loads((tmp_path / "lenet5-digits.history.json").read_text())
    assert sorted(history) == ["accuracy", "loss", "val_accuracy", "val_loss"]
    assert {len(values) for values in history.values()} == {30}
    assert epoch - 1 == best_epoch(history)
    assert f"{history['val_accuracy'][epoch - 1]:.2%}" == f"{accuracy:.2f}%"
    expected = {"lenet5-digits.safetensors", "lenet5-digits.history.json"}
    assert files(tmp_path) == expected | ({"lenet5-digits.last.safetensors"} if epoch < 30 else set())

    status, output, _ = run(capsys, "evaluate", "lenet5-digits.safetensors")
    assert (status, output.split()[:2]) == (0, ["accuracy", f"{accuracy:.2f}%"])
    assert output.splitlines()[0].endswith("of the 355 test images of digits")


@pytest.mark.usefixtures("few_digits", "threads")
def test_train_options(capsys, tmp_path):
    status, output, _ = run(
        capsys,
        *("train", "lenet5", "--data", "digits", "--epochs", "2", "--batch-size", "20", "--optimizer", "sgd"),
        *(
            "--learning-rate",
            "0.25",
            "--threads",
            "1",
            "--seed",
            "7",
            "--save",
            "my.safetensors",
            "--verbose",
            "0",
        ),
    )
    assert (status, output) == (0, "")
    assert {"my.safetensors", "my.history.json"} <= files(tmp_path)
    model = last_model("my.safetensors")
    assert type(model.optimizer).__name__ == "SGD"
    assert model.optimizer.learning_rate == 0.25
    assert model.optimizer.iterations == 2 * 200 / 20
    assert fastconv.get_num_threads() == 1


@pytest.mark.usefixtures("few_digits")
def test_a_seed_makes_a_run_repeatable():
    weights = []
    for name, seed in (("a", "5"), ("b", "5"), ("c", "6")):
        main(["train", "--epochs", "1", "--seed", seed, "--save", f"{name}.safetensors", "--verbose", "0"])
        weights.append(load_model(f"{name}.safetensors").get_weights()[0])
    np.testing.assert_array_equal(weights[0], weights[1])
    assert np.abs(weights[0] - weights[2]).max() > 0.01


@pytest.mark.usefixtures("few_digits")
def test_train_goes_on_from_a_file(capsys, tmp_path):
    assert main(["train", "--epochs", "2", "--verbose", "0"]) == 0
    first = last_model("lenet5-digits.safetensors")
    status, output, _ = run(capsys, "train", "lenet5-digits.safetensors", "--epochs", "3", "--verbose", "2")
    assert status == 0
    assert re.findall(r"Epoch (\d/\d)", output) == ["3/5", "4/5", "5/5"]
    second = last_model("lenet5-digits.safetensors")
    assert second.optimizer.iterations == first.optimizer.iterations * 5 / 2
    history = json.loads((tmp_path / "lenet5-digits.history.json").read_text())
    assert history == second.history.history
    assert len(history["loss"]) == 5
    assert history["loss"][:2] == first.history.history["loss"]
    assert history["loss"][4] < history["loss"][0]
    main(["train", "lenet5-digits.safetensors", "--epochs", "1", "--optimizer", "adam", "--verbose", "0"])
    assert type(last_model("lenet5-digits.safetensors").optimizer).__name__ == "Adam"


# ---- nothing that is there is lost


class Rates(fastconv.callbacks.Callback):
    """The learning rates of all epochs."""

    def __init__(self):
        self.seen = []

    def on_epoch_end(self, epoch, logs=None):
        self.seen.append((epoch, float(self.model.optimizer.learning_rate)))


@pytest.fixture
def rates(monkeypatch):
    """[(epoch, learning rate), ...] of what is trained meanwhile."""
    recorder = Rates()
    fit = Sequential.fit

    def watched(model, *args, callbacks, **kwargs):
        return fit(model, *args, callbacks=[*callbacks, recorder], **kwargs)

    monkeypatch.setattr(Sequential, "fit", watched)
    return recorder.seen


@pytest.fixture
def interrupt(monkeypatch):
    """interrupt(epoch, place) sends Ctrl-C there once: in a "batch", in "validation", while the network is
    "saved", or while the "history" is."""

    def arrange(epoch: int, place: str) -> None:
        counts = dict.fromkeys(("batch", "validation", "saved", "history"), 0)

        def before(kind, function):
            def counted(*args, **kwargs):
                counts[kind] += 1
                if kind == place and counts[kind] == epoch:
                    signal.raise_signal(signal.SIGINT)
                return function(*args, **kwargs)

            return counted

        monkeypatch.setattr(ShiftedBatches, "__iter__", before("batch", ShiftedBatches.__iter__))
        monkeypatch.setattr(Sequential, "_evaluate", before("validation", Sequential._evaluate))
        monkeypatch.setattr(Keeper, "_save", before("saved", Keeper._save))
        monkeypatch.setattr(keeper, "write_atomically", before("history", keeper.write_atomically))

    return arrange


def contents(*paths) -> list[bytes]:
    return [path.read_bytes() for path in paths]


@pytest.mark.usefixtures("few_digits")
def test_a_network_that_is_there_is_not_replaced(capsys, tmp_path):
    network, history = tmp_path / "lenet5-digits.safetensors", tmp_path / "lenet5-digits.history.json"
    assert main(["train", "--epochs", "1", "--verbose", "0"]) == 0
    before = contents(network, history)
    for argv in (
        ["train"],
        ["train", "--save", str(network)],
        ["train", "fashion_cnn", "--save", str(network)],
    ):
        status, output, errors = run(capsys, *argv)
        assert (status, output) == (2, "")
        assert f"{network.name} exists already: go on with it by: fastconv train" in errors
        assert "or add --overwrite to replace it, or --save NAME" in errors
    network.rename("other.safetensors")
    status, _, errors = run(capsys, "train")
    assert status == 2
    assert "lenet5-digits.history.json exists already: add --overwrite" in errors
    other = tmp_path / "other.safetensors"
    status, _, errors = run(capsys, "train", "lenet5-digits.safetensors")
    assert (status, errors) == (2, "fastconv: error: there is no file lenet5-digits.safetensors\n")
    assert contents(other, history) == before
    assert files(tmp_path) == {"other.safetensors", "lenet5-digits.history.json"}
    assert main(["train", "--epochs", "1", "--seed", "2", "--overwrite", "--verbose", "0"]) == 0
    assert contents(network, history) != before
    assert main(["train", "--epochs", "1", "--seed", "3", "--save", "other.safetensors", "--overwrite"]) == 0
    assert contents(other)[0] != before[0]


@pytest.mark.usefixtures("few_digits")
def test_overwriting_begins_when_an_epoch_is_done(capsys, tmp_path, interrupt):
    assert main(["train", "--epochs", "1", "--verbose", "0"]) == 0
    before = contents(*sorted(tmp_path.iterdir()))
    interrupt(1, "batch")
    status, output, errors = run(capsys, "train", "--overwrite", "--epochs", "1")
    assert (status, errors) == (130, "")
    assert "No epoch was completed, so nothing was saved; lenet5-digits.safetensors is as it was." in output
    assert contents(*sorted(tmp_path.iterdir())) == before


@pytest.mark.usefixtures("few_digits")
@pytest.mark.parametrize("place", ["batch", "validation"])
def test_ctrl_c_before_an_epoch_is_done_saves_nothing(capsys, tmp_path, interrupt, place):
    interrupt(1, place)
    status, output, _ = run(capsys, "train")
    assert status == 130
    assert output.endswith("No epoch was completed, so nothing was saved.\n")
    assert files(tmp_path) == set()


@pytest.mark.usefixtures("few_digits")
@pytest.mark.parametrize("place", ["batch", "validation"])
def test_ctrl_c_at_once_leaves_the_network_that_is_gone_on_with(capsys, tmp_path, interrupt, place):
    assert main(["train", "--epochs", "1", "--verbose", "0"]) == 0
    before = contents(*sorted(tmp_path.iterdir()))
    interrupt({"batch": 1, "validation": 2}[place], place)  # the first validation judges what is there
    status, output, _ = run(capsys, "train", "lenet5-digits.safetensors")
    assert status == 130
    assert "nothing was saved; lenet5-digits.safetensors is as it was." in output
    assert contents(*sorted(tmp_path.iterdir())) == before


EPOCHS = ("--epochs", "6", "--verbose", "0")


def outcome(tmp_path) -> tuple:
    """All that a training leaves behind, as numbers."""
    names = sorted(files(tmp_path) - {"cache"})
    models = [load_model(name) for name in names if name.endswith(".safetensors")]
    arrays = [[*model.get_weights(), *model.optimizer.state_dict().values()] for model in models]
    histories = [model.history.history for model in models]
    rates = [float(model.optimizer.learning_rate) for model in models]
    text = (tmp_path / "lenet5-digits.history.json").read_text()
    return names, [[np.asarray(a).tolist() for a in each] for each in arrays], histories, rates, text


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """What six epochs in one piece leave behind."""
    from fastconv.datasets import digits

    folder = tmp_path_factory.mktemp("unbroken")
    (x_train, y_train), (x_test, y_test) = digits.load_data()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        few = (x_train[:200], y_train[:200]), (x_test[:50], y_test[:50])
        patch.setattr(digits, "load_data", lambda: few)
        assert main(["train", *EPOCHS]) == 0
        return outcome(folder)


@pytest.mark.usefixtures("few_digits")
@pytest.mark.parametrize("place", ["batch", "validation", "saved", "history"])
@pytest.mark.parametrize("epoch", [2, 5])
def test_going_on_after_ctrl_c_is_as_if_it_had_not_been(tmp_path, interrupt, unbroken, epoch, place):
    """Learning rate, optimizer, order of the images, their shifts, epochs: all to the bit."""
    interrupt(epoch, place)
    assert main(["train", *EPOCHS]) == 130
    whole = epoch if place in ("saved", "history") else epoch - 1  # Ctrl-C waits until all is saved
    assert len(json.loads((tmp_path / "lenet5-digits.history.json").read_text())["loss"]) == whole
    interrupt(0, "never")
    assert main(["train", "lenet5-digits.safetensors", "--verbose", "0"]) == 0
    assert outcome(tmp_path) == unbroken


@pytest.mark.usefixtures("few_digits")
def test_ctrl_c_after_every_epoch(tmp_path, interrupt, unbroken):
    interrupt(2, "batch")
    assert main(["train", *EPOCHS]) == 130
    for _ in range(4):
        interrupt(2, "batch")
        assert main(["train", "lenet5-digits.safetensors", "--verbose", "0"]) == 130
    interrupt(0, "never")
    assert main(["train", "lenet5-digits.safetensors", "--verbose", "0"]) == 0
    assert outcome(tmp_path) == unbroken


KILLED = """
import os, signal, sys
import fastconv.cli.keeper as keeper
from fastconv.cli import main
from fastconv.datasets import digits

place, number = sys.argv[1], int(sys.argv[2])
(x_train, y_train), (x_test, y_test) = digits.load_data()
few = (x_train[:200], y_train[:200]), (x_test[:50], y_test[:50])
digits.load_data = lambda: few

def killing(function):
    def counted(*args):
        global number
        number -= 1
        if number == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args)
    return counted

if place == "rename":
    os.replace = killing(os.replace)
else:
    os.fsync = killing(os.fsync)
main(["train", "--epochs", "6", "--verbose", "0"])
"""


@pytest.mark.usefixtures("few_digits")
@pytest.mark.skipif(os.name != "posix", reason="sends a POSIX signal")
@pytest.mark.parametrize(("place", "number"), [("fsync", 5), ("rename", 4), ("fsync", 9), ("rename", 7)])
def test_going_on_after_a_kill(tmp_path, unbroken, place, number):
    """Of an epoch the network is written, then the history: two renamings, each between two syncs."""
    done = subprocess.run([sys.executable, "-c", KILLED, place, str(number)])
    assert done.returncode == -signal.SIGKILL
    assert any(name.endswith(".tmp") for name in files(tmp_path))
    assert main(["train", "lenet5-digits.safetensors", "--verbose", "0"]) == 0
    assert outcome(tmp_path) == unbroken


@pytest.mark.usefixtures("few_digits")
def test_the_learning_rate_stays_low_when_a_finished_training_goes_on(rates):
    assert main(["train", "--epochs", "3", "--verbose", "0"]) == 0
    assert main(["train", "lenet5-digits.safetensors", "--epochs", "2", "--verbose", "0"]) == 0
    high, low = 0.002, 0.0002
    assert rates == [(0, high), (1, high), (2, low), (3, low), (4, low)]
    assert last_model("lenet5-digits.safetensors").optimizer.learning_rate == low


@pytest.mark.usefixtures("few_digits")
def test_a_learning_rate_that_is_asked_for_begins_anew(rates):
    assert main(["train", "--epochs", "3", "--verbose", "0"]) == 0
    argv = ["--epochs", "3", "--learning-rate", "0.001", "--verbose", "0"]
    assert main(["train", "lenet5-digits.safetensors", *argv]) == 0
    assert rates[3:] == [(3, 0.001), (4, 0.001), (5, 0.0001)]


@pytest.mark.usefixtures("few_digits")
def test_batch_size_and_shift_go_on_unless_asked_for():
    first = ["--epochs", "1", "--batch-size", "50", "--shift", "1", "--verbose", "0"]
    assert main(["train", *first]) == 0
    assert main(["train", "lenet5-digits.safetensors", "--epochs", "1", "--verbose", "0"]) == 0
    assert last_model("lenet5-digits.safetensors").optimizer.iterations == 8
    notes = read_notes("lenet5-digits.safetensors")
    assert (notes["course"]["batch_size"], notes["course"]["shift"]) == (50, 1)
    argv = ["--epochs", "1", "--batch-size", "100", "--verbose", "0"]
    assert main(["train", "lenet5-digits.safetensors", *argv]) == 0
    assert last_model("lenet5-digits.safetensors").optimizer.iterations == 10


@pytest.mark.usefixtures("few_digits")
def test_a_worse_epoch_does_not_replace_a_better_network(capsys, tmp_path):
    """A learning rate that ruins the network: the file is as it was, and the last epoch is beside it."""
    network = tmp_path / "lenet5-digits.safetensors"
    assert main(["train", "--epochs", "3", "--verbose", "0"]) == 0
    load_model(network).save(network, notes=read_notes(network))
    before = contents(network)
    argv = ["--optimizer", "sgd", "--learning-rate", "3", "--epochs", "2"]
    status, output, _ = run(capsys, "train", "lenet5-digits.safetensors", *argv)
    assert status == 0
    assert "No epoch was better than the network in lenet5-digits.safetensors, which is as it was." in output
    assert "lenet5-digits.last.safetensors  the network after the last epoch" in output
    assert contents(network) == before
    accuracy = json.loads((tmp_path / "lenet5-digits.history.json").read_text())["val_accuracy"]
    assert len(accuracy) == 5
    assert max(accuracy[3:]) < max(accuracy[:3])
    assert load_model("lenet5-digits.last.safetensors").history.history["val_accuracy"] == accuracy


@pytest.mark.usefixtures("few_digits")
def test_a_last_network_of_another_training_is_passed_over(tmp_path):
    assert main(["train", "--epochs", "2", "--seed", "8", "--verbose", "0"]) == 0
    (tmp_path / "lenet5-digits.safetensors").rename("lenet5-digits.last.safetensors")
    argv = ["--epochs", "1", "--overwrite", "--verbose", "0"]
    os.rename("lenet5-digits.last.safetensors", "kept")
    assert main(["train", *argv]) == 0
    os.rename("kept", "lenet5-digits.last.safetensors")
    assert main(["train", "lenet5-digits.safetensors", "--epochs", "1", "--verbose", "0"]) == 0
    assert last_model("lenet5-digits.safetensors").optimizer.iterations == 14  # 2 epochs of 7 steps, not 3


def test_other_data_makes_another_file(capsys, tmp_path, few_digits, monkeypatch):
    """The network of one data set begins the training on another; its own file is not touched."""
    from fastconv.datasets import digits, fashion_mnist, mnist

    monkeypatch.setattr(mnist, "load_data", digits.load_data)
    monkeypatch.setattr(fashion_mnist, "load_data", digits.load_data)
    assert main(["train", "--epochs", "3", "--verbose", "0"]) == 0
    before = contents(tmp_path / "lenet5-digits.safetensors", tmp_path / "lenet5-digits.history.json")
    argv = ["train", "lenet5-digits.safetensors", "--data", "mnist", "--epochs", "2", "--verbose", "0"]
    assert main(argv) == 0
    assert before == contents(tmp_path / "lenet5-digits.safetensors", tmp_path / "lenet5-digits.history.json")
    assert read_notes("lenet5-digits-mnist.safetensors")["trained_on"]["data"] == "mnist"
    model = last_model("lenet5-digits-mnist.safetensors")
    assert len(model.history.history["loss"]) == 2
    assert model.optimizer.iterations == 35  # the optimizer remembers the three epochs before
    assert read_notes("lenet5-digits-mnist.safetensors")["course"]["learning_rate"] == 0.002  # not the tenth
    argv[3], argv[5] = "fashion_mnist", "1"
    assert main(argv) == 0
    assert read_notes("lenet5-digits-fashion_mnist.safetensors")["trained_on"]["classes"][9] == "Ankle boot"


@pytest.mark.usefixtures("few_digits")
def test_a_network_that_appears_meanwhile_is_not_replaced(capsys, tmp_path, monkeypatch):
    network = tmp_path / "lenet5-digits.safetensors"
    fit = Sequential.fit

    def slower(model, *args, **kwargs):
        network.write_bytes(b"of another process")
        return fit(model, *args, **kwargs)

    monkeypatch.setattr(Sequential, "fit", slower)
    status, _, errors = run(capsys, "train", "--epochs", "1", "--verbose", "0")
    assert status == 2
    assert "lenet5-digits.safetensors exists already" in errors
    assert network.read_bytes() == b"of another process"


@pytest.mark.usefixtures("few_digits")
def test_training_that_diverges_later_keeps_the_epochs_before(capsys, tmp_path):
    assert main(["train", "--epochs", "1", "--verbose", "0"]) == 0
    before = contents(tmp_path / "lenet5-digits.safetensors")
    argv = ["--optimizer", "sgd", "--learning-rate", "1e30", "--epochs", "3"]
    status, output, _ = run(capsys, "train", "lenet5-digits.safetensors", *argv)
    assert status == 1
    assert "Training diverged: the loss is not a number; nothing was saved." in output
    assert contents(tmp_path / "lenet5-digits.safetensors") == before
    assert files(tmp_path) == {"lenet5-digits.safetensors", "lenet5-digits.history.json"}


@pytest.mark.usefixtures("few_digits")
def test_diverged_training_is_not_saved(capsys, tmp_path):
    status, output, _ = run(capsys, "train", "--optimizer", "sgd", "--learning-rate", "1e30", "--epochs", "3")
    assert status == 1
    assert "Training diverged: the loss is not a number; nothing was saved. Try a smaller" in output
    assert files(tmp_path) == set()


@pytest.mark.skipif(os.name != "posix", reason="sends a POSIX signal")
def test_ctrl_c_stops_and_exits_130(tmp_path):
    command = [sys.executable, "-m", "fastconv", "train", "--epochs", "5000", "--verbose", "2"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "")
        assert any(line.startswith("Epoch 2/") for line in lines)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate()
    finally:
        process.kill()
    assert process.returncode == 130
    assert errors == ""
    assert "Stopped after" in output
    history = json.loads((tmp_path / "lenet5-digits.history.json").read_text())
    assert len(history["loss"]) >= 1
    assert last_model("lenet5-digits.safetensors").history.history == history
    expected = {"lenet5-digits.safetensors", "lenet5-digits.history.json", "lenet5-digits.last.safetensors"}
    assert files(tmp_path) <= expected


def test_shifted_batches_move_every_image_and_lose_none():
    set_random_seed(0)
    images = np.zeros((50, 8, 8, 1), np.float32)
    images[np.arange(50), 4, 4, 0] = np.arange(1, 51)
    batches = ShiftedBatches(images, np.arange(1, 51), batch_size=16, pixels=2)
    moved, labels = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    assert len(batches) == 4
    assert moved.shape == images.shape
    assert sorted(labels) == list(range(1, 51))
    np.testing.assert_array_equal(moved.max((1, 2, 3)), labels)  # each image goes with its label
    rows, columns = np.array([np.unravel_index(image.argmax(), (8, 8)) for image in moved]).T
    assert set(rows) == set(columns) == {2, 3, 4, 5, 6}
    again = np.concatenate([labels for _, labels in batches])
    assert (again != labels).any()


def test_bytes_are_scaled_once():
    """To [0, 1] for a network without a Rescaling of bytes, not at all for one with it."""
    images = np.array([0, 51, 255], np.uint8).reshape(1, 1, 3, 1)
    assert scaled(images, 1.0).ravel().tolist() == [0, np.float32(0.2), 1]
    assert scaled(images, 255.0).ravel().tolist() == [0, 51, 255]
    assert scaled(images, 1.0).dtype == scaled(images, 255.0).dtype == np.float32
    assert white_of(Sequential([Flatten()])) == 1
    assert white_of(Sequential([Rescaling(1 / 255), Flatten()])) == 255
    for shift in (Rescaling(1, offset=-0.5), Rescaling([1 / 0.2], offset=[-2.4])):  # for numbers in [0, 1]
        assert white_of(Sequential([shift, Flatten()])) == 1
    for whitening in (Rescaling(1 / 127.5, offset=-1), Rescaling([1 / (255 * 0.2)], offset=[-2.4])):
        assert white_of(Sequential([whitening, Flatten()])) == 255


def test_cool_down_lowers_the_rate_from_an_epoch_on():
    model = Sequential([Input((2,)), Dense(1)])
    model.compile("sgd", "mse")
    recorder = Rates()
    x, y = np.ones((2, 2)), np.ones((2, 1))
    model.fit(x, y, initial_epoch=2, epochs=10, callbacks=[CoolDown(0.5, 8), recorder], verbose=0)
    assert [rate for _, rate in recorder.seen] == [0.5] * 6 + [0.05] * 2
    assert model.optimizer.learning_rate == 0.05


def test_courses():
    """The cool-down is the last third, it is not begun twice, and more epochs put it off."""
    course = Course.of_epochs(0, 30, 0.002, 32, 2)
    assert course == (30, 20, 0.002, 32, 2)
    assert Course.of_epochs(5, 7, None, 32, 0)[:2] == (12, 10)
    assert course.extended(25, 10)[:2] == (35, 20)
    assert course.extended(20, 40)[:2] == (60, 20)
    assert course.extended(10, 80)[:2] == (90, 60)
    assert course.extended(19, 1)[:2] == (20, 19)
    assert course_in({"course": course._asdict()}) == course
    for damage in ({"epochs": 0}, {"shift": -1}, {"batch_size": "32"}, {"learning_rate": "fast"}):
        assert course_in({"course": {**course._asdict(), **damage}}) is None
    assert course_in({}) is course_in({"course": "of my own"}) is None


def test_a_schedule_of_the_optimizer_is_left_alone(tmp_path, capsys, few_digits, rates):
    schedule = fastconv.optimizers.schedules.ExponentialDecay(0.5, 10, 0.5)
    model = Sequential([Input((28, 28, 1)), Flatten(), Dense(10, activation="softmax")])
    model.compile(fastconv.optimizers.SGD(schedule), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.save("scheduled.safetensors")
    argv = ["train", "scheduled.safetensors", "--data", "digits"]
    assert main([*argv, "--epochs", "3", "--verbose", "0"]) == 0
    assert rates == [(epoch, pytest.approx(schedule(7 * (epoch + 1)))) for epoch in range(3)]
    status, _, error = run(capsys, *argv, "--learning-rate", "0.1")
    assert status == 2
    assert "--learning-rate: the learning rate of this SGD follows ExponentialDecay" in error


# ---- evaluate, predict, info


@pytest.fixture
def brightness():
    """A network that answers 0 for dark pictures and 1 for light ones; its input are raw bytes."""
    model = Sequential([Input((4, 4, 1)), Rescaling(1 / 255), Flatten(), Dense(2, activation="softmax")])
    model.set_weights([np.tile([[-1.0, 1.0]], (16, 1)), [8.0, -8.0]])
    model.save("brightness.safetensors")
    return "brightness.safetensors"


def write_picture(name, level, mode="L", size=(9, 7)):
    image_module = pytest.importorskip("PIL.Image")
    image_module.new(mode, size, level).save(name)


def test_predict(capsys, brightness):
    write_picture("light.png", 255)
    write_picture("dark.jpg", (0, 0, 0), "RGB")
    status, output, errors = run(capsys, "predict", brightness, "light.png", "dark.jpg", "--top", "2")
    assert status == 0
    assert output.splitlines() == [
        "light.png", "  100.00%  1", "    0.00%  0", "dark.jpg", "  100.00%  0", "    0.00%  1"
    ]  # fmt: skip
    numbers = (
        "brightness.safetensors does not say what its classes are called: these are their numbers; --data "
        "names them as in a data set\n"
    )
    assert errors == f"light.png: light background; did you mean --invert?\n{numbers}"
    status, output, errors = run(capsys, "predict", brightness, "light.png", "--invert", "--top", "1")
    assert (status, output, errors) == (0, "light.png\n  100.00%  0\n", numbers)


def test_predict_counts_transparency_as_paper(capsys, brightness):
    write_picture("clear.png", (0, 0, 0, 0), "RGBA")
    assert "  100.00%  1" in run(capsys, "predict", brightness, "clear.png")[1].splitlines()


def test_predict_names_classes_and_makes_probabilities_of_scores(capsys):
    model = Sequential([Input((2, 2, 3)), Conv2D(10, 2), Flatten()])
    scores = np.zeros(10)
    scores[[9, 1]] = np.log([6, 2])  # e to these, of 8 + 6 + 2 in all: 37.50% and 12.50%
    model.set_weights([np.zeros((2, 2, 3, 10)), scores])
    model.save("scores.safetensors")
    write_picture("boot.png", (200, 100, 0), "RGB")
    status, output, _ = run(
        capsys, "predict", "scores.safetensors", "boot.png", "--data", "fashion_mnist", "--top", "2"
    )
    assert (status, output) == (0, "boot.png\n   37.50%  Ankle boot\n   12.50%  Trouser\n")


def test_evaluate(capsys):
    """A network that always says 3 is right on the 36 threes among the 355 digits held out."""
    model = Sequential([Input((28, 28, 1)), Flatten(), Dense(10, activation="softmax")])
    bias = np.zeros(10)
    bias[3] = 1.0
    model.set_weights([np.zeros((784, 10)), bias])
    model.save("three.safetensors")
    argv = ["evaluate", "three.safetensors", "--data", "digits"]
    status, output, _ = run(capsys, *argv, "--batch-size", "100")
    # the loss is log(9 + e) - 1 for a three and log(9 + e) for any other digit
    loss = np.log(9 + np.e) - 36 / 355
    assert status == 0
    assert output == f"accuracy  {36 / 355:.2%} of the 355 test images of digits\nloss      {loss:.4f}\n"


def test_distances_are_read_as_distances(capsys):
    """A network whose outputs are distances, 0 from class 3 and 1 from all others: it always says 3."""
    codes = np.ones((10, 1))
    codes[3] = 0
    model = Sequential([Input((28, 28, 1)), Flatten(), Dense(1), RBF(10, prototypes=codes)])
    model.set_weights([np.zeros((784, 1)), np.zeros(1), codes])
    model.save("distances.safetensors")
    status, output, _ = run(capsys, "evaluate", "distances.safetensors", "--data", "digits")
    # y_D is 0 for a three and 1 for any other; the logarithm is of e^0, nine times e^-1, and e^-1 for "none"
    loss = np.log(1 + 10 / np.e) + 1 - 36 / 355
    assert status == 0
    assert output == f"accuracy  {36 / 355:.2%} of the 355 test images of digits\nloss      {loss:.4f}\n"
    write_picture("picture.png", 0)
    status, output, _ = run(capsys, "predict", "distances.safetensors", "picture.png", "--top", "2")
    assert (status, output) == (
        0,
        f"picture.png\n   {1 / (1 + 9 / np.e):.2%}  3\n    {1 / (np.e + 9):.2%}  0\n",
    )


def test_info(capsys, tmp_path, monkeypatch):
    place = tmp_path / "here" / "mnist"
    place.mkdir(parents=True)
    (place / "train-images-idx3-ubyte.gz").touch()
    monkeypatch.setenv("FASTCONV_DATA", str(tmp_path / "here"))
    status, output, _ = run(capsys, "info")
    assert status == 0
    assert re.search(rf"instruction set +{fastconv.get_isa()}\b", output)
    assert float(re.search(r"FMA peak +(\d+) GFLOP/s", output)[1]) > 0
    assert re.search(rf"^mnist +{place}$", output, re.MULTILINE)
    assert re.search(r"^cifar10 +not here", output, re.MULTILINE)


# ---- a file knows what its network was trained on


@pytest.fixture
def boots(monkeypatch, few_digits):
    """Fashion-MNIST, of which only the names are clothes."""
    from fastconv.datasets import digits, fashion_mnist

    monkeypatch.setattr(fashion_mnist, "load_data", digits.load_data)
    assert main(["train", "--data", "fashion_mnist", "--epochs", "1", "--verbose", "0"]) == 0
    return "lenet5-fashion_mnist.safetensors"


def test_what_a_file_knows(boots):
    known = read_notes(boots)["trained_on"]
    assert known["data"] == "fashion_mnist"
    assert known["classes"][9] == "Ankle boot"
    assert known["white"] == 1
    assert trained_on(boots) == ("fashion_mnist", fastconv.datasets.fashion_mnist.CLASSES, 1.0)


def test_evaluate_and_predict_go_by_the_file(capsys, boots):
    status, output, _ = run(capsys, "evaluate", boots)
    assert status == 0
    assert output.splitlines()[0].endswith(" of the 50 test images of fashion_mnist")
    write_picture("picture.png", 0)
    status, output, errors = run(capsys, "predict", boots, "picture.png", "--top", "10")
    assert (status, errors) == (0, "")
    names = [line.split("  ")[-1] for line in output.splitlines()[1:]]
    assert sorted(names) == sorted(fastconv.datasets.fashion_mnist.CLASSES)


def test_evaluate_on_what_it_was_trained_on_is_what_training_said(capsys, boots):
    history = load_model(boots).history.history
    output = run(capsys, "evaluate", boots)[1]
    assert output.startswith(f"accuracy  {history['val_accuracy'][-1]:.2%} ")


def test_data_of_other_classes_is_refused(capsys, boots):
    write_picture("picture.png", 0)
    for argv in (["evaluate", boots], ["predict", boots, "picture.png"]):
        status, output, errors = run(capsys, *argv, "--data", "digits")
        assert (status, output) == (2, "")
        assert (
            "was trained on fashion_mnist, whose classes (T-shirt/top, Trouser, Pullover, ...) are not those "
            "of digits (0, 1, 2, ...): leave --data out"
        ) in errors


def test_data_of_the_same_classes_is_another_test(capsys, few_digits, monkeypatch):
    from fastconv.datasets import digits, mnist

    monkeypatch.setattr(mnist, "load_data", digits.load_data)
    assert main(["train", "--epochs", "1", "--verbose", "0"]) == 0
    status, output, _ = run(capsys, "evaluate", "lenet5-digits.safetensors", "--data", "mnist")
    assert status == 0
    assert "of the 50 test images of mnist" in output


@pytest.mark.parametrize(
    "notes", [{}, {"trained_on": "my photographs"}, {"trained_on": {"data": "imagenet"}}]
)
def test_files_of_ones_own_do_not_say(brightness, notes):
    load_model(brightness).save(brightness, notes=notes)
    assert trained_on(brightness) is None


def test_the_file_says_how_large_pixels_are(capsys):
    """The network has learnt on bytes, and nothing in its layers tells."""
    model = Sequential([Input((28, 28, 1)), Flatten(), Dense(10, activation="softmax")])
    kernel = np.zeros((784, 10))
    kernel[0] = np.arange(10) / 100
    model.set_weights([kernel, np.zeros(10)])
    known = {"data": "digits", "classes": list("0123456789")}
    write_picture("white.png", 255, size=(28, 28))
    shares = []
    for white in (1, 255):
        model.save("m.safetensors", notes={"trained_on": {**known, "white": white}})
        output = run(capsys, "predict", "m.safetensors", "white.png", "--top", "1")[1]
        powers = np.exp(white * np.arange(10) / 100)
        assert output == f"white.png\n  {powers[9] / powers.sum():7.2%}  9\n"
        shares.append(output)
    assert shares[0] != shares[1]


def test_a_single_sigmoid_tells_two_classes_apart(capsys):
    model = Sequential([Input((2, 2, 1)), Flatten(), Dense(1, activation="sigmoid")])
    model.set_weights([np.zeros((4, 1)), [np.log(3)]])
    model.save("m.safetensors")
    write_picture("a.png", 0)
    output = run(capsys, "predict", "m.safetensors", "a.png")[1]
    assert output == "a.png\n   75.00%  1\n   25.00%  0\n"


# ---- what can go wrong


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["train", "lenet"], "unknown model 'lenet'; did you mean 'lenet5'?"),
        (["train", "absent.safetensors"], "there is no file absent.safetensors"),
        (["train", "--optimizer", "adan"], "unknown optimizer 'adan'; did you mean 'adam'?"),
        (["train", "--save", "nowhere/m.safetensors"], "there is no directory"),
        (["train", "--save", "m.keras"], "--save m.keras: the name of a model file must end in .safetensors"),
        (["train", "--save", "sub.safetensors"], "is a directory"),
        (["evaluate", "absent.safetensors"], "there is no file absent.safetensors"),
        (["evaluate", "text.safetensors"], "text.safetensors is damaged, or no safetensors file"),
        (
            ["evaluate", "brightness.safetensors", "--data", "digits"],
            "the network takes images (4, 4, 1), but those of digits are (28, 28, 1)",
        ),
        (
            ["train", "brightness.safetensors", "--data", "digits"],
            "the network takes images (4, 4, 1), but those of digits are (28, 28, 1)",
        ),
        (
            ["evaluate", "brightness.safetensors"],
            "brightness.safetensors does not say what it was trained on: add --data with one of",
        ),
        (
            ["train", "brightness.safetensors"],
            "brightness.safetensors does not say what it was trained on: add --data with one of",
        ),
        (["predict", "brightness.safetensors", "absent.png"], "there is no file absent.png"),
        (["predict", "brightness.safetensors", "text.safetensors"], "text.safetensors is not a picture"),
        (["predict", "brightness.safetensors", "sub.safetensors"], "sub.safetensors is a directory, not a"),
        (
            ["predict", "brightness.safetensors", "absent.png", "--data", "digits"],
            "brightness.safetensors tells 2 classes apart, but digits has 10",
        ),
        (
            ["evaluate", "few.safetensors", "--data", "digits"],
            "the output of the network is (None, 3), but digits has 10 classes: choose other --data",
        ),
        (
            ["train", "few.safetensors", "--data", "digits"],
            "the output of the network is (None, 3), but digits has 10 classes: choose other --data",
        ),
        (["predict", "score.safetensors", "absent.png"], "score.safetensors does not tell classes apart"),
        (["train", "--shift", "28"], "--shift 28: the images have 28 pixels a side, so at most 27 keep them"),
        (["train", "--threads", "5000"], "number of threads must be a whole number from 1 to 1024"),
        (["train", "sub.safetensors"], "sub.safetensors is a directory, not a model file"),
        (["bench", "sub.safetensors"], "sub.safetensors is a directory, not a model file"),
        (["bench", "text.safetensors"], "text.safetensors is damaged, or no safetensors file"),
        (["evaluate", "weights.safetensors"], "weights.safetensors holds weights alone, no layers"),
        (["evaluate", "model.h5"], "there is no file model.h5"),
        (
            ["evaluate", "model.txt"],
            "model.txt: the name of a model file must end in .safetensors, or .keras",
        ),
        (["predict", "lenet5", "absent.png"], "lenet5: the name of a model file must end in .safetensors"),
        (
            ["predict", "vector.safetensors", "absent.png"],
            "vector.safetensors does not take images: its input is (None, 3)",
        ),
    ],
    ids=" ".join,
)
def test_errors_are_one_line_and_exit_2(capsys, tmp_path, brightness, argv, message):
    (tmp_path / "text.safetensors").write_text("no network here")
    (tmp_path / "sub.safetensors").mkdir()
    Sequential([Input((3,)), Dense(1)]).save("vector.safetensors")
    Sequential([Input((2, 2, 1)), Flatten(), Dense(1)]).save("score.safetensors")
    Sequential([Input((28, 28, 1)), Flatten(), Dense(3)]).save("few.safetensors")
    Sequential([Input((3,)), Dense(1)]).save_weights("weights.safetensors")
    before = files(tmp_path)
    status, output, errors = run(capsys, *argv)
    assert (status, output) == (2, "")
    assert errors.startswith("fastconv: error: ")
    assert message in errors
    assert errors.count("\n") == 1
    assert files(tmp_path) == before


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "COMMAND"),
        (["fly"], "invalid choice: 'fly'"),
        (["train", "--epochs", "0"], "--epochs: '0' is not a whole number of at least 1"),
        (["train", "--epochs", "two"], "--epochs: 'two' is not a whole number"),
        (["train", "--learning-rate", "-1"], "--learning-rate: '-1' is not a number greater than 0"),
        (["train", "--learning-rate", "nan"], "--learning-rate: 'nan' is not a number greater than 0"),
        (["train", "--data", "imagenet"], "--data: invalid choice: 'imagenet'"),
        (["predict", "m.safetensors"], "IMAGE"),
    ],
    ids=" ".join,
)
def test_wrong_usage(capsys, argv, message):
    with pytest.raises(SystemExit) as caught:
        main(argv)
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


def test_missing_data_set_lists_the_places(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "fastconv.datasets.search.download", lambda *_: (_ for _ in ()).throw(OSError("no network"))
    )
    status, output, errors = run(capsys, "train", "--data", "mnist")
    assert (status, output) == (2, "")
    assert f"{tmp_path}/cache/mnist: no such directory" in errors
    assert "Traceback" not in errors


def test_missing_pillow(capsys, brightness, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)  # makes `from PIL import Image` an ImportError
    status, _, errors = run(capsys, "predict", brightness, "a.png")
    assert status == 2
    assert (
        errors == "fastconv: error: reading pictures needs Pillow: python -m pip install 'fastconv[images]'\n"
    )


def test_version_and_help(capsys):
    for argv, expected in (
        (["--version"], f"fastconv {fastconv.__version__}\n"),
        (["--help"], "FASTCONV_DATA"),
    ):
        with pytest.raises(SystemExit) as caught:
            main(argv)
        assert caught.value.code == 0
        assert expected in capsys.readouterr().out
    for command in ("train", "evaluate", "predict", "bench", "info"):
        with pytest.raises(SystemExit) as caught:
            main([command, "--help"])
        assert caught.value.code == 0
        assert len(capsys.readouterr().out.splitlines()) > 5


BUFFERED = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}


@pytest.mark.parametrize(
    "buffering", [BUFFERED, {**BUFFERED, "PYTHONUNBUFFERED": "1"}], ids=["buffered", "not"]
)
@pytest.mark.parametrize("command", ["info", "--help", "--version"])
def test_python_dash_m_into_a_closed_pipe(command, buffering):
    """As in ``fastconv info | head -0``."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-m", "fastconv", command], env=buffering, **pipes) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs Linux' device that is always full")
@pytest.mark.parametrize(
    "buffering", [BUFFERED, {**BUFFERED, "PYTHONUNBUFFERED": "1"}], ids=["buffered", "not"]
)
def test_a_full_disk_is_told_in_a_line(buffering):
    with open("/dev/full", "wb") as full:
        command = [sys.executable, "-m", "fastconv", "info"]
        done = subprocess.run(command, env=buffering, stdout=full, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (2, "fastconv: error: [Errno 28] No space left on device\n")


def test_too_little_memory_is_told_in_a_line(capsys):
    status, _, errors = run(capsys, "bench", "--batch-size", "100000000000")
    assert status == 2
    assert errors.startswith("fastconv: error: not enough memory: Unable to allocate ")
    assert errors.count("\n") == 1


# ---- an environment that cannot be


SETTINGS = [
    ("FASTCONV_ISA", "avx3", "FASTCONV_ISA: unknown instruction set 'avx3'"),
    (
        "FASTCONV_NUM_THREADS",
        "abc",
        "FASTCONV_NUM_THREADS='abc': number of threads must be a whole number from",
    ),
    ("FASTCONV_NUM_THREADS", "2.5", "FASTCONV_NUM_THREADS='2.5': number of threads must be a whole number"),
    ("FASTCONV_NUM_THREADS", "-1", "FASTCONV_NUM_THREADS='-1': number of threads must be a whole number"),
    ("FASTCONV_NUM_THREADS", "0", "FASTCONV_NUM_THREADS='0': number of threads must be a whole number"),
]


def run_with(setting: str, value: str, *command: str) -> subprocess.CompletedProcess:
    environment = os.environ | {setting: value}
    return subprocess.run([sys.executable, *command], env=environment, capture_output=True, text=True)


@pytest.mark.parametrize(("setting", "value", "message"), SETTINGS)
def test_a_wrong_setting_is_told_in_a_line(tmp_path, setting, value, message):
    script = tmp_path / "fastconv"  # as pip makes it
    script.write_text("import sys\nfrom fastconv.cli import main\nsys.exit(main())\n")
    for command in (["-m", "fastconv", "info"], [str(script), "info"]):
        done = run_with(setting, value, *command)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith(f"fastconv: error: {message}")
        assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(("setting", "value", "message"), SETTINGS)
def test_a_wrong_setting_is_an_error_of_the_import(setting, value, message):
    done = run_with(setting, value, "-c", "import fastconv", "-m", "fastconv")
    assert done.returncode == 1
    assert f"\nValueError: {message}" in done.stderr
