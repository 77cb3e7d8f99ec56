"""One contestant in a process of its own: ``python -m benchmarks.worker``, spoken to by benchmarks/race.py.

Requests come as lines of JSON on standard input, answers go as lines of JSON to standard output:

    {"build": ..., ...}                      -> {"version": ..., "modes": [...]}
    {"results": path, "batches": path,
     "rate": 0.1}                            -> {}          what is to be compared, as an .npz file
    {"mode": "train", "seconds": 0.5,
     "realtime": false}                      -> {"steps": n, "seconds": t}
    {"mode": "train", "steps": 1000}         -> {}          no clock, just so many
    {"memory": true}                         -> {"now": bytes, "peak": bytes}

The contestant is built twice: for comparing results, without dropout, on the batches of the check
(benchmarks/checking.py); and as it is raced, on random images, at a learning rate so small that the numbers
stay what they are, however long the race.
"""

from __future__ import annotations

import json
import os
import sys
import time
from importlib import import_module
from typing import Any

import numpy as np

from benchmarks import realtime
from benchmarks.checking import load_batches, starting_weights
from benchmarks.description import Batch
from benchmarks.layers import LAYER_NAMES, layer_operands
from benchmarks.networks import batches, find
from benchmarks.rivals import RIVALS, Contestant

RACING_RATE = 1e-6


def build(
    rival: str, subject: str, batch: int, check: list[Batch] | None = None, rate: float = RACING_RATE
) -> Contestant:
    """``subject`` is the name of a network or of a convolution layer; ``check``: to compare, on these."""
    module, setting = import_module(f"benchmarks.rivals.{RIVALS[rival].module}"), RIVALS[rival].setting
    if subject in LAYER_NAMES:
        return module.RivalLayer(*layer_operands(subject, batch), **setting)
    network = find(subject)
    weights = starting_weights(network)
    if check is None:
        return module.RivalNetwork(network, weights, batches(network, batch), rate, **setting)
    return module.RivalNetwork(network.without_dropout(), weights, check, rate, **setting)


def timed(contestant: Contestant, mode: str, seconds: float) -> dict[str, float]:
    """Steps for so long, after a few that are not counted: others have had the caches meanwhile."""
    step, i = contestant.steps()[mode], 0
    start = time.perf_counter()
    while i < 2 or time.perf_counter() - start < seconds / 10:
        step(i)
        i += 1
    steps, start = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < seconds or steps < 2:
        step(i + steps)
        steps += 1
    return {"steps": steps, "seconds": elapsed}


def memory() -> dict[str, int]:
    """Resident memory of this process in bytes, now and at its most (Linux)."""
    with open("/proc/self/status") as file:
        fields = dict(line.split(":", 1) for line in file)
    kilobytes = {name: int(fields[field].split()[0]) for name, field in (("now", "VmRSS"), ("peak", "VmHWM"))}
    return {name: 1024 * value for name, value in kilobytes.items()}


class Worker:
    def __init__(self) -> None:
        self.contestant: Contestant | None = None
        self.order: dict[str, Any] = {}

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        if "build" in request:
            self.order = request["build"]
            self.contestant = None  # before the next is built, so that memory holds one
            self.contestant = build(**self.order)
            module = import_module(f"benchmarks.rivals.{RIVALS[self.order['rival']].module}")
            return {"version": module.version(), "modes": list(self.contestant.steps())}
        if "results" in request:
            contestant = build(**self.order, check=load_batches(request["batches"]), rate=request["rate"])
            np.savez(request["results"], **contestant.results())  # type: ignore[arg-type]
            return {}
        if "memory" in request:
            return memory()
        assert self.contestant is not None
        if "steps" in request:
            step = self.contestant.steps()[request["mode"]]
            for i in range(request["steps"]):
                step(i)
            return {}
        with realtime.running(request.get("realtime", False)):
            return timed(self.contestant, request["mode"], request["seconds"])


def main() -> None:
    # Frameworks print what they like, which is not an answer: standard output becomes standard error.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    worker = Worker()
    for line in sys.stdin:
        try:
            answer = worker.answer(json.loads(line))
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers)


if __name__ == "__main__":
    main()
