"""Runs a lesson of examples/lessons in its quick version, and reads what it printed and drew."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

LESSONS = Path(__file__).parent.parent / "examples" / "lessons"
NUMBER = r"(\d+(?:[.,]\d+)*(?:e[-+]?\d+)?)"


def run_lesson(name: str, folder: Path, figures: Iterable[str], *options: str) -> str:
    """What it prints, in one line; its figures must be pictures that show something.

    ``figures`` are their names without the lesson's number, which all of them have in front.
    """
    script = str(LESSONS / f"{name}.py")
    command = [sys.executable, "-W", "error", script, "--quick", "--out", str(folder), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in folder.iterdir()} == {f"{name[:2]}_{figure}.png" for figure in figures}
    for path in folder.iterdir():
        picture = path.read_bytes()
        assert picture.startswith(b"\x89PNG")
        assert int.from_bytes(picture[16:20], "big") == 900  # as wide as a notebook
        assert len(picture) > 10_000
        assert f"figure: {path}" in done.stdout
    assert "claim: " in done.stdout
    return " ".join(done.stdout.split())


def verdicts(output: str) -> dict[str, bool]:
    """Each of the claims, and whether the lesson found it to hold. What it found must say how much."""
    found = re.findall(r"claim: (.*?) found: (.*?) holds: (yes|no)", output)
    assert all(re.search(r"\d|bits|bit-identical", measured) for _, measured, _ in found)
    return {claim: holds == "yes" for claim, _, holds in found}


def holds(claimed: str, output: str) -> bool:
    """Whether the one claim that starts so was found to hold."""
    [result] = [result for claim, result in verdicts(output).items() if claim.startswith(claimed)]
    return result


def numbers(pattern: str, output: str) -> list[float]:
    """What the places marked # in ``pattern`` hold."""
    match = re.search(re.escape(pattern).replace(r"\#", NUMBER), output)
    assert match, f"{pattern!r} is not in {output!r}"
    return [float(group.replace(",", "")) for group in match.groups()]
