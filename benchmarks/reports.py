"""What a measurement says: printed as it comes, and kept as a table, and a JSON file of every number."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import machine, realtime


def parse(
    parser: argparse.ArgumentParser, argv: Sequence[str] | None, timed: bool = True
) -> argparse.Namespace:
    """The options, among them ``out`` and, if anything is ``timed``, ``realtime``; and the ``command``."""
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("build/benchmarks"),
        metavar="FOLDER",
        help="where the report goes (default: build/benchmarks)",
    )
    if timed:
        parser.add_argument(
            "--realtime", action="store_true", help="while something is timed, other processes wait (as root)"
        )
    options = parser.parse_args(argv)
    if timed and options.realtime and not realtime.permitted():
        parser.error("--realtime: this system does not let us (it takes Linux, and root or CAP_SYS_NICE)")
    options.command = shlex.join([*parser.prog.split(), *(sys.argv[1:] if argv is None else argv)])
    return options


class Report:
    """Lines for people and numbers for programs, under one head: date, command, machine, versions, noise."""

    def __init__(self, name: str, options: argparse.Namespace, **more: str):
        self.name, self.folder = name, options.out
        self.about = machine.describe() | {"command": options.command} | more
        if hasattr(options, "realtime"):
            scheduling = "real time: other processes wait" if options.realtime else "among other processes"
            self.about["scheduling"] = scheduling
        self.lines: list[str] = []
        print(machine.text(self.about), "\n", sep="")

    def line(self, text: str = "") -> None:
        print(text, flush=True)
        self.lines.append(text)

    def add_versions(self, versions: set[str]) -> None:
        """Of whatever else took part: "torch 2.13.0" and the like."""
        told = self.about["versions"].lower()
        news = [version for version in sorted(versions) if version.split()[0] not in told]
        self.about["versions"] = ", ".join([self.about["versions"], *news])

    def path(self, ending: str) -> Path:
        return self.folder / f"{self.name}.{ending}"

    def write(self, **numbers: Any) -> None:
        """The table and the numbers; the head as it stands by now."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.path("json").write_text(json.dumps({"machine": self.about, **numbers}, indent=1) + "\n")
        self.path("txt").write_text("\n".join([machine.text(self.about), "", *self.lines]) + "\n")
        print(f"\nnoise: {self.about['noise']}\nwritten: {self.path('json')} and .txt")
