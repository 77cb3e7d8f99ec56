"""The lessons on training, in their quick versions, draw their figures and find what they claim."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("matplotlib", reason="the lessons draw: they need the extra 'plot'")

LESSONS = Path(__file__).parent.parent / "examples" / "lessons"

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


def run_lesson(name: str, folder: Path) -> dict[str, bool]:
    """Each of the claims it printed, and whether it found it to hold. Its figures must be there."""
    command = [sys.executable, "-W", "error", str(LESSONS / f"{name}.py"), "--quick", "--out", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stderr
    wanted = [f"{name[:2]}_{figure}.png" for figure in FIGURES[name]]
    assert sorted(path.name for path in folder.iterdir()) == wanted
    for path in folder.iterdir():
        picture = path.read_bytes()
        assert picture.startswith(b"\x89PNG")
        assert int.from_bytes(picture[16:20], "big") == 900  # as wide as a notebook
        assert len(picture) > 10_000
    output = " ".join(done.stdout.split())
    verdicts = re.findall(r"claim: (.*?) found: (.*?) holds: (yes|no)", output)
    assert all(re.search(r"\d|bits|bit-identical", measured) for _, measured, _ in verdicts)
    return {claim: holds == "yes" for claim, _, holds in verdicts}


@pytest.mark.parametrize("name", FIGURES)
def test_lesson(name, tmp_path):
    verdicts = run_lesson(name, tmp_path)
    for start in HOLD[name]:
        [holds] = [holds for claim, holds in verdicts.items() if claim.startswith(start)]
        assert holds, start


def test_two_runs_find_the_same(tmp_path):
    first, second = (run_lesson("16_monte_carlo_dropout", tmp_path / name) for name in "ab")
    assert first == second
    for figure in FIGURES["16_monte_carlo_dropout"]:
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
