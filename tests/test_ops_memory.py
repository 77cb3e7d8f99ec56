"""The kernels touch no memory beyond their arrays."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.skipif(sys.platform != "linux", reason="protects pages with Linux' mprotect")
@pytest.mark.parametrize("side", ["before", "after"])
def test_nothing_beyond_an_array_is_touched(side):
    script = Path(__file__).with_name("guarded_memory.py")
    run = subprocess.run([sys.executable, "-X", "faulthandler", script, side], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
