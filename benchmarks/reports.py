"""Where reports go: ``--out``, and a JSON file beside each chart."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any


def add_out(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("build/benchmarks"),
        metavar="FOLDER",
        help="default: build/benchmarks",
    )


def write(folder: Path, name: str, report: dict[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(report, indent=1) + "\n")
    print(f"written: {folder / name}.json")
