"""Memory, measured: ``python -m benchmarks.memory``.

Peak resident memory of a process that does nothing but import a framework and train: the whole of it, as the
system counts it (Linux). And resident memory of ours over many training steps and as many predictions, of
batches of all sizes, which must not grow.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from benchmarks import charts
from benchmarks.checking import starting_weights
from benchmarks.networks import NETWORKS, batches
from benchmarks.race import Process, WorkerError
from benchmarks.reports import Report, parse
from benchmarks.rivals import RIVALS, environment
from benchmarks.worker import RACING_RATE, memory
from fastconv.cli.options import positive_number, whole_number

# Resident memory is counted in pages and the allocator may move things about; a leak of one batch of the
# smallest network, every step, would be far more.
ALLOWED_GROWTH = 1 << 20
LARGEST_BATCH = 48  # of the growth


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.memory", description=__doc__)
    parser.add_argument(
        "--nets",
        nargs="+",
        choices=NETWORKS,
        default=["fashion_cnn", "resnet20", "unet"],
        help="whose peaks are compared (default: %(default)s)",
    )
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
        "--steps",
        type=whole_number(0),
        default=10_000,
        help="of training, and as many predictions, for the growth (default: %(default)s; 0: leave it)",
    )
    parser.add_argument("--growth-net", choices=NETWORKS, default="lenet5")
    options = parse(parser, argv, timed=False)
    report = Report("memory", options)
    names = ["fastconv", *(name for name in options.rivals or RIVALS if name != "fastconv")]
    names = [name for name in names if not RIVALS[name].missing()]
    peaks = {net: _peaks(report, net, names, options) for net in options.nets}
    spreads = [max(row["all"]) / min(row["all"]) - 1 for rows in peaks.values() for row in rows.values()]
    report.about["noise"] = f"peaks of {options.runs} processes each within {max(spreads, default=0):.1%}"
    growth = _growth(report, options.growth_net, options.steps, options.threads) if options.steps else None
    report.write(batch=options.batch, peaks=peaks, growth=growth)
    charts.memory(report.path("png"), report.about, peaks, growth)
    return 0 if growth is None or growth["grown"] <= ALLOWED_GROWTH else 1


def _peaks(report: Report, net: str, names: list[str], options: argparse.Namespace) -> dict[str, Any]:
    """Bytes at most of each contestant: after it was built, and after it has trained (median of the runs)."""
    report.line(f"peak resident memory, training {net}, batch {options.batch}, {options.threads} thread(s)")
    found: dict[str, Any] = {}
    versions: set[str] = set()
    for name in names:
        runs: list[tuple[int, int]] = []
        try:
            for _ in range(options.runs):
                with Process(name, net, options.batch, options.threads) as process:
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
    report.line()
    return found


def _growth(report: Report, net: str, steps: int, threads: int) -> dict[str, Any]:
    """Resident memory of one process along so many steps of training, and then as many predictions.

    Grown is what it has more at the end of each of the two than half way, when every buffer has been made and
    the allocator has met all sizes often.
    """
    order = f"from benchmarks.memory import follow; follow({net!r}, {steps})"
    command = [sys.executable, "-c", order]
    done = subprocess.run(
        command, env=environment(threads, None), stdout=subprocess.PIPE, text=True, check=True
    )
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    report.line(f"resident memory of fastconv, {net}, batches of 1 to {LARGEST_BATCH} images")
    grown = 0
    for mode in ("train", "inference"):
        levels = [row["bytes"] for row in rows if row["mode"] == mode]
        grown = max(grown, levels[-1] - levels[len(levels) // 2 - 1])
    for row in rows:
        report.line(f"  {row['mode']:<10} after {row['steps']:>8,} steps{row['bytes'] / 1e6:>9.2f} MB")
    verdict = "no growth" if grown <= ALLOWED_GROWTH else "IT GROWS"
    report.line(f"  {grown / 1e6:+.2f} MB in the second half: {verdict}")
    return {"network": net, "rows": rows, "grown": grown}


def follow(net: str, steps: int) -> None:
    """Print resident memory after each tenth of the training, then of the predictions, as lines of JSON."""
    for row in _followed(net, steps):
        print(json.dumps(row), flush=True)


def _followed(net: str, steps: int) -> Iterator[dict[str, Any]]:
    from benchmarks.rivals.ours import RivalNetwork

    network, rng = NETWORKS[net], np.random.default_rng(1)
    x, y = batches(network, LARGEST_BATCH)[0]
    model = RivalNetwork(network, starting_weights(network), [(x, y)], RACING_RATE).model
    calls: dict[str, Callable[[int], object]] = {
        "train": lambda images: model.train_on_batch(x[:images], y[:images]),
        "inference": lambda images: model.predict_on_batch(x[:images]),
    }
    for mode, call in calls.items():
        for images in [*range(1, LARGEST_BATCH + 1)] * 3:
            call(images)
        for part in range(1, 11):
            for images in rng.integers(1, LARGEST_BATCH, steps // 10, endpoint=True):
                call(int(images))
            yield {"mode": mode, "steps": part * (steps // 10), "bytes": memory()["now"]}


if __name__ == "__main__":
    sys.exit(main())
