"""The examples run as they stand, and reach what they promise."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import fastconv as fc
from fastconv.applications import ConvNetJSCifar10, CS231nNet, LeNet5
from fastconv.models import read_notes

EXAMPLES = Path(__file__).parent.parent / "examples"


# What each of the scripts that keep weights trains, by the name of its results.
MAKE = {
    "mnist_lenet5": LeNet5,
    "mnist_lenet5_1998": partial(LeNet5, variant="1998"),
    "cifar10_cs231n": CS231nNet,
    "cifar10_convnetjs_demo": ConvNetJSCifar10,
    "cifar10_convnetjs_ours": ConvNetJSCifar10,
}


def run_example(name: str, *options: str, folder: Path | None = None) -> str:
    command = [sys.executable, "-W", "error", str(EXAMPLES / name), *options]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_train_lenet():
    output = run_example("train_lenet.py")
    assert "Total params: 61,706" in output
    assert float(re.findall(r"val_accuracy: ([\d.]+)", output)[-1]) > 0.95
    assert len(re.findall(r"a (\d): it says \1, with probability", output)) >= 4


def test_loop_by_hand():
    output = run_example("loop_by_hand.py")
    losses = [float(loss) for loss in re.findall(r"loss ([\d.]+)", output)]
    assert len(losses) == 10
    assert losses[-1] < 0.1 < losses[0]
    assert float(re.findall(r"right on ([\d.]+)%", output)[-1]) > 95


@pytest.mark.parametrize("data", ["digits", "cifar10"])
def test_residual_network(data, tmp_path):
    if data == "cifar10":
        _skip_without_data("residual_network", data)
    picture = tmp_path / "model.svg"
    few = ("--data", data, "--limit", "100", "--epochs", "2", "--plot", str(picture))
    output = run_example("residual_network.py", *few)
    counts = {"digits": "78,378", "cifar10": "78,666"}  # of digits, conv1 has 9·2·16 weights less
    assert f"Total params: {counts[data]}" in output
    losses = [float(loss) for loss in re.findall(r" loss: ([\d.]+)", output)]
    assert losses[1] < losses[0]
    assert re.search(r"right on [\d.]+% of the test images", output)
    assert "stack3_block1_add (Add)" in picture.read_text(encoding="utf-8")


def test_siamese_digits():
    output = run_example("siamese_digits.py", "--epochs", "2", "--pairs", "1800")
    assert (
        float(re.findall(r"right on ([\d.]+)% of 300 pairs", output)[0]) > 70
    )  # it is 50 for one that guesses


def test_two_heads():
    output = run_example("two_heads.py", "--epochs", "2", "--limit", "300")
    for name in ("digit_loss", "place_loss", "val_digit_accuracy", "val_place_mae"):
        assert len(re.findall(rf" {name}: [\d.]+", output)) == 2
    assert (
        float(re.findall(r"off by ([\d.]+) pixels", output)[0]) < 3
    )  # it is 3.2 for one that guesses the middle


def test_exchange_weights(tmp_path):
    pytest.importorskip("h5py", reason="files for Keras are written by h5py")
    places = ("--keras", str(tmp_path / "net.keras"), "--torch", str(tmp_path / "net.safetensors"))
    output = run_example("exchange_weights.py", *places)
    right = [float(percent) for percent in re.findall(r"([\d.]+)%", output)]
    assert len(right) == 2
    assert right[0] == right[1] > 85
    assert "the same weights" in output
    assert {path.name for path in tmp_path.iterdir()} == {"net.keras", "net.safetensors"}


def test_unet_shapes():
    output = run_example("unet_shapes.py", "--epochs", "3", "--images", "240")
    shares = [float(share) for share in re.findall(r"intersection over union ([\d.]+)", output)]
    assert len(shares) == 3
    assert shares[0] > 0.85  # of the background; it is 0.72 where all pixels are called so
    assert len(re.findall(r"^[.o#]{32}   [.o#]{32}$", output, re.MULTILINE)) == 16


def test_look_inside(tmp_path):
    pytest.importorskip("matplotlib", reason="pictures need the extra 'plot'")
    output = run_example("look_inside.py", str(tmp_path / "pictures"))
    assert float(re.findall(r"right on ([\d.]+)%", output)[0]) > 95
    assert "features of F6: (355, 84)" in output
    pictures = sorted(path.name for path in (tmp_path / "pictures").iterdir())
    assert len(pictures) == 10
    assert "activation_strip.png" in pictures


@pytest.mark.parametrize(
    ("name", "options", "results"),
    [
        ("mnist_lenet5", [], "mnist_lenet5"),
        ("fashion_mnist_cnn", [], "fashion_mnist_cnn"),
        ("fashion_mnist_cnn", ["--recipe", "ours"], "fashion_mnist_cnn_ours"),
        ("cifar10_cnn", [], "cifar10_cnn"),
    ],
)
def test_scripts_of_the_long_runs(name, options, results, tmp_path):
    """On a few images: that results and model are written, not what they are."""
    _skip_without_data(name)
    saved = tmp_path / "models" / "trained.safetensors"
    options = [*options, "--limit", "120", "--epochs", "2", "--results", str(tmp_path / "results")]
    if "--save" in (EXAMPLES / f"{name}.py").read_text():
        options += ["--save", str(saved)]
    output = run_example(f"{name}.py", *options)
    assert "results are in" in output
    facts = json.loads((tmp_path / "results" / f"{results}.json").read_text())
    assert "--limit 120" in facts["command"]
    assert facts["CPU seconds"] > 0
    curves = facts["history"]
    assert list(curves)[:2] == ["accuracy", "loss"]
    assert all(len(curves[name]) == 2 for name in ("accuracy", "loss", "val_accuracy", "val_loss"))
    assert "seed" in facts
    if "--save" in options:
        model = fc.models.load_model(saved)
        assert f"Total params: {model.count_params():,}" in output
        assert model.predict(np.zeros((1, *model.input_shape[1:])), verbose=0).shape == (1, 10)


@pytest.mark.parametrize(
    ("script", "options", "result"),
    [
        ("mnist_lenet5", [], "mnist_lenet5"),
        ("mnist_lenet5", ["--variant", "1998"], "mnist_lenet5_1998"),
        ("cifar10_cs231n", [], "cifar10_cs231n"),
        ("cifar10_convnetjs", ["--recipe", "demo"], "cifar10_convnetjs_demo"),
        ("cifar10_convnetjs", ["--recipe", "ours"], "cifar10_convnetjs_ours"),
    ],
)
def test_scripts_that_make_pretrained_weights(script, options, result, tmp_path):
    """On a few images: that results and weights are written, and twice the same ones."""
    dataset = _skip_without_data(script)
    weights = [tmp_path / f"{i}.safetensors" for i in (1, 2)]
    for path in weights:
        few = ("--limit", "150", "--epochs", "2", "--results", str(tmp_path), "--weights", str(path))
        output = run_example(f"{script}.py", *options, *few)
        assert f"the weights are in {path}" in output
    facts = json.loads((tmp_path / f"{result}.json").read_text())
    assert len(facts["history"]["val_accuracy"]) == 2
    assert facts["seed"] == 1
    notes = read_notes(weights[0])
    assert notes["test accuracy"] == round(facts["history"]["val_accuracy"][-1], 4)
    assert (notes["data"], notes["classes"]) == (dataset, 10)
    one, other = (MAKE[result](weights=path).get_weights() for path in weights)
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_one_cycle(tmp_path):
    _skip_without_data("one_cycle")
    output = run_example(
        "one_cycle.py", "--limit", "600", "--epochs", "2", "--seeds", "2", "--results", str(tmp_path)
    )
    assert "the range test suggests the learning rate 0.0" in output
    curves = json.loads((tmp_path / "one_cycle.json").read_text())["history"]["val_accuracy"]
    shapes = [(len(curve), len(curve[0])) for curve in curves.values()]
    assert shapes == [(2, 2)] * 4 + [(2, 1)] * 2
    assert [name.split()[0] for name in curves] == ["constant"] * 4 + ["1cycle"] * 2


def test_scripts_leave_the_documents_alone(tmp_path):
    """Without ``--results`` they write where they are run."""
    _skip_without_data("mnist_lenet5")
    documents = EXAMPLES.parent / "docs"
    before = {path: path.stat().st_mtime_ns for path in documents.rglob("*")}
    output = run_example("mnist_lenet5.py", "--limit", "120", "--epochs", "1", folder=tmp_path)
    assert f"results are in {Path('results') / 'mnist_lenet5'}.*" in output
    assert (tmp_path / "results" / "mnist_lenet5.json").is_file()
    assert {path: path.stat().st_mtime_ns for path in documents.rglob("*")} == before


def _skip_without_data(name: str, dataset: str | None = None) -> str:
    if dataset is None:
        dataset = re.search(r"datasets\.(\w+)\.load_data", (EXAMPLES / f"{name}.py").read_text())[1]
    info = subprocess.run([sys.executable, "-m", "fastconv", "info"], capture_output=True, text=True).stdout
    if "not here" in re.search(rf"^{dataset} .*$", info, re.MULTILINE)[0]:
        pytest.skip(f"{dataset} is not on this machine")
    return dataset
