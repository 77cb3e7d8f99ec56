"""How cost grows, and what threads gain: ``python -m benchmarks.scaling``.

Time of a convolution's three passes against images, pixels and channels, in proportion to each of which it
should grow. The slope told is that of a straight line through the points on logarithmic axes, from the middle
of the sizes on; proportion is 1. Then whole networks with all threads against one.
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
from benchmarks import charts, machine, reports
from benchmarks.networks import NETWORKS, batches
from benchmarks.rivals.ours import RivalNetwork
from benchmarks.roofline import median_seconds, passes

# (images, height = width, channels in, channels out) of 3x3 convolutions; one of the first three varies.
SWEEPS: dict[str, list[tuple[int, int, int, int]]] = {
    "images": [(2**i, 14, 64, 64) for i in range(9)],
    "pixels": [(8, side, 32, 32) for side in (7, 10, 14, 20, 28, 40, 56, 80, 112)],
    "channels": [(16, 14, channels, 64) for channels in (8, 16, 32, 64, 128, 256, 512)],
}


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.scaling", description=__doc__)
    parser.add_argument("--threads", type=int, default=fastconv.get_num_threads(), help="compared with one")
    parser.add_argument("--nets", nargs="*", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 32, 128])
    parser.add_argument("--seconds", type=float, default=0.2, help="for each measurement (default: 0.2)")
    parser.add_argument("--rounds", type=int, default=5, help="of turns with one thread (default: 5)")
    reports.add_out(parser)
    options = parser.parse_args(argv)
    about = machine.describe()
    print(machine.text(about))
    rows = _growth(options.seconds)
    speedups = _speedups(options)
    reports.write(options.out, "scaling", {"machine": about, "growth": rows, "speedups": speedups})
    charts.scaling(options.out / "scaling.png", about, rows, speedups)
    return 0


def _growth(seconds: float) -> list[dict[str, Any]]:
    """On one thread, where nothing else grows with the size."""
    print("\nslope of time over size (1: in proportion), one thread")
    rows: list[dict[str, Any]] = []
    with fastconv.set_num_threads(1):
        for axis, shapes in SWEEPS.items():
            times: dict[str, list[float]] = {}
            for N, size, C_in, C_out in shapes:
                for name, compute in passes(*_operands(N, size, C_in, C_out)).items():
                    times.setdefault(name, []).append(median_seconds(partial(compute, "auto"), seconds))
            sizes = [(N, size * size, C_in)[list(SWEEPS).index(axis)] for N, size, C_in, _ in shapes]
            for name, measured in times.items():
                slope = _slope(sizes, measured)
                rows.append({"axis": axis, "what": name, "sizes": sizes, "seconds": measured, "slope": slope})
                print(f"  {axis:<10}{name:<17}{slope:>6.2f}   {sizes[0]} to {sizes[-1]}", flush=True)
    return rows


def _operands(N: int, size: int, C_in: int, C_out: int) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(0)
    shapes = [(N, size, size, C_in), (3, 3, C_in, C_out), (C_out,), (N, size, size, C_out)]
    return tuple(rng.standard_normal(shape, np.float32) for shape in shapes)


def _slope(sizes: list[int], seconds: list[float]) -> float:
    """Of log(seconds) over log(size), in the upper half: below, the fixed cost of a call counts."""
    half = len(sizes) // 2
    return float(np.polyfit(np.log(sizes[half:]), np.log(seconds[half:]), 1)[0])


def _speedups(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Whole steps on one thread and on all, in turns."""
    print(f"\n{options.threads} threads over one, median of {options.rounds} turns (lowest, highest)")
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
                print(f"  {name:<13}{batch:>4} {mode:<11}{speedup:>6.2f}  {spread}", flush=True)
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
