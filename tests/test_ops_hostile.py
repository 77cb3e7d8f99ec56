"""Operations are given what does not belong there, and every kind of window: tests/hostile_calls.py."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.skipif(sys.platform != "linux", reason="limits its memory, as Linux has it")
@pytest.mark.parametrize("seed", [1, 2])
def test_no_call_ends_the_process_or_gives_another_result_than_the_formula(seed):
    script = Path(__file__).with_name("hostile_calls.py")
    run = subprocess.run(
        [sys.executable, script, str(seed), "1000"], capture_output=True, text=True, timeout=1800
    )
    last_calls = "\n".join(run.stderr.splitlines()[-20:])
    assert run.returncode == 0, f"ended by {run.returncode}; the last calls:\n{last_calls}"
    assert run.stdout.splitlines()[-1].endswith(" calls, 0 wrong"), run.stdout
