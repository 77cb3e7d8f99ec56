"""Memory, measured: ``python -m benchmarks.memory``.

Peak resident memory of a process that does nothing but import a framework and train: the whole of it, as the
system counts it (Linux). And resident memory of ours over many steps, which must not grow.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Sequence
from typing import Any

from benchmarks import charts
from benchmarks.networks import NETWORKS
from benchmarks.race import Process, WorkerError
from benchmarks.reports import Report, parse
from benchmarks.rivals import RIVALS
from fastconv.cli.options import positive_number, whole_number

# Resident memory is counted in pages and the allocator may move things about; a leak of one batch of the
# smallest network, every step, would be far more.
ALLOWED_GROWTH = 1 << 20


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.memory", description=__doc__)
    parser.add_argument("--net", choices=NETWORKS, default="fashion_cnn", help="whose peak is compared")
    parser.add_argument("--batch", type=whole_number(1), default=128)
    parser.add_argument("--threads", type=whole_number(1), default=2)
    parser.add_argument(
        "--seconds", type=positive_number, default=3, help="of training, for the peak (default: 3)"
    )
    parser.add_argument(
        "--runs", type=whole_number(1), default=3, help="processes of each, for the peak (default: 3)"
    )
    parser.add_argument("--rivals", nargs="+", choices=RIVALS, help="default: all")
    parser.add_argument(
        "--steps", type=whole_number(0), default=10_000, help="of training, for the growth (0: leave it)"
    )
    parser.add_argument("--growth-net", choices=NETWORKS, default="lenet5")
    options = parse(parser, argv, timed=False)
    report = Report("memory", options)
    names = ["fastconv", *(name for name in options.rivals or RIVALS if name != "fastconv")]
    peaks = _peaks(report, [name for name in names if not RIVALS[name].missing()], options)
    spreads = [max(row["all"]) / min(row["all"]) - 1 for row in peaks.values()]
    report.about["noise"] = f"peaks of {options.runs} processes each within {max(spreads, default=0):.1%}"
    growth = _growth(report, options.growth_net, options.steps, options.threads) if options.steps else None
    report.write(network=options.net, batch=options.batch, peaks=peaks, growth=growth)
    charts.memory(report.path("png"), report.about, peaks, growth)
    return 0 if growth is None or growth["grown"] <= ALLOWED_GROWTH else 1


def _peaks(report: Report, names: list[str], options: argparse.Namespace) -> dict[str, Any]:
    """Bytes at most of each contestant: after it was built, and after it has trained (median of the runs)."""
    report.line(
        f"peak resident memory, training {options.net}, batch {options.batch}, {options.threads} thread(s)"
    )
    found: dict[str, Any] = {}
    versions: set[str] = set()
    for name in names:
        runs: list[tuple[int, int]] = []
        try:
            for _ in range(options.runs):
                with Process(name, options.net, options.batch, options.threads) as process:
                    if "train" not in process.modes:
                        break
                    built = process.ask(memory=True)["peak"]
                    process.steps_per_second("train", options.seconds)
                    runs.append((built, process.ask(memory=True)["peak"]))
                    versions.add(process.version)
        except WorkerError as error:
            print(f"not measured: {error}", file=sys.stderr)
            continue
        if not runs:  # it only infers
            continue
        built, trained = (statistics.median(values) for values in zip(*runs, strict=True))
        found[name] = {"built": built, "trained": trained, "all": [trained for _, trained in runs]}
        against = f"{trained / found['fastconv']['trained']:8.2f} x fastconv" if "fastconv" in found else ""
        report.line(f"  {name:<28}{built / 1e6:>7.0f} MB built{trained / 1e6:>7.0f} MB trained{against}")
    report.add_versions(versions)
    return found


def _growth(report: Report, net: str, steps: int, threads: int) -> dict[str, Any]:
    """Resident memory after a tenth of the steps, when every buffer has been made, and after all of them."""
    with Process("fastconv", net, 32, threads) as process:
        rows: list[dict[str, int]] = []
        for part in range(1, 11):
            process.ask(mode="train", steps=steps // 10)
            rows.append({"steps": part * (steps // 10), "bytes": process.ask(memory=True)["now"]})
    grown = rows[-1]["bytes"] - rows[0]["bytes"]
    report.line(f"\nresident memory of fastconv, training {net} at batch 32")
    for row in rows:
        report.line(f"  after {row['steps']:>8,} steps{row['bytes'] / 1e6:>9.2f} MB")
    verdict = "no growth" if grown <= ALLOWED_GROWTH else "IT GROWS"
    report.line(f"  {grown / 1e6:+.2f} MB after the first tenth: {verdict}")
    return {"network": net, "rows": rows, "grown": grown}


if __name__ == "__main__":
    sys.exit(main())
