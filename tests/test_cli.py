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
from fastconv.cli import main
from fastconv.cli.cool_down import CoolDown
from fastconv.cli.data import scaled
from fastconv.cli.shifts import ShiftedBatches
from fastconv.layers import RBF, Conv2D, Dense, Flatten, Input, Rescaling
from fastconv.models import Sequential, load_model
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


# ---- train


def test_train_without_arguments(capsys, tmp_path):
    """The first thing a newcomer sees: LeNet-5 learns digits in seconds and is right on 98% of the others."""
    status, output, errors = run(capsys, "train")
    assert (status, errors) == (0, "")
    assert "C3 (Conv2D)" in output
    assert "61,706" in output
    assert len(re.findall(r"accuracy: \d\.\d+.*val_accuracy: \d\.\d+", output)) == 30
    assert "Try next:\n  fastconv predict lenet5-digits.safetensors PICTURE.png" in output
    assert str(tmp_path) in output
    assert float(re.search(r"Trained for ([\d.]+) s", output)[1]) < 60  # about 3 where nothing else runs
    accuracy = float(re.search(r"Held-out accuracy: ([\d.]+)% of the 355 images", output)[1])
    assert accuracy >= 98

    assert files(tmp_path) == {"lenet5-digits.safetensors", "lenet5-digits.history.json"}
    history = json.loads((tmp_path / "lenet5-digits.history.json").read_text())
    assert sorted(history) == ["accuracy", "loss", "val_accuracy", "val_loss"]
    assert {len(values) for values in history.values()} == {30}
    assert f"{history['val_accuracy'][-1]:.2%}" == f"{accuracy:.2f}%"

    status, output, _ = run(capsys, "evaluate", "lenet5-digits.safetensors")
    assert (status, output.split()[:2]) == (0, ["accuracy", f"{accuracy:.2f}%"])


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
    assert files(tmp_path) == {"my.safetensors", "my.history.json"}
    model = load_model("my.safetensors")
    assert type(model.optimizer).__name__ == "SGD"
    assert model.optimizer.learning_rate == 0.25  # not the cooled down one
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
    first = load_model("lenet5-digits.safetensors")
    status, output, _ = run(capsys, "train", "lenet5-digits.safetensors", "--epochs", "3", "--verbose", "2")
    assert status == 0
    assert re.findall(r"Epoch (\d/\d)", output) == ["3/5", "4/5", "5/5"]
    second = load_model("lenet5-digits.safetensors")
    assert second.optimizer.iterations == first.optimizer.iterations * 5 / 2
    history = json.loads((tmp_path / "lenet5-digits.history.json").read_text())
    assert history == second.history.history
    assert len(history["loss"]) == 5
    assert history["loss"][:2] == first.history.history["loss"]
    assert history["loss"][4] < history["loss"][0]
    main(["train", "lenet5-digits.safetensors", "--epochs", "1", "--optimizer", "adam", "--verbose", "0"])
    assert type(load_model("lenet5-digits.safetensors").optimizer).__name__ == "Adam"


@pytest.mark.usefixtures("few_digits")
def test_diverged_training_is_not_saved(capsys, tmp_path):
    status, output, _ = run(capsys, "train", "--optimizer", "sgd", "--learning-rate", "1e30", "--epochs", "3")
    assert status == 1
    assert "Training diverged: the loss is not a number. Nothing was saved; try a smaller" in output
    assert files(tmp_path) == set()


@pytest.mark.skipif(os.name != "posix", reason="sends a POSIX signal")
def test_ctrl_c_saves_and_exits_130(tmp_path):
    command = [sys.executable, "-m", "fastconv", "train", "--epochs", "5000", "--verbose", "2"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "")
        assert any(line.startswith("Epoch 2/") for line in lines)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 130
    assert errors == ""
    assert "Stopped after" in output
    history = json.loads((tmp_path / "lenet5-digits.history.json").read_text())
    assert len(history["loss"]) >= 1
    assert load_model(tmp_path / "lenet5-digits.safetensors").history.history == history
    assert files(tmp_path) == {"lenet5-digits.safetensors", "lenet5-digits.history.json"}


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
    plain, rescaling = Sequential([Flatten()]), Sequential([Rescaling(1 / 255), Flatten()])
    assert scaled(images, plain).ravel().tolist() == [0, np.float32(0.2), 1]
    assert scaled(images, rescaling).ravel().tolist() == [0, 51, 255]
    for shift in (Rescaling(1, offset=-0.5), Rescaling([1 / 0.2], offset=[-2.4])):  # for numbers in [0, 1]
        assert scaled(images, Sequential([shift, Flatten()])).ravel().tolist() == [0, np.float32(0.2), 1]
    for whitening in (Rescaling(1 / 127.5, offset=-1), Rescaling([1 / (255 * 0.2)], offset=[-2.4])):
        assert scaled(images, Sequential([whitening, Flatten()])).ravel().tolist() == [0, 51, 255]
    assert scaled(images, plain).dtype == scaled(images, rescaling).dtype == np.float32


def test_cool_down_lowers_the_rate_for_the_last_quarter():
    model = Sequential([Input((2,)), Dense(1)])
    model.compile("sgd", "mse")
    model.optimizer.learning_rate = 0.5
    rates = []
    recorder = fastconv.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: rates.append(model.optimizer.learning_rate)
    )
    x, y = np.ones((2, 2)), np.ones((2, 1))
    model.fit(x, y, initial_epoch=2, epochs=10, callbacks=[CoolDown(0.25, 2), recorder], verbose=0)
    assert rates == [0.5] * 6 + [0.05] * 2
    assert model.optimizer.learning_rate == 0.5


def test_cool_down_leaves_a_schedule_alone(tmp_path, capsys):
    schedule = fastconv.optimizers.schedules.ExponentialDecay(0.5, 10, 0.5)
    model = Sequential([Input((2,)), Dense(1)])
    model.compile(fastconv.optimizers.SGD(schedule), "mse")
    model.fit(np.ones((2, 2)), np.ones((2, 1)), epochs=4, callbacks=[CoolDown(0.5)], verbose=0)
    assert model.optimizer.learning_rate == schedule(4)
    model.save(tmp_path / "scheduled.safetensors")
    status, _, error = run(capsys, "train", str(tmp_path / "scheduled.safetensors"), "--learning-rate", "0.1")
    assert status != 0
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
    assert errors == "light.png: light background; did you mean --invert?\n"
    status, output, errors = run(capsys, "predict", brightness, "light.png", "--invert", "--top", "1")
    assert (status, output, errors) == (0, "light.png\n  100.00%  0\n", "")


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
    status, output, _ = run(capsys, "evaluate", "three.safetensors", "--batch-size", "100")
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
    status, output, _ = run(capsys, "evaluate", "distances.safetensors")
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
    status, output, _ = run(capsys, "bench", "distances.safetensors", "--seconds", "0.01")
    assert status == 0
    assert "(RBF)" in output


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
            ["evaluate", "brightness.safetensors"],
            "the network takes images (4, 4, 1), but those of digits are (28, 28, 1)",
        ),
        (["train", "brightness.safetensors"], "the network takes images (4, 4, 1)"),
        (["predict", "brightness.safetensors", "absent.png"], "absent.png"),
        (["predict", "brightness.safetensors", "text.safetensors"], "text.safetensors"),
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
    for command in ("train", "evaluate", "predict", "info"):
        with pytest.raises(SystemExit):
            main([command, "--help"])
        assert len(capsys.readouterr().out.splitlines()) > 5


def test_python_dash_m_into_a_closed_pipe():
    """As in ``fastconv info | head -0``."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-m", "fastconv", "info"], **pipes) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


# ---- an environment that cannot be


SETTINGS = [
    ("FASTCONV_ISA", "avx3", "FASTCONV_ISA: unknown instruction set 'avx3'"),
    ("FASTCONV_NUM_THREADS", "many", "FASTCONV_NUM_THREADS='many': "),
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
