"""fastconv against PyTorch, ONNX Runtime, Keras on JAX and NumPy: ``python -m benchmarks.versus``.

A training step is forward, loss, backward and an SGD step with Nesterov momentum; inference is the forward
pass to probabilities; both from Python, through each framework's public API. PyTorch is raced in four
settings (its arrays contiguous or channels last, eager or compiled), ONNX Runtime in two; the best of them
counts. All start from the same weights, and nothing is timed before its results agree with NumPy's in
float64 (benchmarks/checking.py). --layers races single convolutions: forward, back to the data and back to
the kernel.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

import fastconv
from benchmarks import charts
from benchmarks.checking import Check, check, fault
from benchmarks.layers import LAYERS
from benchmarks.networks import NETWORKS
from benchmarks.race import Process, Race, WorkerError, quartiles, run
from benchmarks.reports import Report, parse
from benchmarks.rivals import FORCED, RIVALS
from fastconv.cli.options import positive_number, whole_number

FAMILIES = list(dict.fromkeys(rival.family for rival in RIVALS.values()))
LAYER_NAMES = [layer.name for layer in LAYERS]


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m benchmarks.versus",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--nets", nargs="*", choices=NETWORKS, help="networks to race (default: all)")
    parser.add_argument("--layers", nargs="*", choices=LAYER_NAMES, help="convolutions to race instead")
    parser.add_argument("--batches", nargs="+", type=whole_number(1), default=[1, 32, 128])
    parser.add_argument("--threads", nargs="+", type=whole_number(1), default=[1, 2])
    parser.add_argument("--modes", nargs="+", help="train, inference, or passes of a layer")
    parser.add_argument(
        "--isa",
        choices=fastconv.available_isas(),
        help="hold fastconv to this instruction set, and at avx2 all who can be held to it",
    )
    parser.add_argument("--rivals", nargs="+", choices=[name for name in RIVALS if name != "fastconv"])
    parser.add_argument(
        "--seconds", type=positive_number, default=0.5, help="length of a slice (default: 0.5)"
    )
    parser.add_argument("--rounds", type=whole_number(1), default=7, help="slices for each (default: 7)")
    found = parse(parser, argv)
    if found.layers is not None:
        found.subjects = found.layers or LAYER_NAMES
    else:
        found.subjects = found.nets or list(NETWORKS)
    return found


def main(argv: Sequence[str] | None = None) -> int:
    options = arguments(argv)
    with fastconv.set_isa(options.isa or fastconv.get_isa()):
        return _race_all(options)


def _race_all(options: argparse.Namespace) -> int:
    rivals = _installed(options.rivals or list(RIVALS))
    if options.layers is not None:
        rivals = [name for name in rivals if RIVALS[name].races_layers]
    held = {"held to": f"{options.isa}: {FORCED.get(options.isa, 'fastconv alone')}"} if options.isa else {}
    name = "versus" if options.layers is None else "versus-layers"
    report = Report(name, options, **held)
    report.line(_header())
    rows: list[dict[str, Any]] = []
    versions: set[str] = set()
    for subject in options.subjects:
        for batch in options.batches:
            problem = check(subject, batch)
            for threads in options.threads:
                for row in _races(subject, batch, threads, rivals, problem, options, versions):
                    rows.append(row)
                    report.line(_line(row))
    if not rows:
        return 1
    report.add_versions(versions)
    report.about["noise"] = _noise(rows)
    report.write(rows=rows)
    charts.versus(report.path("png"), report.about, rows)
    return 0


def _installed(names: list[str]) -> list[str]:
    """fastconv and those of ``names`` whose framework is here; the others are named."""
    chosen = ["fastconv", *(name for name in names if name != "fastconv")]
    for name in chosen:
        for package in RIVALS[name].missing():
            print(f"not raced: {name}: needs {package} (pip install '.[peers]')", file=sys.stderr)
    return [name for name in chosen if not RIVALS[name].missing()]


def _races(
    subject: str,
    batch: int,
    threads: int,
    rivals: list[str],
    problem: Check,
    options: argparse.Namespace,
    versions: set[str],
) -> Iterator[dict[str, Any]]:
    processes: list[Process] = []
    try:
        for name in rivals:
            process = _entrant(name, subject, batch, threads, options.isa, problem)
            if process is not None:
                processes.append(process)
                versions.add(process.version)
        ours = next((process for process in processes if process.rival == "fastconv"), None)
        for mode in ours.modes if ours else []:
            if options.modes is None or mode in options.modes:
                try:
                    race = run(processes, mode, options.rounds, options.seconds, threads, options.realtime)
                except WorkerError as error:
                    print(f"not finished: {subject}, batch {batch}, {mode}: {error}", file=sys.stderr)
                    continue
                yield _row(subject, batch, threads, mode, race)
    finally:
        for process in processes:
            process.close()


def _entrant(
    name: str, subject: str, batch: int, threads: int, isa: str | None, problem: Check
) -> Process | None:
    """A process whose results have been found right, or None, with a message."""
    process = None
    try:
        process = Process(name, subject, batch, threads, isa)
        wrong = fault(process.results(problem), problem.expected)
        if wrong:
            raise WorkerError(f"{name}: {wrong}")
    except WorkerError as error:
        print(f"not raced: {subject}, batch {batch}: {error}", file=sys.stderr)
        if process is not None:
            process.close()
        return None
    return process


def _row(subject: str, batch: int, threads: int, mode: str, race: Race) -> dict[str, Any]:
    row: dict[str, Any] = {
        "subject": subject,
        "batch": batch,
        "mode": mode,
        "threads": threads,
        "images_per_second": {name: batch * race.median(name) for name in race.rates},
        "slices": {name: [batch * rate for rate in rates] for name, rates in race.rates.items()},
        "peak": race.peaks,
        "best": {},
        "ratio": {},
    }
    rate = batch * race.median("fastconv") * _operations(subject, mode)
    row["share_of_peak"] = rate / float(np.median(race.peaks))
    for family in FAMILIES[1:]:
        name = race.best([name for name, rival in RIVALS.items() if rival.family == family])
        if name is not None:
            row["best"][family] = name
            row["ratio"][family] = quartiles(race.ratios("fastconv", name))
    others = race.best([name for name in race.rates if name != "fastconv"])
    if others is not None:
        row["best"]["all"] = others
        row["ratio"]["all"] = quartiles(race.ratios("fastconv", others))
    return row


def _operations(subject: str, mode: str) -> int:
    """For one image."""
    if subject in LAYER_NAMES:
        return LAYERS[LAYER_NAMES.index(subject)].operations(1)
    return NETWORKS[subject].operations(training=mode == "train")


# ---- the report


def _header() -> str:
    return (
        f"{'images per second':12} {'batch':>5} {'mode':<15} {'threads':>7} {'fastconv':>10}"
        + "".join(f"{family:>14}" for family in FAMILIES[1:])
        + f"  {'ratio to the best (quartiles)':<44} of FMA peak"
    )


def _line(row: dict[str, Any]) -> str:
    rates = row["images_per_second"]
    text = f"{row['subject']:17} {row['batch']:>5} {row['mode']:<15} {row['threads']:>7}"
    text += f" {rates['fastconv']:>10,.0f}"
    for family in FAMILIES[1:]:
        name = row["best"].get(family)
        text += f"{rates[name]:>14,.0f}" if name else f"{'-':>14}"
    ratio = ""
    if "all" in row["ratio"]:
        low, middle, high = row["ratio"]["all"]
        ratio = f"{middle:5.2f} ({low:.2f}-{high:.2f}) x {row['best']['all']}"
    return f"{text}  {ratio:<44} {row['share_of_peak']:>10.1%}"


def _noise(rows: list[dict[str, Any]]) -> str:
    """How much the machine's own peak varied: between rounds of one race, and over the whole run."""
    within = [max(row["peak"]) / min(row["peak"]) - 1 for row in rows]
    text = f"the measured FMA peak varied by {np.median(within):.0%} within a race (median)"
    for threads in sorted({row["threads"] for row in rows}):
        peaks = [peak for row in rows if row["threads"] == threads for peak in row["peak"]]
        text += f"; {min(peaks) / 1e9:.0f}-{max(peaks) / 1e9:.0f} GFLOP/s with {threads} thread(s)"
    return text


if __name__ == "__main__":
    sys.exit(main())
