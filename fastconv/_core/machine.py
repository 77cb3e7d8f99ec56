"""What runs the operations: compiled kernels or the reference, their instruction set, their threads."""

from __future__ import annotations

import math
import os
import platform
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, NoReturn

from fastconv import _kernels
from fastconv._core.checks import unknown_name


class Restoring:
    """What a setting function returns: leaving a ``with`` block puts the old setting back."""

    def __init__(self, restore: Callable[[], object]):
        self._restore = restore

    def __enter__(self) -> None:
        return None

    def __exit__(self, *exception: object) -> None:
        self._restore()


# ---- compiled kernels, or the pure-Python reference ---------------------------------------------

BACKENDS = ("native", "reference")
_active = "native"


def get_backend() -> str:
    """The name of the backend that operations run on now."""
    return _active


def set_backend(name: str) -> Restoring:
    """Run every operation on ``"native"`` (C, float32) or ``"reference"`` (Python loops, float64).

    For good, or for a block: ``with fastconv.set_backend("reference"): ...``.
    """
    global _active
    if name not in BACKENDS:
        raise unknown_name("backend", name, BACKENDS)
    before, _active = _active, name
    return Restoring(lambda: set_backend(before))


# Names that a valid program may ask for on some machine, if not on this one.
_ALL_ISAS = ("baseline", "avx2", "avx512", "neon")


# ---- instruction sets ---------------------------------------------------------------------------


def available_isas() -> list[str]:
    """The instruction sets this CPU can run, best last."""
    return _kernels.isa_names()


def get_isa() -> str:
    """The instruction set whose kernels run now."""
    return _kernels.active_isa()


def set_isa(name: str) -> Restoring:
    """Run the kernels of instruction set ``name``, for good or for a ``with`` block.

    Raises ValueError for a name that is unknown or that this CPU cannot run.
    """
    available = available_isas()
    if name not in available:
        if name in _ALL_ISAS:
            raise ValueError(f"this CPU cannot run {name!r}; it can run {', '.join(map(repr, available))}")
        raise unknown_name("instruction set", name, available)
    before = get_isa()
    _kernels.select_isa(name)
    return Restoring(lambda: _kernels.select_isa(before))


# ---- threads ------------------------------------------------------------------------------------


def get_num_threads() -> int:
    """How many threads a large kernel uses."""
    return _kernels.num_threads()


def set_num_threads(n: int) -> Restoring:
    """Use ``n`` threads in every kernel, for good or for a ``with`` block. Results do not depend on it."""
    _check_threads(n)
    before = get_num_threads()
    _kernels.set_num_threads(int(n))
    return Restoring(lambda: _kernels.set_num_threads(before))


def _check_threads(n: int) -> None:
    if isinstance(n, bool) or not hasattr(n, "__index__") or not 1 <= int(n) <= 1024:
        raise ValueError(f"number of threads must be a whole number from 1 to 1024; got {n!r}")


def usable_cpus() -> int:
    """CPUs this process may use: affinity, and the quota a container sets, rounded up."""
    affinity = getattr(os, "sched_getaffinity", None)  # not on every system
    cpus = len(affinity(0)) if affinity else os.cpu_count() or 1
    quota = _container_quota()
    return max(1, cpus if quota is None else min(cpus, -int(-quota // 1)))


def _container_quota() -> float | None:
    """CPUs' worth of time that a control group grants, or None for no limit."""
    try:
        limit, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()  # version 2
        return None if limit == "max" else int(limit) / int(period)
    except (OSError, ValueError):
        pass
    try:
        folder = Path("/sys/fs/cgroup/cpu")  # version 1
        limit = (folder / "cpu.cfs_quota_us").read_text()
        return None if int(limit) < 0 else int(limit) / int((folder / "cpu.cfs_period_us").read_text())
    except (OSError, ValueError):
        return None


# ---- what there is ------------------------------------------------------------------------------


def measure_peak(threads: int | None = None, seconds: float = 0.2) -> float:
    """Multiply-adds this machine can do in registers, in FLOP/s: the roof for every kernel.

    More threads than CPUs share what those can do.
    """
    threads = get_num_threads() if threads is None else threads
    _check_threads(threads)
    if not 0 < seconds < math.inf:
        raise ValueError(f"seconds must be a positive number; got {seconds!r}")
    return _kernels.fma_peak(min(threads, usable_cpus()), seconds)


def config() -> dict[str, object]:
    """What ``show_config`` prints."""
    import numpy

    import fastconv

    return {
        "fastconv": fastconv.__version__,
        "instruction set": f"{get_isa()} ({_kernels.isa_lanes()} floats a vector)",
        "available": ", ".join(available_isas()),
        "OpenMP": "yes" if _kernels.openmp() else "no: built without OpenMP, kernels use one thread",
        "threads": get_num_threads(),
        "machine": f"{platform.machine()}, {os.cpu_count()} CPUs, {platform.system()}",
        "Python": sys.version.split()[0],
        "NumPy": numpy.__version__,
    }


def show_config() -> None:
    """Print the version, the instruction sets, the threads and how the kernels were built."""
    entries = config()
    width = max(map(len, entries))
    for name, value in entries.items():
        print(f"{name:<{width}}  {value}")


# ---- at import ----------------------------------------------------------------------------------


def _configure_from_environment() -> None:
    available_isas()  # looks at the CPU and picks the best
    isa = os.environ.get("FASTCONV_ISA")
    asked = os.environ.get("FASTCONV_NUM_THREADS", "")
    threads: Any = int(asked) if asked.isdecimal() else asked
    try:
        if isa:
            set_isa(isa)
    except ValueError as error:
        _refuse(f"FASTCONV_ISA: {error}")
    try:
        set_num_threads(usable_cpus() if asked == "" else threads)
    except ValueError as error:
        _refuse(f"FASTCONV_NUM_THREADS={asked!r}: {error}")
    # Forked children are workers, as a rule one for each CPU.
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=lambda: _kernels.set_num_threads(1))


def _refuse(message: str) -> NoReturn:
    """ValueError; but of the command ``fastconv``, which begins by importing us, a line and exit status 2."""
    if _is_the_command():
        print(f"fastconv: error: {message}", file=sys.stderr)
        raise SystemExit(2)
    raise ValueError(message) from None


def _is_the_command() -> bool:
    """Whether this process was started as ``fastconv`` or ``python -m fastconv``."""
    program = sys.argv[0] if sys.argv else ""
    if program == "-m":  # what it is while Python looks for the module
        return ("-m", "fastconv") in pairwise(sys.orig_argv)
    return Path(program).name in ("fastconv", "fastconv.exe")


_configure_from_environment()
