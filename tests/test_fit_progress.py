"""What is printed while a model trains."""

from __future__ import annotations

import re
import sys

import numpy as np
import pytest

from fastconv import layers
from fastconv.callbacks import ProgbarLogger
from fastconv.models import Sequential
from fastconv.models.progress import format_number

X, Y = np.ones((6, 2)), np.zeros(6)


@pytest.fixture
def model():
    model = Sequential([layers.Dense(1, kernel_initializer="zeros")])
    model.compile("sgd", "mse", metrics=["mae"])
    return model


@pytest.mark.parametrize("verbose", ["auto", 1, 2])
def test_one_line_per_epoch_where_the_output_is_no_terminal(model, capsys, verbose):
    model.fit(X, Y, epochs=3, initial_epoch=1, validation_split=0.5, verbose=verbose)
    printed = capsys.readouterr()
    assert printed.err == ""
    expected = r"Epoch %d/3 - \d+\.\ds - loss: 0\.0000 - mae: 0\.0000 - val_loss: 0\.0000 - val_mae: 0\.0000"
    lines = printed.out.splitlines()
    assert len(lines) == 2
    for number, line in zip((2, 3), lines, strict=True):
        assert re.fullmatch(expected % number, line)
    model.evaluate(X, Y, verbose=verbose)
    assert re.fullmatch(r"Evaluate - \d+\.\ds - loss: 0\.0000 - mae: 0\.0000\n", capsys.readouterr().out)
    model.predict(X, verbose=verbose)
    assert re.fullmatch(r"Predict - \d+\.\ds\n" if verbose == 2 else "", capsys.readouterr().out)


def test_silence(model, capsys):
    model.fit(X, Y, verbose=0, validation_split=0.5)
    model.evaluate(X, Y, verbose=0)
    model.predict(X, verbose=0)
    assert capsys.readouterr() == ("", "")


def test_a_bar_for_each_epoch_on_a_terminal(model, capsys, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    model.fit(X, Y, batch_size=2, epochs=2, validation_split=0.5)
    printed = capsys.readouterr().out
    for number in (1, 2):
        last = printed.split(f"Epoch {number}/2")[-1]
        assert "2/2" in last
        assert "loss: 0.0000 - mae: 0.0000 - val_loss: 0.0000 - val_mae: 0.0000" in last
    model.evaluate(X, Y, batch_size=2)
    assert "3/3" in capsys.readouterr().out


def test_the_bar_is_closed_when_training_fails(model, capsys, monkeypatch):
    from tqdm import tqdm

    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    with pytest.raises(ValueError, match="same shape"):
        model.fit([(X[:2], Y[:2]), (X[:2], np.zeros((2, 5)))])
    assert not tqdm._instances
    assert capsys.readouterr().out.endswith("\n")


def test_an_unknown_verbosity_is_refused(model):
    with pytest.raises(ValueError, match="verbose must be 0"):
        model.fit(X, Y, verbose=3)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0.0000"), (0.91234, "0.9123"), (0.00012345, "1.2345e-04"), (123.4, "123.4000"), (np.nan, "nan")],
)
def test_numbers(value, text):
    assert format_number(value) == text


class OnlyWrites:
    """A stream as small as it can be."""

    def __init__(self):
        self.text = ""

    def write(self, text):
        self.text += text

    def flush(self):
        pass


@pytest.mark.parametrize("verbose", ["auto", 1, 2])
@pytest.mark.parametrize("stream", [None, OnlyWrites()])
def test_streams_that_are_hardly_any(model, monkeypatch, stream, verbose):
    monkeypatch.setattr(sys, "stdout", stream)
    model.fit(X, Y, verbose=verbose)
    model.evaluate(X, Y, verbose=verbose)
    model.predict(X, verbose=verbose)
    model.summary()
    if stream is not None:
        for part in ("Epoch 1/1 - ", "Evaluate - ", "Total params: 3"):
            assert part in stream.text


def test_a_progbar_logger_among_the_callbacks_takes_the_place_of_the_usual_one(model, capsys):
    report = ProgbarLogger()
    model.fit(X, Y, epochs=2, validation_data=(X, Y), callbacks=[report], verbose=2)
    model.evaluate(X, Y, callbacks=report, verbose=2)
    model.predict(X, callbacks=report, verbose=2)
    model.fit(X, Y, callbacks=report, verbose=0)
    starts = [line.split(" - ")[0] for line in capsys.readouterr().out.splitlines()]
    assert starts == ["Epoch 1/2", "Epoch 2/2", "Evaluate", "Predict"]
