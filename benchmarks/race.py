"""Races: every contestant in a process of its own, taking turns, so that all meet the same noise.

A round gives each contestant a slice of time, and the machine's multiply-adds are measured between rounds.
Ratios are taken within a round and the median over rounds is what is told: drift of the machine cancels, and
how much the peak varied says how much there was.
"""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

import fastconv
from benchmarks import realtime
from benchmarks.checking import Check, save_batches
from benchmarks.rivals import environment

PAUSE = 0.02  # seconds for the last contestant's threads to fall asleep
PATIENCE = 900  # seconds for an answer: torch.compile may take minutes, and what crashed may never end


class WorkerError(RuntimeError):
    """A contestant could not do what it was asked to."""


class Process:
    """The parent's end of benchmarks/worker.py."""

    def __init__(self, rival: str, subject: str, batch: int, threads: int, isa: str | None = None):
        self.rival = rival
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed in close()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            env=environment(threads, isa),
            start_new_session=True,  # with whatever processes it starts, to be ended together
        )
        try:
            self.build(subject, batch)
        except BaseException:
            self.close()
            raise

    def build(self, subject: str, batch: int) -> None:
        """What is raced from now on."""
        built = self.ask(build={"rival": self.rival, "subject": subject, "batch": batch})
        self.version: str = built["version"]
        self.modes: list[str] = built["modes"]

    def ask(self, **request: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        patience = threading.Timer(PATIENCE, self._kill)
        patience.start()
        with suppress(BrokenPipeError):  # it has ended; the log says why
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        line = self._process.stdout.readline()
        patience.cancel()
        if not line:
            status = self._process.wait()
            self._log.seek(0)
            raise WorkerError(f"{self.rival}: ended with status {status}: {self._log.read()[-2000:].strip()}")
        answer = json.loads(line)
        if "error" in answer:
            raise WorkerError(f"{self.rival}: {answer['error']}")
        return answer

    def results(self, check: Check) -> dict[str, np.ndarray]:
        with tempfile.TemporaryDirectory() as folder:
            given, path = Path(folder) / "batches.npz", Path(folder) / "results.npz"
            save_batches(given, check.batches)
            self.ask(results=str(path), batches=str(given), rate=check.rate)
            with np.load(path) as file:
                return dict(file)

    def steps_per_second(self, mode: str, seconds: float, in_real_time: bool = False) -> float:
        answer = self.ask(mode=mode, seconds=seconds, realtime=in_real_time)
        return answer["steps"] / answer["seconds"]

    def close(self) -> None:
        self._kill()
        self._process.communicate()
        self._log.close()

    def _kill(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def __enter__(self) -> Process:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@dataclass
class Race:
    """Rates of every contestant, in steps per second, and the machine's peak, in FLOP/s: one a round."""

    rates: dict[str, list[float]] = field(default_factory=dict)
    peaks: list[float] = field(default_factory=list)

    def median(self, rival: str) -> float:
        return statistics.median(self.rates[rival])

    def best(self, rivals: list[str]) -> str | None:
        """The fastest of ``rivals``, or None where none of them took part."""
        return max((rival for rival in rivals if rival in self.rates), key=self.median, default=None)

    def ratios(self, ours: str, theirs: str) -> list[float]:
        return [a / b for a, b in zip(self.rates[ours], self.rates[theirs], strict=True)]


def run(
    processes: list[Process],
    mode: str,
    rounds: int,
    seconds: float,
    threads: int,
    in_real_time: bool = False,
) -> Race:
    """Slices of ``seconds`` in turn, ``rounds`` times; who begins changes from round to round."""
    entrants = [process for process in processes if mode in process.modes]
    for process in entrants:
        process.steps_per_second(mode, seconds / 4, in_real_time)
    race = Race({process.rival: [] for process in entrants})
    for turn in range(rounds):
        with realtime.running(in_real_time):
            race.peaks.append(fastconv.measure_peak(threads, seconds=0.02))
        shift = turn % len(entrants)
        for process in entrants[shift:] + entrants[:shift]:
            time.sleep(PAUSE)
            race.rates[process.rival].append(process.steps_per_second(mode, seconds, in_real_time))
    return race


def quartiles(values: list[float]) -> tuple[float, float, float]:
    """Where a quarter, half and three quarters of the values lie below."""
    low, middle, high = np.percentile(values, [25, 50, 75])
    return float(low), float(middle), float(high)
