"""What was measured on, and when: the head of every report."""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
from pathlib import Path

import numpy as np

import fastconv
from benchmarks import CHECKOUT


def describe() -> dict[str, str]:
    caches = _caches()
    return {
        "date": datetime.datetime.now().astimezone().isoformat(" ", "minutes"),
        "CPU": f"{_cpu_name()}, {os.cpu_count()} CPUs",
        **({"caches": caches} if caches else {}),
        "system": f"{platform.system()} {platform.release()}",
        "instruction set": f"{fastconv.get_isa()} of {', '.join(fastconv.available_isas())}",
        "versions": f"fastconv {fastconv.__version__}{_commit()}, Python {platform.python_version()}, "
        f"NumPy {np.__version__}",
    }


def text(rows: dict[str, str]) -> str:
    width = max(map(len, rows))
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows.items())


def _cpu_name() -> str:
    """Its name, with family and model where the name is vague."""
    try:
        with open("/proc/cpuinfo") as file:
            lines = [line.partition(":") for line in file]
    except OSError:
        return platform.processor() or platform.machine()
    fields = {name.strip(): value.strip() for name, _, value in lines}
    name = fields.get("model name", platform.machine())
    if "cpu family" in fields:
        name += f" (family {fields['cpu family']}, model {fields['model']})"
    return name


def _caches() -> str:
    sizes = []
    for index in range(5):
        folder = Path(f"/sys/devices/system/cpu/cpu0/cache/index{index}")
        try:
            level, kind, size = ((folder / name).read_text().strip() for name in ("level", "type", "size"))
        except OSError:
            break
        sizes.append(f"L{level}{'' if kind == 'Unified' else kind[0].lower()} {size}")
    return ", ".join(sizes)


def _commit() -> str:
    try:
        command = ["git", "-C", str(CHECKOUT), "rev-parse", "--short", "HEAD"]
        done = subprocess.run(command, capture_output=True, text=True)
    except OSError:
        return ""
    return f" at {done.stdout.strip()}" if done.returncode == 0 else ""
