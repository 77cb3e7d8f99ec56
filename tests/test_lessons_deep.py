"""The lessons on deep networks, in their quick versions, draw their figures and find what they claim."""

from __future__ import annotations

import re

import pytest
from lessons import numbers, run_lesson

pytest.importorskip("matplotlib", reason="the lessons draw: they need the extra 'plot'")


def test_vanishing_gradients(tmp_path):
    output = run_lesson("01_vanishing_gradients", tmp_path, {"gradients_by_layer", "clipping"})
    sigmoid, relu, elu, selu, glorot_relu = numbers(
        "layer 1 of 50: sigmoid at best #; He with ReLU #, He with ELU #, LeCun with SELU #; "
        "Glorot with ReLU only #,",
        output,
    )
    assert sigmoid < 1e-20
    assert all(1e-2 < level < 1e3 for level in (relu, elu, selu))
    # Half of the variance is missing in each of 50 layers: (1/2)^(50/2) = 3e-8 of He's.
    assert 1e-10 * relu < glorot_relu < 1e-6 * relu
    sigmoids = numbers("batch normalisation: sigmoid # to #, ReLU", output)
    assert all(1e-2 < level < 1e3 for level in sigmoids)

    unclipped, _, by_norm, by_global_norm = numbers(
        "change of a kernel is # (no clipping), # (clipvalue=0.01), # (clipnorm=1), # (global_clipnorm=1)",
        output,
    )
    assert unclipped > 1e3
    assert by_norm <= 0.01 * 1.01  # the rate times the norm, and two printed digits
    assert by_global_norm <= by_norm
    assert "[0.9, 100] becomes [0.9 1. ] by value" in output
    assert numbers("and [# #] by norm", output) == pytest.approx([0.009, 0.99996], abs=1e-5)


def test_activations(tmp_path):
    output = run_lesson("02_activations", tmp_path, {"activations"})
    largest, power = numbers("largest derivative #, to the 50th power #;", output)
    assert largest == pytest.approx(0.25, abs=1e-6)
    assert power == pytest.approx(7.9e-31, rel=0.01)
    # Means of 100,000 numbers of deviation about 1 are off by 0.003 or so.
    half, whole = numbers("of ReLU #; twice that is #", output)
    assert half == pytest.approx(0.5, abs=0.01)
    assert whole == pytest.approx(1, abs=0.02)
    [deviation] = numbers("deviation # claim", output + " claim")
    assert deviation == pytest.approx(1, abs=0.02)


def test_initialisation(tmp_path):
    output = run_lesson("03_initialisation", tmp_path, {"signal_by_layer"})
    [worst] = numbers("the furthest from it is #% away", output)
    assert worst < 6  # 5 draws of 4,608 or more normal numbers: 12 figures within 1 % each, more or less
    he, glorot, small, large, selu, tanh = numbers(
        "layer 50: ReLU # with He, # with Glorot, # with 0.05, # with 0.3; SELU with LeCun #; "
        "tanh with Glorot #",
        output,
    )
    assert 0.05 < he < 20
    assert glorot < 1e-6
    assert small < 1e-15
    assert large > 1e10
    assert 0.7 < selu < 1.3  # it normalizes itself
    assert 0.05 < tanh < 1


def test_batch_normalisation(tmp_path):
    output = run_lesson("04_batch_normalisation", tmp_path, {"distributions", "learning_rates"})
    _, normalized, jump, jump_normalized = numbers(
        "ends at # without and # with batch normalisation (a normal distribution: 3.29); the median's "
        "largest jump in one step is # without, # with",
        output,
    )
    assert normalized == pytest.approx(3.29, abs=0.4)
    assert jump_normalized < jump
    *_, highest_rate_without = table_row("without batch normalisation", output)
    *_, highest_rate_with = table_row("with batch normalisation", output)
    assert highest_rate_without < 0.2  # chance is 0.1
    assert highest_rate_with > 0.5
    before, after = numbers("best test accuracy goes from # to # with batch normalisation", output)
    assert after < before


def table_row(title: str, output: str) -> list[float]:
    match = re.search(rf"(?<!\w){title}((?: [\d.]+)+)", output)
    assert match, output
    return [float(cell) for cell in match[1].split()]


def test_fifty_layers_learn_with_each_cure_only(tmp_path):
    output = run_lesson("05_fifty_layers", tmp_path, {"fifty_layers"})
    rows = re.findall(r"(no cure|cure): (.*?) (\d\.\d{3}) (\d\.\d{3})(?= )", output)
    best = {(group, title): float(accuracy) for group, title, _, accuracy in rows}
    assert len(best) == 5 + 6
    for (group, title), accuracy in best.items():
        # Chance is 0.10. Sigmoids whose weights start at deviation 1 tell two digits from the rest.
        assert accuracy < 0.25 if group == "no cure" else accuracy > 0.4, title
    cured = sorted(accuracy for (group, _), accuracy in best.items() if group == "cure")
    assert cured[1] > 0.6  # all but one, ReLU, are far already after six epochs
