"""The lesson on LeNet-5 of 1998, in its quick version, draws its figures and counts as the paper does."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("matplotlib", reason="the lessons draw: they need the extra 'plot'")

LESSON = Path(__file__).parent.parent / "examples" / "lessons" / "26_lenet5_1998.py"


def test_a_digit_on_its_way_through_lenet5(tmp_path):
    command = [sys.executable, "-W", "error", str(LESSON), "--quick", "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    drawn = sorted(path.name for path in tmp_path.iterdir())
    assert drawn == ["26_code.png", "26_connections.png", "26_feature_maps.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in tmp_path.iterdir())

    text = " ".join(done.stdout.split())
    for name, shape, learned, connections in (
        ("C1", "28x28x6", "156", "122,304"),
        ("S2", "14x14x6", "12", "5,880"),
        ("C3", "10x10x16", "1,516", "151,600"),
        ("S4", "5x5x16", "32", "2,000"),
        ("C5", "1x1x120", "48,120", "48,120"),
        ("F6", "84", "10,164", "10,164"),
        ("output", "10", "0", "840"),
    ):
        assert re.search(rf"\b{name} {shape} \S+ \S+ {learned} {connections} ", text), name
    assert "found: 60,000 and 340,908" in text
    assert "1,500 weights instead of 2,400" in text
    assert text.count("claim:") == text.count("found:") == 5
    distance, by_hand = re.search(r"the distance is ([\d.]+),.*Σ [^:]+: ([\d.]+)\.", text).groups()
    assert float(distance) == pytest.approx(float(by_hand), abs=0.02)  # the one in float32
    assert "which is right" in text
    if "of MNIST's test digits;" in text:
        assert float(re.search(r"([\d.]+)% of [\d,]+ of MNIST", text)[1]) < 2  # the first 2,000 are harder
