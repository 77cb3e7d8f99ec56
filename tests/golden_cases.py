"""The golden cases of ops.npz and images.npz (see golden/make_ops.py and make_images.py) by operation."""

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
def all_cases(name: str = "ops") -> dict[str, list[Case]]:
    cases: dict[str, dict[int, Case]] = {}
    with np.load(Path(__file__).parent / "golden" / f"{name}.npz") as file:
        for key in file.files:
            operation, number, array = key.split("/")
            case = cases.setdefault(operation, {}).setdefault(int(number), Case({}, {}))
            if array == "arguments":
                case.arguments.update(json.loads(str(file[key])))
            else:
                case.arrays[array] = file[key]
    return {operation: [numbered[i] for i in sorted(numbered)] for operation, numbered in cases.items()}


def golden(operation: str, file: str = "ops"):
    """Decorator: one run of the test for each case, as the argument ``case``."""
    cases = all_cases(file)[operation]
    return pytest.mark.parametrize("case", cases, ids=[str(case.arguments) for case in cases])
