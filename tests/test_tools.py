"""The tools' own logic; what they run is too slow for here."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[1] / "tools"

pytestmark = pytest.mark.skipif(not TOOLS.is_dir(), reason="the tools are in the checkout alone")


def test_instructions_are_counted_once_and_where_they_were_executed():
    """Callgrind's format: names are given once, calls are followed by what the called function took."""
    specification = importlib.util.spec_from_file_location("instructions", TOOLS / "instructions.py")
    instructions = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(instructions)
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
