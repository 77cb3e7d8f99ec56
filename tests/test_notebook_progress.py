"""Bars in a notebook, with a stand-in for the part of IPython that shows them."""

from __future__ import annotations

import itertools
import sys
import types

import numpy as np
import pytest

from fastconv import layers
from fastconv.models import Sequential
from fastconv.models.progress import EpochBars

X, Y = np.ones((6, 2)), np.zeros(6)


@pytest.fixture
def outputs(monkeypatch):
    """What a notebook would keep of a cell: a list of outputs, each the text that it shows last."""
    kept = []
    ticks = itertools.count()
    monkeypatch.setattr("tqdm.std.time", lambda: next(ticks) / 10)

    class Handle:
        def __init__(self, text):
            self.place = len(kept)
            kept.append(text)

        def update(self, bundle, *, raw):
            assert raw
            kept[self.place] = bundle["text/plain"]

    def display(bundle, *, raw, display_id):
        assert raw
        assert display_id
        return Handle(bundle["text/plain"])

    shell = types.SimpleNamespace(kernel=object())
    package, module = types.ModuleType("IPython"), types.ModuleType("IPython.display")
    package.get_ipython, package.display, module.display = (lambda: shell), module, display
    monkeypatch.setitem(sys.modules, "IPython", package)
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    monkeypatch.delitem(sys.modules, "fastconv.models.notebook_progress", raising=False)
    yield kept
    sys.modules.pop("fastconv.models.notebook_progress", None)


@pytest.fixture
def model():
    model = Sequential([layers.Dense(1, kernel_initializer="zeros")])
    model.compile("sgd", "mse")
    return model


def test_one_output_with_a_line_for_each_epoch(model, outputs, capsys):
    model.fit(X, Y, batch_size=2, epochs=2, validation_split=0.5)
    (text,) = outputs
    first, second = text.split("\n")
    for number, line in enumerate((first, second), 1):
        assert line.startswith(f"Epoch {number}/2: 100%|██████████| 2/2 [")
        assert line.endswith("] loss: 0.0000 - val_loss: 0.0000")
    assert "\r" not in text
    assert "\x1b" not in text
    assert capsys.readouterr() == ("", "")


def test_evaluate_and_predict(model, outputs, capsys):
    model.evaluate(X, Y, batch_size=2)
    model.predict(X, batch_size=2)
    evaluated, predicted = outputs
    assert evaluated.startswith("Evaluate: 100%|████████████████████| 3/3")
    assert predicted.startswith("Predict: 100%|████████████████████| 3/3")
    assert capsys.readouterr() == ("", "")


def test_lines_and_silence_are_as_elsewhere(model, outputs, capsys):
    model.fit(X, Y, verbose=0)
    assert capsys.readouterr().out == ""
    model.fit(X, Y, verbose=2)
    assert capsys.readouterr().out.startswith("Epoch 1/1 - ")
    assert outputs == []


def test_a_terminal_with_ipython_is_no_notebook(model, outputs, capsys):
    sys.modules["IPython"].get_ipython = lambda: types.SimpleNamespace()
    model.fit(X, Y)
    assert outputs == []
    assert capsys.readouterr().out.startswith("Epoch 1/1 - ")


def test_training_that_fails_leaves_the_bar_where_it_was(model, outputs):
    from tqdm import tqdm

    with pytest.raises(ValueError, match="same shape"):
        model.fit([(X[:2], Y[:2]), (X[:2], np.zeros((2, 5)))])
    (text,) = outputs
    assert text.startswith("Epoch 1/1:  50%|██████████          | 1/2")
    assert not tqdm._instances


def test_many_metrics_go_on_below(outputs):
    names = [f"metric_number_{number}" for number in range(8)]
    bars = EpochBars("train", epochs=1, steps=2)
    bars.on_epoch_begin(0)
    bars.on_train_batch_end(1, dict.fromkeys(names, 0.5))
    bars.close()
    (text,) = outputs
    first, *others = text.split("\n")
    assert first.startswith(f"Epoch 1/1: 100%|{'█' * 20}| 2/2 [")
    assert " - ".join(line.strip() for line in others) == " - ".join(f"{name}: 0.5000" for name in names)
    assert all(len(line) <= 100 for line in others)
