"""Does "auto" pick well? On every layer and pass it runs in turns with each algorithm it could have picked.

What is asserted is that the answers agree; what is reported, in the table after pytest-benchmark's, is the
time of "auto" over that of the best. It should be within 10 %.
"""

from __future__ import annotations

import statistics
import time

import numpy as np
import pytest

import fastconv
from benchmarks.layers import LAYERS, ConvLayer, layer_operands
from benchmarks.roofline import passes
from fastconv import ops

ROUNDS, SECONDS = 7, 0.03
PASSES = ("forward", "backward-data", "backward-kernel")


@pytest.mark.parametrize("batch", [1, 32])
@pytest.mark.parametrize("direction", PASSES)
@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
def test_auto(benchmark, peak: float, layer: ConvLayer, direction: str, batch: int) -> None:
    benchmark.group = f"auto {direction} {layer.name}"
    compute = passes(*layer_operands(layer.name, batch))[direction]
    answers = {}
    for algorithm in ops.ALGORITHMS:
        try:
            answer = compute(algorithm)
        except ValueError:  # not for this layer
            continue
        answers[algorithm] = answer[0] if isinstance(answer, tuple) else answer
    for answer in answers.values():
        assert np.abs(answer - answers["naive"]).max() <= 1e-4 * np.abs(answers["naive"]).max()

    benchmark.pedantic(compute, args=("auto",), rounds=3, warmup_rounds=1)
    if benchmark.disabled:
        return
    fast = [algorithm for algorithm in answers if algorithm != "naive"]
    seconds: dict[str, list[float]] = {algorithm: [] for algorithm in fast}
    for turn in range(ROUNDS):
        for algorithm in fast[turn % len(fast) :] + fast[: turn % len(fast)]:
            seconds[algorithm].append(_seconds_a_call(compute, algorithm))
    medians = {algorithm: statistics.median(times) for algorithm, times in seconds.items()}
    best = min((algorithm for algorithm in fast if algorithm != "auto"), key=medians.__getitem__)
    rate = layer.operations(batch) / medians["auto"]
    benchmark.extra_info.update(
        gflops=round(rate / 1e9, 3),
        percent_of_peak=round(100 * rate / peak, 2),
        isa=fastconv.get_isa(),
        threads=fastconv.get_num_threads(),
        best=best,
        auto_over_best=round(
            statistics.median(a / b for a, b in zip(seconds["auto"], seconds[best], strict=True)), 3
        ),
    )


def _seconds_a_call(compute, algorithm: str) -> float:
    calls, start = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < SECONDS or not calls:
        compute(algorithm)
        calls += 1
    return elapsed / calls
