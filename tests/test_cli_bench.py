"""``fastconv bench``: what it counts and what it says. How fast anything is, is not tested."""

from __future__ import annotations

import re

import pytest

import fastconv
from fastconv._core import machine
from fastconv.cli import main
from fastconv.cli.bench import median_seconds, operations
from fastconv.layers import RBF, Conv2D, Dense, Flatten, Input, MaxPooling2D
from fastconv.models import Sequential


@pytest.fixture(autouse=True)
def _threads(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with fastconv.set_num_threads(1):
        yield


def bench(capsys, *argv: str) -> tuple[int, str, str]:
    status = main(["bench", *argv, "--seconds", "0.05"])
    return (status, *capsys.readouterr())


def test_operations():
    """By hand: a product and a sum for each tap, each channel in, each channel out, each pixel."""
    model = Sequential([Input((10, 8, 6)), Conv2D(4, (3, 5), strides=2, groups=2), Flatten(), Dense(7)])
    conv, flatten, dense = model.layers
    assert operations(conv) == 2 * (4 * 2 * 4) * (3 * 5 * 3)  # 4x2 pixels of 4 maps; 3 of the 6 channels each
    assert operations(flatten) == 0
    assert operations(dense) == 2 * 32 * 7
    assert operations(model) == operations(conv) + operations(dense)


def test_median_seconds_calls_at_least_three_times_after_one_that_is_not_counted():
    calls = []
    assert median_seconds(lambda: calls.append(1), seconds=0) >= 0
    assert len(calls) == 4


def test_a_clock_that_stands_still():
    """A call that takes no time on it still has a rate."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("time.perf_counter", lambda: 5.0)
        seconds = median_seconds(lambda: None, seconds=-1)
    assert seconds > 0


def test_the_peak_counts_all_threads():
    """However little time there is: each thread runs, even if the time is up when it starts."""
    for threads in (1, 2, 5):
        assert fastconv.measure_peak(threads, seconds=1e-9) > 1e8


def test_the_peak_of_more_threads_than_cpus(monkeypatch):
    asked = []
    monkeypatch.setattr(machine._kernels, "fma_peak", lambda threads, seconds: asked.append(threads) or 1.0)
    monkeypatch.setattr(machine, "usable_cpus", lambda: 3)
    for threads in (1, 3, 4, 64):
        fastconv.measure_peak(threads)
    assert asked == [1, 3, 3, 3]


@pytest.mark.parametrize("seconds", ["0.01", "0.000001"])
def test_hardly_any_time(capsys, seconds):
    """Everything is measured all the same, from outputs that are distances too."""
    model = Sequential([Input((4, 4, 1)), Flatten(), Dense(1), RBF(10)])
    model.save("distances.safetensors")
    for name in ("lenet5", "distances.safetensors"):
        status = main(["bench", name, "--seconds", seconds, "--batch-size", "1"])
        output, errors = capsys.readouterr()
        assert (status, errors) == (0, "")
        assert len(re.findall("^(training step|inference) .* of peak$", output, re.MULTILINE)) == 2
    assert "(RBF)" in output


def test_every_layer_and_the_whole(capsys):
    status, output, errors = bench(capsys, "--batch-size", "2", "--threads", "1")
    assert (status, errors) == (0, "")
    assert output.startswith("lenet5, batches of 2, ")
    for title, shape in (
        ("C1 (Conv2D)", "28x28x6"),
        ("S4 (AveragePooling2D)", "5x5x16"),
        ("output (Dense)", "10"),
    ):
        assert re.search(rf"^{re.escape(title)} +{shape} ", output, re.MULTILINE), title
    # images/s · ms = 1000 · batch, up to how they are rounded: 0.51 of the last digit, and three digits
    for rate, milliseconds in re.findall(r"([\d,]+) images/s +([\d.]+) ms", output):
        shown, rounding = float(milliseconds), 0.51 * 10.0 ** -len(milliseconds.partition(".")[2])
        assert float(rate.replace(",", "")) * shown == pytest.approx(2000, rel=rounding / shown + 0.002)
    assert len(re.findall("^(training step|inference) ", output, re.MULTILINE)) == 2


def test_own_model_file(capsys, tmp_path):
    """Whatever the network gives: probabilities, logits, a single number."""
    path = str(tmp_path / "own.safetensors")
    for top in (Dense(3, activation="softmax"), Dense(3), Dense(1)):
        Sequential([Input((8, 8, 1)), Conv2D(2, 3), MaxPooling2D(2), Flatten(), top]).save(path)
        before = (tmp_path / "own.safetensors").read_bytes()
        status, output, errors = bench(capsys, path, "--batch-size", "3")
        assert (status, errors) == (0, "")
        assert "6x6x2" in output
        assert (tmp_path / "own.safetensors").read_bytes() == before


def test_unknown_model(capsys):
    status, output, errors = bench(capsys, "lenet")
    assert (status, output) == (2, "")
    assert "'lenet5'" in errors
    assert ".safetensors" in errors
