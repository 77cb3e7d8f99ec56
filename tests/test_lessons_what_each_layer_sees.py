"""The lesson on what each layer sees draws its figures and finds what it claims, in its quick version."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("matplotlib", reason="the lessons draw: they need the extra 'plot'")

LESSON = Path(__file__).parent.parent / "examples" / "lessons" / "27_what_each_layer_sees.py"


def test_lesson(tmp_path):
    command = [sys.executable, "-W", "error", str(LESSON), "--quick", "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    figures = ["1_low", "2_middle", "3_high", "4_modes", "5_saliency", "6_occlusion"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"27_{name}.png" for name in figures]
    for path in tmp_path.iterdir():
        assert int.from_bytes(path.read_bytes()[16:20], "big") == 900  # as wide as a notebook
    output = " ".join(done.stdout.split())
    verdicts = dict(re.findall(r"claim: (.*?) found: .*? holds: (yes|no)", output))
    assert len(verdicts) == 5
    for claim in (
        "without rectifying what comes back, the projection is the gradient",
        "a projection lies inside its unit's receptive field",
        "a high layer's strongest images agree more in class than a low one's",
        "and look less alike, pixel by pixel: high layers are more tolerant",
        "it hurts to cover what the score depends on",
    ):
        assert verdicts[claim] == "yes", claim
