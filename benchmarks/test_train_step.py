"""Whole networks by batch: training step and inference, through the public API, as benchmarks.versus does."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.networks import NETWORKS, batches
from benchmarks.race import disagreement
from benchmarks.rivals import numpy_im2col
from benchmarks.rivals.ours import RivalNetwork

CHECKED = 4  # images, against NumPy in float64


@pytest.mark.parametrize("mode", ["train", "inference"])
@pytest.mark.parametrize("batch", [1, 32, 128])
@pytest.mark.parametrize("name", NETWORKS)
def test_step(race, benchmark, name: str, batch: int, mode: str) -> None:
    benchmark.group = f"{mode} {name}"
    network = NETWORKS[name]
    weights = network.initial_weights()
    problem = network.without_dropout(), weights, batches(network, min(batch, CHECKED)), 0.05
    found = RivalNetwork(*problem).results()
    what, error = disagreement(found, numpy_im2col.RivalNetwork(*problem, dtype=np.float64).results())
    assert error < 1e-2, what

    ours = RivalNetwork(network, weights, batches(network, batch), learning_rate=1e-6)
    step = ours.steps()[mode]
    race(lambda: step(0), batch * network.operations(training=mode == "train"))
    if not benchmark.disabled:
        benchmark.extra_info["images_per_second"] = round(batch / benchmark.stats.stats.median)
