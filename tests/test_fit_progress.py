"""What is printed while a model trains."""

from __future__ import annotations

import itertools
import re
import sys

import numpy as np
import pytest

from fastconv import layers
from fastconv.callbacks import ProgbarLogger
from fastconv.models import Sequential
from fastconv.models.progress import format_number, progress
from fastconv.models.screen import wrapped

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


# ---- how much fits on the screen

WIDTHS = [40, 60, 80, 100, 132, 200]
NUMBERS = {
    "accuracy": 0.9123,
    "loss": 0.3012,
    "precision": 0.8877,
    "recall": 0.00012345,
    "val_accuracy": 0.8912,
    "val_loss": 0.4123,
    "val_precision": 0.8123,
    "val_sparse_top_k_categorical_accuracy": 0.9955,
}


@pytest.fixture
def terminal(monkeypatch, capsys):
    """``terminal(columns)``: print to a terminal so wide from now on; the bar's clock ticks evenly."""
    ticks = itertools.count()
    monkeypatch.setattr("tqdm.std.time", lambda: next(ticks) / 10)

    def terminal(columns):
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)

    return terminal


def on_screen(written):
    """The lines that a terminal shows in the end: a carriage return goes back to the start of the line."""
    lines = []
    for line in written.split("\n"):
        shown = ""
        for text in line.split("\r"):
            shown = text + shown[len(text) :]
        lines.append(shown.rstrip())
    return lines


def words(numbers):
    return [f"{name}: {format_number(number)}" for name, number in numbers.items()]


@pytest.mark.parametrize("verbose", [1, 2])
@pytest.mark.parametrize("count", range(9))
@pytest.mark.parametrize("columns", WIDTHS)
def test_every_metric_can_be_read_whatever_the_width(columns, count, verbose, terminal, capsys):
    terminal(columns)
    numbers = dict(list(NUMBERS.items())[:count])
    report = progress(verbose, "train", epochs=10, steps=188)
    report.on_epoch_begin(0)
    for batch in (0, 99, 187):
        report.on_train_batch_end(batch, dict(list(numbers.items())[:4]))
    report.on_epoch_end(0, numbers)
    report.close()
    written = capsys.readouterr().out
    lines = on_screen(written)
    assert lines.pop() == ""
    assert lines[0].startswith("Epoch 1/10")
    assert verbose == 2 or "188/188" in lines[0]
    for part in re.split(r"[\r\n]", written):
        assert len(part) <= columns, "nothing is cut off or broken by the terminal"
    page = " ".join(" ".join(lines).split())
    for said in words(numbers):
        assert said in page
    assert columns < 200 or len(lines) <= 2


def test_the_bar_gives_way_to_the_metrics(terminal, capsys):
    numbers = {name: NUMBERS[name] for name in ("accuracy", "loss", "val_accuracy", "val_loss")}
    for columns, bar in ((200, 20), (140, 10), (110, 0)):
        terminal(columns)
        report = progress(1, "train", epochs=10, steps=188)
        report.on_epoch_begin(0)
        report.on_train_batch_end(187, numbers)
        report.on_epoch_end(0, numbers)
        (line,) = on_screen(capsys.readouterr().out)[:-1]
        assert line.endswith(" - ".join(words(numbers)))
        assert line.count("█") == bar


def test_while_it_runs_the_loss_comes_first_where_not_all_fit(terminal, capsys):
    terminal(40)
    report = progress(1, "train", epochs=10, steps=188)
    report.on_epoch_begin(0)
    report.on_train_batch_end(99, NUMBERS)
    report._bar.refresh()
    assert on_screen(capsys.readouterr().out) == ["Epoch 1/10: 100/188 loss: 0.3012"]
    report.close()


@pytest.mark.parametrize("columns", WIDTHS)
def test_steps_of_unknown_number(columns, terminal, capsys):
    terminal(columns)
    report = progress(1, "train", epochs=1, steps=None)
    report.on_epoch_begin(0)
    report.on_train_batch_end(4, {"loss": 0.5})
    report.on_epoch_end(0, {"loss": 0.5})
    (line,) = on_screen(capsys.readouterr().out)[:-1]
    assert re.fullmatch(r"Epoch 1/1: 5batch( \[00:0\d, .+batch/s\])? loss: 0\.5000", line)
    assert columns == 40 or "batch/s" in line


def test_lines_in_a_file_are_not_broken(model, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    model.fit(X, Y, validation_split=0.5, verbose=2)
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_where_lines_are_broken():
    assert wrapped(["one: 1", "two: 2", "three: 3"], 15) == ["one: 1 - two: 2", "    three: 3"]
    assert wrapped(["counts: [1 2 3 4 5]", "b: 1"], 14, 2) == ["counts: [1 2 3", "  4 5]", "  b: 1"]
    assert wrapped(["a_name_too_long: 1.25"], 12) == ["a_name_too_l", "ong: 1.25"]
    assert wrapped([], 12) == []
