"""The examples run as they stand, and reach what they promise."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fastconv.applications import ConvNetJSCifar10, CS231nNet
from fastconv.models import read_notes

EXAMPLES = Path(__file__).parent.parent / "examples"


def run_example(name: str, *options: str) -> str:
    command = [sys.executable, "-W", "error", str(EXAMPLES / name), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
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


@pytest.mark.parametrize("name", ["mnist_lenet5", "fashion_mnist_cnn"])
def test_scripts_of_the_long_runs(name, tmp_path):
    """On a few images: that the results are written, not what they are."""
    script = (EXAMPLES / f"{name}.py").read_text()
    dataset = re.search(r"datasets\.(\w+)\.load_data", script)[1]
    if "not here" in re.search(rf"^{dataset} .*$", _fastconv_info(), re.MULTILINE)[0]:
        pytest.skip(f"{dataset} is not on this machine")
    output = run_example(
        f"{name}.py", "--limit", "120", "--epochs", "2", "--results", str(tmp_path / "results")
    )
    assert "results are in" in output
    facts = json.loads((tmp_path / "results" / f"{name}.json").read_text())
    assert "--limit 120" in facts["command"]
    assert list(facts["history"]) == ["accuracy", "loss", "val_accuracy", "val_loss"]
    assert len(facts["history"]["val_loss"]) == 2


@pytest.mark.parametrize(
    ("script", "options", "result"),
    [
        ("cifar10_cs231n", [], "cifar10_cs231n"),
        ("cifar10_convnetjs", ["--recipe", "demo"], "cifar10_convnetjs_demo"),
        ("cifar10_convnetjs", ["--recipe", "ours"], "cifar10_convnetjs_ours"),
    ],
)
def test_scripts_that_make_pretrained_weights(script, options, result, tmp_path):
    """On a few images: that results and weights are written, and twice the same ones."""
    if "not here" in re.search(r"^cifar10 .*$", _fastconv_info(), re.MULTILINE)[0]:
        pytest.skip("cifar10 is not on this machine")
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
    assert (notes["data"], notes["input_shape"], notes["classes"]) == ("cifar10", [32, 32, 3], 10)
    make = CS231nNet if script == "cifar10_cs231n" else ConvNetJSCifar10
    one, other = (make(weights=path).get_weights() for path in weights)
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_one_cycle(tmp_path):
    if "not here" in re.search(r"^fashion_mnist .*$", _fastconv_info(), re.MULTILINE)[0]:
        pytest.skip("fashion_mnist is not on this machine")
    output = run_example(
        "one_cycle.py", "--limit", "600", "--epochs", "2", "--seeds", "2", "--results", str(tmp_path)
    )
    assert "the range test suggests 0.0" in output
    curves = json.loads((tmp_path / "one_cycle.json").read_text())["history"]["val_accuracy"]
    shapes = [(len(curve), len(curve[0])) for curve in curves.values()]
    assert shapes == [(2, 2)] * 4 + [(2, 1)] * 2
    assert [name.split()[0] for name in curves] == ["constant"] * 4 + ["1cycle"] * 2


def _fastconv_info() -> str:
    return subprocess.run([sys.executable, "-m", "fastconv", "info"], capture_output=True, text=True).stdout
