"""Every convolution kernel under the machine's roof: ``python -m benchmarks.roofline``.

The roof is the lower of two limits, both measured here: multiply-adds in registers, and bytes to and from
memory. A pass that does F operations on B bytes (operands and result, each moved once) can do no more than
min(peak, bandwidth * F / B) operations a second. Winograd's rates are effective ones: the operations are
those of the direct sum, of which it does a quarter, so that it may go through the roof.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

import fastconv
from benchmarks import charts, realtime
from benchmarks.layers import LAYERS, ConvLayer, layer_operands
from benchmarks.reports import Report, parse
from fastconv import ops
from fastconv._core.roof import bandwidth
from fastconv.cli.bench import median_seconds
from fastconv.cli.options import positive_number, whole_number


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.roofline", description=__doc__)
    parser.add_argument("--layers", nargs="+", choices=[layer.name for layer in LAYERS], help="default: all")
    parser.add_argument("--algorithms", nargs="+", choices=ops.ALGORITHMS, help="default: all but auto")
    parser.add_argument("--batch", type=whole_number(1), default=32)
    parser.add_argument("--threads", type=whole_number(1), default=fastconv.get_num_threads())
    parser.add_argument("--isa", choices=fastconv.available_isas(), default=fastconv.get_isa())
    parser.add_argument("--seconds", type=positive_number, default=0.2, help="for each kernel (default: 0.2)")
    options = parse(parser, argv)
    isa, threads = fastconv.set_isa(options.isa), fastconv.set_num_threads(options.threads)
    with isa, threads, realtime.running(options.realtime):
        return _measure_all(options)


def _measure_all(options: argparse.Namespace) -> int:
    peak = fastconv.measure_peak(seconds=2 * options.seconds)
    memory = bandwidth(options.threads, 2 * options.seconds)
    roof = f"{peak / 1e9:.0f} GFLOP/s, {memory / 1e9:.1f} GB/s, {options.threads} thread(s)"
    report = Report("roofline", options, roof=roof)
    report.line(
        f"batch {options.batch:<10}{'pass':<17}{'algorithm':<12}"
        f"{'FLOP/byte':>10}{'GFLOP/s':>9}{'of peak':>9}{'of roof':>9}"
    )
    rows = []
    for layer in LAYERS:
        if options.layers is None or layer.name in options.layers:
            for row in _points(layer, options, peak, memory):
                rows.append(row)
                rate = row["flops"]
                report.line(
                    f"{row['layer']:16}{row['pass']:<17}{row['algorithm']:<12}{row['intensity']:>10.1f}"
                    f"{rate / 1e9:>9.1f}{rate / peak:>9.1%}{rate / row['roof']:>9.1%}"
                )
    # The same machine at the end, to tell how far the roof itself moved meanwhile.
    later = fastconv.measure_peak(seconds=2 * options.seconds)
    report.about["noise"] = f"FMA peak {peak / 1e9:.0f} GFLOP/s at the start, {later / 1e9:.0f} at the end"
    report.write(peak=peak, bandwidth=memory, rows=rows)
    charts.roofline(report.path("png"), report.about, peak, memory, rows)
    return 0


def passes(
    x: np.ndarray, kernel: np.ndarray, bias: np.ndarray, dy: np.ndarray
) -> dict[str, Callable[[str], Any]]:
    """Each pass of a convolution with padding "same", as a function of the algorithm."""
    return {
        "forward": lambda algorithm: ops.conv2d(x, kernel, bias, padding="same", algorithm=algorithm),
        "backward-data": lambda algorithm: ops.conv2d_backward_data(
            dy, kernel, x.shape, padding="same", algorithm=algorithm
        ),
        "backward-kernel": lambda algorithm: ops.conv2d_backward_kernel(
            x, dy, kernel.shape[:2], padding="same", algorithm=algorithm
        ),
    }


def _points(
    layer: ConvLayer, options: argparse.Namespace, peak: float, memory: float
) -> list[dict[str, Any]]:
    x, kernel, bias, dy = layer_operands(layer.name, options.batch)
    operations = layer.operations(options.batch)
    intensity = operations / (x.nbytes + kernel.nbytes + dy.nbytes)
    rows = []
    for name, compute in passes(x, kernel, bias, dy).items():
        for algorithm in options.algorithms or [a for a in ops.ALGORITHMS if a != "auto"]:
            try:
                seconds = median_seconds(partial(compute, algorithm), options.seconds)
            except ValueError:  # this algorithm is not for this layer
                continue
            rows.append(
                {
                    "layer": layer.name,
                    "pass": name,
                    "algorithm": algorithm,
                    "intensity": intensity,
                    "flops": operations / seconds,
                    "roof": min(peak, memory * intensity),
                }
            )
    return rows


if __name__ == "__main__":
    sys.exit(main())
