"""The tools' own logic; what they run is too slow for here."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import fastconv

TOOLS = Path(__file__).parents[1] / "tools"

pytestmark = pytest.mark.skipif(not TOOLS.is_dir(), reason="the tools are in the checkout alone")


@pytest.fixture(scope="module")
def instructions():
    specification = importlib.util.spec_from_file_location("instructions", TOOLS / "instructions.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.mark.parametrize("tool", sorted(path.name for path in TOOLS.glob("*.py")))
def test_tools_explain_themselves_and_refuse_what_they_do_not_know(tool):
    """Wherever they are started, with nothing of what they need but fastconv, and without doing anything."""
    environment = {**os.environ, "PYTHONPATH": str(Path(fastconv.__file__).parents[1])}

    def run(argument):
        command = [sys.executable, str(TOOLS / tool), argument]
        return subprocess.run(command, capture_output=True, text=True, env=environment)

    done = run("--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"usage: {tool}")
    assert f"python tools/{tool}" in done.stdout
    done = run("--fly")
    assert (done.returncode, done.stdout) == (2, "")
    assert "unrecognized arguments: --fly" in done.stderr


def test_instructions_are_compared_with_what_is_stored(instructions):
    stored = {"same": 1000, "more": 1000, "far more": 1_000_000, "fewer": 1000, "gone": 1000}
    counts = {"same": 1000, "more": 1149, "far more": 1_200_000, "fewer": 800, "new": 1000}
    wrong, better = instructions.compare(counts, stored)
    assert wrong == [
        "MORE: far more takes 1,200,000 instructions, 20.0% over the 1,000,000 stored; 15% is allowed",
        "NOT STORED: new",
        "STORED, BUT NOT COUNTED ANY MORE: gone",
    ]
    (line,) = better
    assert line.startswith("fewer: fewer takes 20.0% less than stored")


def test_every_case_is_stored(instructions):
    stored = json.loads(instructions.STORED.read_text())
    assert set(stored["instructions"]) == {" ".join(map(str, case)) for case in instructions.CASES}
    assert stored["compiler"]


def test_the_compiler_is_known(instructions):
    assert re.match(r"GCC: \(|clang version ", instructions.compiler())


def test_instructions_are_counted_once_and_where_they_were_executed(instructions):
    """Callgrind's format: names are given once, calls are followed by what the called function took."""
    dump = """\
version: 1
positions: line
events: Ir

ob=(1) /usr/bin/python3
fl=(1) ceval.c
fn=(1) eval
10 100
+2 20
cob=(2) /somewhere/fastconv/_kernels.cpython-311-x86_64-linux-gnu.so
cfn=(2) fc_conv2d_forward_direct
calls=1 50
* 5000
ob=(2)
fn=(2)
7 3000
-1 400
cob=(1)
cfn=(3) memcpy
calls=3 9
* 60
ob=(1)
fn=(3)
9 60

totals: 3580
"""
    assert instructions.parse(dump) == (3400, 3580)


def test_mutations_apply_to_the_sources():
    specification = importlib.util.spec_from_file_location("mutations", TOOLS / "mutations.py")
    mutations = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(mutations)
    package = Path(fastconv.__file__).parent
    wrong = [mutations.why_not_applicable(mutation, package) for mutation in mutations.MUTATIONS]
    assert not [why_not for why_not in wrong if why_not is not None]
    assert len(set(mutations.MUTATIONS)) >= 20
    for mutation in mutations.MUTATIONS:
        compile((package / mutation.file).read_text().replace(*mutation[1:3]), mutation.file, "exec")
