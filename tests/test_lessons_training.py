"""The lessons on training, in their quick versions, draw their figures and find what they claim."""

from __future__ import annotations

import pytest
from lessons import LESSONS, holds, run_lesson, verdicts

pytest.importorskip("matplotlib", reason="the lessons draw: they need the extra 'plot'")

FIGURES = {
    "10_optimizers_on_a_bowl": ["adagrad_turns", "distances", "momentum_and_nesterov", "paths"],
    "11_optimizers_on_images": ["race"],
    "12_learning_rates": ["learning_rates"],
    "13_schedules": ["effect", "schedules"],
    "14_one_cycle": ["one_cycle"],
    "15_regularisation": ["regularisation"],
    "16_monte_carlo_dropout": ["spread", "unclear_images"],
    "17_transfer_learning": ["transfer"],
    "18_augmentation": ["augmented_images", "effect"],
}

# The claims that must hold even in the quick version; those that the README says do not are not here.
HOLD = {
    "10_optimizers_on_a_bowl": [
        "momentum is much faster",
        "Nesterov overshoots less than momentum",
        "AdaGrad points more directly",
        "AdaGrad slows down too early",
    ],
    "11_optimizers_on_images": ["Nesterov is faster", "RMSProp, Adam and Nadam are faster"],
    "12_learning_rates": [
        "too low a rate is slow",
        "too high a rate goes no further",
        "much too high, it diverges",
    ],
    "13_schedules": ["a rate that falls is better"],
    "14_one_cycle": ["1cycle reaches the same or better accuracy in fewer epochs"],
    "15_regularisation": ["L1", "L2", "dropout", "max-norm", "early stopping"],
    "16_monte_carlo_dropout": ["where they are wrong, the ensemble is less sure", "the spread is larger"],
    "17_transfer_learning": ["it ends better", "frozen weights do not change"],
    "18_augmentation": ["augmentation makes overfitting smaller", "predictions do not depend on chance"],
}


@pytest.mark.parametrize("name", FIGURES)
def test_lesson(name, tmp_path):
    output = run_lesson(name, tmp_path, FIGURES[name])
    for claim in HOLD[name]:
        assert holds(claim, output), claim


def test_two_runs_find_the_same(tmp_path):
    lesson = "16_monte_carlo_dropout"
    first, second = (run_lesson(lesson, tmp_path / name, FIGURES[lesson]) for name in "ab")
    assert verdicts(first) == verdicts(second)
    for figure in FIGURES[lesson]:
        pictures = [(tmp_path / name / f"16_{figure}.png").read_bytes() for name in "ab"]
        assert pictures[0] == pictures[1]


def test_where_fashion_mnist_is_missing_the_digits_take_its_place(monkeypatch):
    import fastconv

    def missing():
        raise FileNotFoundError("not here")

    monkeypatch.setattr(fastconv.datasets.fashion_mnist, "load_data", missing)
    monkeypatch.syspath_prepend(str(LESSONS))
    import _training

    data = _training.images(5000, 1000)
    assert data.name == "the digits"
    assert data.x.shape == (1142, 28, 28, 1)
    assert data.x_val.shape == (300, 28, 28, 1)
    assert (data.x.min(), data.x.max()) == (0, 1)
    assert set(data.y) == set(data.y_val) == set(range(10))
