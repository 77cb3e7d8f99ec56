"""The golden cases of ops.npz (see golden/make_ops.py) by operation."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest


class Case(NamedTuple):
    arguments: dict
    arrays: dict[str, np.ndarray]

    def __getitem__(self, name):
        return self.arrays[name]


@cache
def all_cases() -> dict[str, list[Case]]:
    cases: dict[str, dict[int, Case]] = {}
    with np.load(Path(__file__).parent / "golden" / "ops.npz") as file:
        for key in file.files:
            operation, number, name = key.split("/")
            case = cases.setdefault(operation, {}).setdefault(int(number), Case({}, {}))
            if name == "arguments":
                case.arguments.update(json.loads(str(file[key])))
            else:
                case.arrays[name] = file[key]
    return {operation: [numbered[i] for i in sorted(numbered)] for operation, numbered in cases.items()}


def golden(operation: str):
    """Decorator: one run of the test for each case, as the argument ``case``."""
    cases = all_cases()[operation]
    return pytest.mark.parametrize("case", cases, ids=[str(case.arguments) for case in cases])
