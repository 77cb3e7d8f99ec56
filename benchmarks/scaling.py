"""How cost grows, and what threads gain: ``python -m benchmarks.scaling``.

Time of a convolution's three passes against images, pixels and channels: it should grow linearly, as
fixed + each * size. Those two are fitted (in proportion: the sum of squares of relative errors is least) and
told with the typical error of the fit, and with the exponent of the growth, 1 where it is linear, over the
upper half of the sizes. Then whole networks with all threads against one.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

import fastconv
from benchmarks import charts, realtime
from benchmarks.networks import NETWORKS, batches
from benchmarks.reports import Report, parse
from benchmarks.rivals.ours import RivalNetwork
from benchmarks.roofline import passes
from fastconv.cli.bench import median_seconds
from fastconv.cli.options import positive_number, whole_number

# (images, height = width, channels in, channels out) of 3x3 convolutions; one of the first three varies.
SWEEPS: dict[str, list[tuple[int, int, int, int]]] = {
    "images": [(2**i, 14, 64, 64) for i in range(9)],
    "pixels": [(8, side, 32, 32) for side in (7, 10, 14, 20, 28, 40, 56, 80, 112)],
    "channels": [(16, 14, channels, 64) for channels in (8, 16, 32, 64, 128, 256, 512)],
}


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.scaling", description=__doc__)
    parser.add_argument(
        "--threads", type=whole_number(1), default=fastconv.get_num_threads(), help="compared with one"
    )
    parser.add_argument("--nets", nargs="*", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--batches", nargs="+", type=whole_number(1), default=[1, 32, 128])
    parser.add_argument(
        "--seconds", type=positive_number, default=0.2, help="for each measurement (default: 0.2)"
    )
    parser.add_argument(
        "--rounds", type=whole_number(1), default=5, help="of turns with one thread (default: 5)"
    )
    options = parse(parser, argv)
    report = Report("scaling", options)
    with realtime.running(options.realtime):
        peaks = [fastconv.measure_peak(1)]
        rows = _growth(report, options.seconds)
        peaks.append(fastconv.measure_peak(1))
        speedups = _speedups(report, options)
        peaks.append(fastconv.measure_peak(1))
    rates = ", ".join(f"{peak / 1e9:.0f}" for peak in peaks)
    report.about["noise"] = f"FMA peak of one thread at the start, between, at the end: {rates} GFLOP/s"
    report.write(growth=rows, speedups=speedups)
    charts.scaling(report.path("png"), report.about, rows, speedups)
    return 0


def _growth(report: Report, seconds: float) -> list[dict[str, Any]]:
    """On one thread, where nothing else grows with the size."""
    report.line("time over size, one thread, fitted: fixed + each * size")
    report.line(f"  {'':27}{'sizes':>14}{'fixed':>11}{'each':>14}{'error':>8}{'exponent':>10}")
    rows: list[dict[str, Any]] = []
    with fastconv.set_num_threads(1):
        for axis, shapes in SWEEPS.items():
            times: dict[str, list[float]] = {}
            for N, size, C_in, C_out in shapes:
                for name, compute in passes(*_operands(N, size, C_in, C_out)).items():
                    times.setdefault(name, []).append(median_seconds(partial(compute, "auto"), seconds))
            sizes = [(N, size * size, C_in)[list(SWEEPS).index(axis)] for N, size, C_in, _ in shapes]
            for name, measured in times.items():
                row = {"axis": axis, "what": name, "sizes": sizes, "seconds": measured} | _fit(
                    sizes, measured
                )
                rows.append(row)
                report.line(
                    f"  {axis:<10}{name:<17}{sizes[0]:>6} -{sizes[-1]:>6}{1e6 * row['fixed']:>8.1f} us"
                    f"{1e6 * row['each']:>11.4f} us{row['error']:>8.1%}{row['exponent']:>10.2f}"
                )
    return rows


def _operands(N: int, size: int, C_in: int, C_out: int) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(0)
    shapes = [(N, size, size, C_in), (3, 3, C_in, C_out), (C_out,), (N, size, size, C_out)]
    return tuple(rng.standard_normal(shape, np.float32) for shape in shapes)


def _fit(sizes: list[int], seconds: list[float]) -> dict[str, float]:
    """Seconds as fixed + each * size; the fit's root mean square relative error; the exponent of growth.

    The exponent is the slope of log(seconds) over log(size) in the upper half, where the fixed cost of a call
    no longer counts.
    """
    x, y, half = np.array(sizes, float), np.array(seconds), len(sizes) // 2
    each, fixed = np.polyfit(x, y, 1, w=1 / y)
    error = np.sqrt(np.mean(((fixed + each * x) / y - 1) ** 2))
    exponent = np.polyfit(np.log(x[half:]), np.log(y[half:]), 1)[0]
    return {"fixed": float(fixed), "each": float(each), "error": float(error), "exponent": float(exponent)}


def _speedups(report: Report, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Whole steps on one thread and on all, in turns."""
    report.line(f"\n{options.threads} threads over one, median of {options.rounds} turns (lowest, highest)")
    rows = []
    for name in options.nets:
        network = NETWORKS[name]
        for batch in options.batches:
            ours = RivalNetwork(network, network.initial_weights(), batches(network, batch), 1e-6)
            for mode, step in ours.steps().items():
                ratios = []
                for _ in range(options.rounds):
                    alone = _seconds_a_step(step, 1, options.seconds)
                    ratios.append(alone / _seconds_a_step(step, options.threads, options.seconds))
                speedup = statistics.median(ratios)
                rows.append({"net": name, "batch": batch, "mode": mode, "speedup": speedup, "all": ratios})
                spread = f"({min(ratios):.2f}, {max(ratios):.2f})"
                report.line(f"  {name:<13}{batch:>4} {mode:<11}{speedup:>6.2f}  {spread}")
    return rows


def _seconds_a_step(step: Callable[[int], object], threads: int, seconds: float) -> float:
    with fastconv.set_num_threads(threads):
        step(0)
        steps, start = 0, time.perf_counter()
        while steps < 2 or time.perf_counter() - start < seconds:
            step(steps)
            steps += 1
        return (time.perf_counter() - start) / steps


if __name__ == "__main__":
    sys.exit(main())
