"""The code in README and other documents runs as it is written."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fastconv

CHECKOUT = Path(__file__).parents[1]
DOCUMENTS = sorted(
    path for path in CHECKOUT.rglob("*.md") if not {"build", ".venv"} & set(path.relative_to(CHECKOUT).parts)
)

pytestmark = pytest.mark.skipif(
    not (CHECKOUT / "docs").is_dir(), reason="the documents are in the checkout alone"
)


def blocks(path, language):
    """The blocks of code in one language, in their order."""
    return re.findall(
        rf"^```{language}\n(.*?)^```$", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )


# ---- README


def digits_as(shape):
    """``load_data`` of digits, as images of a shape: stands in for a data set that need not be here."""
    (x_train, y_train), (x_test, y_test) = fastconv.datasets.digits.load_data()

    def images(x):
        x = x.reshape(*x.shape, 1)
        edge = (shape[0] - 28) // 2
        x = np.pad(x, [(0, 0), (edge, edge), (edge, edge), (0, 0)])
        return (
            np.broadcast_to(x, (*x.shape[:3], shape[2])).reshape(len(x), *shape[: 2 + (shape[2] > 1)]).copy()
        )

    return (images(x_train), y_train), (images(x_test), y_test)


def test_the_readmes_python_runs_in_order(tmp_path, monkeypatch, capsys):
    """In one session, on 1,442 digits instead of Fashion-MNIST and CIFAR-10; nothing else is changed."""
    pytest.importorskip("matplotlib", reason="pictures need the extra 'plot'")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(fastconv.datasets.fashion_mnist, "load_data", lambda: digits_as((28, 28, 1)))
    monkeypatch.setattr(fastconv.datasets.cifar10, "load_data", lambda: digits_as((32, 32, 3)))
    fastconv.utils.set_random_seed(1)
    session = {}
    code = blocks(CHECKOUT / "README.md", "python")
    assert len(code) == 12
    for number, block in enumerate(code, 1):
        exec(compile(block, f"README.md, block {number}", "exec"), session)
    assert (tmp_path / "fashion.safetensors").is_file()
    assert session["model"].evaluate(session["x_test"], session["y_test"], verbose=0)[1] > 0.9
    assert session["residual"].history.history["accuracy"][-1] > 0.9
    assert (tmp_path / "residual.svg").is_file()
    assert session["new"].history.history["accuracy"][-1] > 0.95
    assert session["dnn"].history.history["val_accuracy"][-1] > 0.9
    assert session["features"].shape == (355, 4, 4, 10)
    seen = session["seen"]
    assert seen.values["relu3"].shape == seen.gradients["relu3"].shape
    assert seen.gradients[session["net"].input].shape == (8, 32, 32, 3)
    right = (
        session["small"].predict(session["images"][..., None] / 255, verbose=0).argmax(1) == session["digits"]
    )
    assert right.mean() > 0.7
    assert session["mean"].shape == session["std"].shape == (100, 10)
    assert 'Model: "lenet5"' in capsys.readouterr().out


def test_the_layer_in_architecture_learns():
    session = {}
    (code,) = blocks(CHECKOUT / "docs" / "architecture.md", "python")
    exec(compile(code, "docs/architecture.md", "exec"), session)
    model = session["model"]
    model.compile(fastconv.optimizers.SGD(0.2), "mse")
    x = np.random.default_rng(0).normal(size=(32, 4))
    losses = model.fit(x, 3 * x, epochs=40, verbose=0).history["loss"]
    assert losses[-1] < 0.05 * losses[0]
    assert fastconv.gradcheck(session["Scale"](), x[:2]).passed


# ---- all documents


def test_there_are_documents():
    assert {"README.md", "CONTRIBUTING.md"} <= {path.name for path in DOCUMENTS}
    assert len(DOCUMENTS) > 8


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(CHECKOUT)))
def test_code_compiles_and_commands_exist(path):
    for block in blocks(path, "python"):
        for called in public_names(ast.parse(block)):
            value = fastconv
            for name in called:
                value = getattr(value, name)
    for block in blocks(path, "sh"):
        for command in commands(block):
            check_command(command)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(CHECKOUT)))
def test_files_that_are_linked_exist(path):
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if not re.match(r"https?:|#|mailto:", link):
            assert (path.parent / link.partition("#")[0]).exists(), link


def public_names(tree):
    """What of fastconv a program names: ("layers", "Dense") of ``keras.layers.Dense(2)``."""
    for node in ast.walk(tree):
        names = []
        while isinstance(node, ast.Attribute):
            names.insert(0, node.attr)
            node = node.value
        if names and isinstance(node, ast.Name) and node.id in ("fc", "keras", "fastconv"):
            yield names


def commands(block):
    """The commands of a block of shell, each a list of words."""
    lines = [shlex.split(line, comments=True) for line in block.splitlines()]
    for line in filter(None, lines):
        command = []
        for word in [*line, "&&"]:
            if word == "&&":
                yield command
                command = []
            else:
                command.append(word)


def check_command(words):
    """That the script, module or subcommand is there, and has the options that it is given."""
    options = [word for word in words if word.startswith("--") and len(word) > 2]
    if words[0] == "fastconv":
        words = ["python", "-m", *words]
    if words[0] != "python":
        assert words[0] in (".", "bash", "cc", "ruff", "mypy", "export"), words
        return
    if words[1] == "-m" and words[2].split(".")[0] not in ("fastconv", "benchmarks"):
        assert words[2] in ("pip", "venv", "pytest", "build"), words
        return
    if words[1] == "-m":
        program = words[1 : 4 if words[2] == "fastconv" else 3]
    else:
        assert (CHECKOUT / words[1]).is_file(), words
        program = [words[1]]
    if options:
        command = [sys.executable, *program, "--help"]
        done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        for option in options:
            assert option.partition("=")[0] in done.stdout, words
