"""Whole networks by batch: training step and inference, through the public API, as benchmarks.versus does."""

from __future__ import annotations

from functools import cache

import pytest

from benchmarks.checking import check, starting_weights
from benchmarks.networks import NETWORKS, batches
from benchmarks.rivals.ours import RivalNetwork
from benchmarks.worker import RACING_RATE

problem = cache(check)


@pytest.mark.parametrize("mode", ["train", "inference"])
@pytest.mark.parametrize("batch", [1, 32, 128])
@pytest.mark.parametrize("name", NETWORKS)
def test_step(race, benchmark, name: str, batch: int, mode: str) -> None:
    benchmark.group = f"{mode} {name}"
    network = NETWORKS[name]
    weights = starting_weights(network)
    right = problem(name, batch)
    checked = RivalNetwork(network.without_dropout(), weights, right.batches, right.rate)
    assert right.fault(checked.results()) is None

    ours = RivalNetwork(network, weights, batches(network, batch), RACING_RATE)
    step = ours.steps()[mode]
    race(lambda: step(0), batch * network.operations(training=mode == "train"))
    if not benchmark.disabled:
        benchmark.extra_info["images_per_second"] = round(batch / benchmark.stats.stats.median)
