"""Import time, size installed and size of the wheel: ``python -m benchmarks.footprint``.

Installed size is that of the package alone and with everything it needs, as its metadata says (Keras leaves
it to its users to install JAX). The rivals' wheels are not here any more: the size given is that of their
installed files packed as a wheel is packed.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Sequence
from email import message_from_bytes
from importlib import metadata
from pathlib import Path
from typing import Any

import fastconv
from benchmarks import CHECKOUT, charts
from benchmarks.reports import Report, parse
from fastconv.cli.options import whole_number

PACKAGES = ("fastconv", "torch", "onnxruntime", "keras", "jax")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.footprint", description=__doc__)
    parser.add_argument("--packages", nargs="+", choices=PACKAGES, default=PACKAGES)
    parser.add_argument("--imports", type=whole_number(1), default=5, help="processes to time (default: 5)")
    parser.add_argument("--no-wheels", action="store_true", help="leave out the wheels, which take minutes")
    options = parse(parser, argv, timed=False)
    report = Report("footprint", options)
    bare = statistics.median(_import_seconds("sys", options.imports))
    report.line(f"{'':14}{'import':>9}{'installed':>12}{'with all it needs':>20}{'wheel':>10}")
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for name in options.packages:
            if name != "fastconv" and not _is_installed(name):
                continue
            row = _measure(name, options, Path(folder), bare)
            rows.append(row)
            wheel = "-" if row["wheel"] is None else f"{row['wheel'] / 1e6:.1f} MB"
            report.line(
                f"{name:14}{row['import_seconds']:>7.2f} s{row['installed'] / 1e6:>9.1f} MB"
                f"{row['with_dependencies'] / 1e6:>17.1f} MB{wheel:>10}"
            )
    report.line(f"\nImport times are without those {bare:.2f} s that Python itself takes to start.")
    report.add_versions({f"{row['package']} {row['version']}" for row in rows})
    spreads = [max(row["imports"]) / min(row["imports"]) - 1 for row in rows]
    report.about["noise"] = (
        f"{options.imports} imports of a package were within {max(spreads):.0%} of each other"
    )
    report.write(rows=rows)
    charts.footprint(report.path("png"), report.about, rows)
    return 0


def _measure(name: str, options: argparse.Namespace, folder: Path, bare: float) -> dict[str, Any]:
    if name == "fastconv":  # possibly installed in place, where there are no files of its own
        wheel = _build_wheel(folder)
        with zipfile.ZipFile(wheel) as archive:
            own = sum(entry.file_size for entry in archive.infolist())
            about = next(entry for entry in archive.namelist() if entry.endswith(".dist-info/METADATA"))
            requirements = message_from_bytes(archive.read(about)).get_all("Requires-Dist", [])
        wheel_size: int | None = wheel.stat().st_size
        version = fastconv.__version__
    else:
        own = _installed_size(name)
        requirements = metadata.requires(name) or []
        wheel_size = None if options.no_wheels else _packed_size(name, folder)
        version = metadata.version(name)
    imports = _import_seconds(name, options.imports)
    return {
        "package": name,
        "version": version,
        "import_seconds": max(0.0, statistics.median(imports) - bare),
        "imports": imports,
        "installed": own,
        "with_dependencies": own + sum(map(_installed_size, _closure(requirements))),
        "wheel": wheel_size,
    }


def _import_seconds(module: str, times: int) -> list[float]:
    """Times of processes that do nothing else; one before the first fills the disk's cache."""
    where, environment = Path(fastconv.__file__).parents[1], os.environ | {"KERAS_BACKEND": "jax"}
    seconds: list[float] = []
    for _ in range(times + 1):
        start = time.perf_counter()
        command = [sys.executable, "-c", f"import {module}"]
        subprocess.run(command, check=True, capture_output=True, cwd=where, env=environment)
        seconds.append(time.perf_counter() - start)
    return seconds[1:]


def _build_wheel(folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(folder), str(CHECKOUT)]
    subprocess.run(command, check=True)
    return next(folder.glob("fastconv-*.whl"))


def _is_installed(name: str) -> bool:
    try:
        metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _closure(requirements: list[str]) -> set[str]:
    """The installed distributions that fulfil these requirements, and all that those need, extras aside."""
    found: set[str] = set()
    waiting = list(requirements)
    while waiting:
        requirement = waiting.pop()
        name = re.sub(r"[-_.]+", "-", re.split(r"[^\w.-]", requirement, maxsplit=1)[0]).lower()
        if "extra ==" in requirement or name in found or not _is_installed(name):
            continue
        found.add(name)
        waiting += metadata.requires(name) or []
    return found


def _files(name: str) -> list[Path]:
    """What the distribution's wheel held: compiled bytecode and scripts came later."""
    files = metadata.distribution(name).files or []
    paths = [Path(str(file.locate())) for file in files if not str(file).startswith("..")]
    return [path for path in paths if path.is_file() and path.suffix != ".pyc"]


def _installed_size(name: str) -> int:
    return sum(path.stat().st_size for path in _files(name))


def _packed_size(name: str, folder: Path) -> int:
    archive_path = folder / f"{name}.zip"
    with zipfile.ZipFile(archive_path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, path in enumerate(_files(name)):
            archive.write(path, str(number))
    return archive_path.stat().st_size


if __name__ == "__main__":
    sys.exit(main())
