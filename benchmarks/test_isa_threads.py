"""What wider vectors and more threads gain: "auto" on a few layers, on every instruction set of this CPU."""

from __future__ import annotations

import numpy as np
import pytest

import fastconv
from benchmarks import numpy_conv
from benchmarks.layers import LAYERS, layer_operands
from benchmarks.roofline import passes

BATCH = 32
THREADS = sorted({1, fastconv.get_num_threads()})
CHOSEN = [layer for layer in LAYERS if layer.name in ("lenet-c3", "cs231n-10", "convnetjs-2", "fashion-3")]


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("isa", fastconv.available_isas())
@pytest.mark.parametrize("direction", ["forward", "backward-data", "backward-kernel"])
@pytest.mark.parametrize("layer", CHOSEN, ids=lambda layer: layer.name)
def test_isa_and_threads(benchmark, layer, direction: str, isa: str, threads: int) -> None:
    benchmark.group = f"isa and threads {direction} {layer.name}"
    x, kernel, bias, dy = layer_operands(layer.name, BATCH)
    compute = passes(x, kernel, bias, dy)[direction]
    with fastconv.set_isa(isa), fastconv.set_num_threads(threads):
        answer = compute("auto")
        _check(answer[0] if isinstance(answer, tuple) else answer, direction, x, kernel, bias, dy)
        benchmark.pedantic(compute, args=("auto",), rounds=15, warmup_rounds=1)
        if benchmark.disabled:
            return
        rate = layer.operations(BATCH) / benchmark.stats.stats.median
        peak = fastconv.measure_peak(seconds=0.05)  # of this instruction set, on so many threads
    benchmark.extra_info.update(
        gflops=round(rate / 1e9, 3), percent_of_peak=round(100 * rate / peak, 2), isa=isa, threads=threads
    )


def _check(answer: np.ndarray, direction: str, *operands: np.ndarray) -> None:
    x, kernel, bias, dy = (operand.astype(np.float64) for operand in operands)
    expected = {
        "forward": lambda: numpy_conv.forward(x, kernel, bias),
        "backward-data": lambda: numpy_conv.backward_data(dy, kernel),
        "backward-kernel": lambda: numpy_conv.backward_kernel(x, dy, len(kernel)),
    }[direction]()
    assert np.abs(answer - expected).max() <= 1e-4 * np.abs(expected).max()
