"""What of a program runs how, why, and what it costs: for ``model.explain``.

The cost of an operation at best is the longer of two times: its arithmetic at the rate of multiply-adds in
registers, and its bytes at the rate of adding arrays as large as the program's memory; both rates are
measured, here and now. Bytes are those of tensors that do not stay in a thread's workspace, and of weights.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from math import prod
from typing import Any, NamedTuple

from fastconv import _kernels
from fastconv._core.machine import measure_peak
from fastconv._core.roof import bandwidth
from fastconv.engine.program import Compiled, Program
from fastconv.graph.schedule import Call
from fastconv.layers.graphed import distinct

Times = tuple[float, float]
"""Seconds, forward and back."""


class Row(NamedTuple):
    """One operation, or a layer that runs in Python.

    layers      the names of those that it comes from
    size        of one example's output
    way         "lanes", "pixels" or "whole" (csrc/engine/engine.h); "python"
    algorithms  of a convolution's passes: forward, gradient of the input, gradient of the kernel
    stages      in which it runs, forward and back, from "1" on; behind a point if there are several programs
    bytes       of its output, for all images; 0 where it stays in a thread's workspace
    at_best     seconds; None in Python
    measured    seconds; None where nothing is measured
    why         it runs in this way, or in Python
    """

    operation: str
    layers: str
    size: tuple[int, ...]
    way: str
    algorithms: tuple[str, ...]
    stages: tuple[str, ...]
    bytes: int
    at_best: Times | None
    measured: Times | None
    why: str


class Measured(NamedTuple):
    """Seconds of a run, the fastest of some: of all of it, and of what belongs to no row."""

    run: float
    layouts: float
    losses: float


class Explanation(NamedTuple):
    """What runs how; or why a model runs layer by layer.

    footprint   bytes: "batch" of tensors, "workspace" of each thread, "fixed" of weights in another order and
                what is kept for the way back, "sums" of gradients
    flops       multiplications and additions a second, at best
    bandwidth   bytes a second, at best
    """

    rows: list[Row]
    why_not: str | None = None
    footprint: dict[str, int] | None = None
    flops: float = 0.0
    bandwidth: float = 0.0
    measured: Measured | None = None


def explained(
    program: Program, images: int, judged: Sequence[bool] | None, step: Callable[[], object] | None
) -> Explanation:
    """``judged`` says of each output whether it has a loss, where C takes the losses. ``step`` runs the
    program once, and is timed; then nobody else may use the program.
    """
    calls = program.schedule.calls
    footprint = dict.fromkeys(("batch", "workspace", "fixed", "sums"), 0)
    told: list[list[dict[str, Any]]] = []
    for call in calls:
        part = call.layer
        rows: list[dict[str, Any]] = []
        if isinstance(part, Compiled) and part.ops:
            rows, needed = part.described(images, program.tensors_of_losses(part, judged))
            for what in footprint:
                footprint[what] += needed[what]
        told.append(rows)
    flops, rate = _roof(_kernels.active_isa(), _kernels.num_threads(), _scale(sum(footprint.values()) // 4))
    seconds, measured = (None, None) if step is None else _timed(program, judged, step)
    numbered = sum(map(bool, told)) > 1
    listed: list[Row] = []
    program_number = 0
    for place, (call, abouts) in enumerate(zip(calls, told, strict=True)):
        if not isinstance(call.layer, Compiled):
            time_ = None if seconds is None else seconds[place][0]
            listed.append(_python_row(program, place, call, images, time_))
            continue
        program_number += bool(abouts)
        prefix = f"{program_number}." if numbered else ""
        for i, about in enumerate(abouts):
            best = (
                max(about["operations"] / flops, about["bytes"] / rate),
                max(about["back_operations"] / flops, about["back_bytes"] / rate),
            )
            time_ = None if seconds is None else seconds[place][i]
            listed.append(_row(call.layer, i, about, prefix, best, time_))
    return Explanation(listed, None, footprint, flops, rate, measured)


def _row(part: Compiled, i: int, about: dict[str, Any], prefix: str, best: Times, time_: Times | None) -> Row:
    op = part.ops[i]
    kind = op["elementwise"] if op["kind"] == "elementwise" else op["kind"]
    if op["kind"] == "activation":
        kind = op["activation"]
    elif op.get("activation", "linear") != "linear":
        kind = f"{kind} + {op['activation']}"
    names = [layer.name for layer in distinct((op["layer"], *op.get("also", ())))]
    goes_back = about["back_stage"] >= 0
    return Row(
        kind.replace("_", " "),
        ", ".join(names),
        part.sizes[op["output"]],
        about["way"],
        tuple(about["algorithms"] if goes_back else about["algorithms"][:1]),
        tuple(f"{prefix}{about[stage] + 1}" for stage in ("stage", "back_stage") if about[stage] >= 0),
        about["kept"],
        best,
        time_,
        about["why"],
    )


def _python_row(program: Program, place: int, call: Call, images: int, time_: Times | None) -> Row:
    sizes = [program.shape_of(number) for number in call.outputs]
    bytes_ = sum(4 * images * prod(size) for size in sizes)
    kind, name = type(call.layer).__name__, call.layer.name
    return Row(kind, name, sizes[0], "python", (), (), bytes_, None, time_, program.why[place])


# ---- at best


def _scale(floats: int) -> int:
    """A power of two near by, so that few of them are measured; from a first-level cache to memory."""
    return 1 << min(max(floats // 3, 1 << 12).bit_length(), 24)


@lru_cache(maxsize=64)
def _roof(isa: str, threads: int, floats: int) -> tuple[float, float]:
    """(operations, bytes) a second"""
    return measure_peak(threads, 0.05), bandwidth(threads, 0.05, floats)


# ---- measured


class _Watched:
    """A layer in Python whose passes are timed, in place of it in a schedule."""

    def __init__(self, layer: Any) -> None:
        self._layer = layer
        self._times = [0.0, 0.0]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._layer, name)

    def _in_time(self, which: int, function: Callable[..., Any], *args: Any, **options: Any) -> Any:
        start = time.perf_counter()
        result = function(*args, **options)
        self._times[which] += time.perf_counter() - start
        return result

    def compute(self, *args: Any, **options: Any) -> Any:
        return self._in_time(0, self._layer.compute, *args, **options)

    def gradient(self, *args: Any) -> Any:
        return self._in_time(1, self._layer.gradient, *args)

    def gradient_from_logits(self, *args: Any) -> Any:
        return self._in_time(1, self._layer.gradient_from_logits, *args)

    def take_seconds(self) -> list[float]:
        taken, self._times = self._times, [0.0, 0.0]
        return [*taken, 0.0, 0.0]


_LEAST_RUNS, _MOST_RUNS, _SECONDS = 5, 100, 0.3


def _timed(
    program: Program, judged: Sequence[bool] | None, step: Callable[[], object]
) -> tuple[list[list[Times]], Measured]:
    """Of each call in the program's schedule the seconds of its operations; and those of all of it."""
    watched: list[Any] = [
        call.layer.that_runs(program.tensors_of_losses(call.layer, judged))
        if isinstance(call.layer, Compiled) and call.layer.ops
        else _Watched(call.layer)
        for call in program.schedule.calls
    ]
    program.replace_layers([None if isinstance(w, _kernels.Program) else w for w in watched])
    for part in watched:
        if isinstance(part, _kernels.Program):
            part.time(True)
    step()  # makes its memory
    for part in watched:
        part.take_seconds()
    best: tuple[float, list[list[float]]] = (math.inf, [])
    end, runs = time.perf_counter() + _SECONDS, 0
    while runs < _LEAST_RUNS or (runs < _MOST_RUNS and time.perf_counter() < end):
        start = time.perf_counter()
        step()
        run = time.perf_counter() - start, [part.take_seconds() for part in watched]
        best, runs = min(best, run), runs + 1
    for part in watched:
        if isinstance(part, _kernels.Program):
            part.time(False)
    seconds = [list(zip(of[:-2:2], of[1:-2:2], strict=True)) for of in best[1]]
    layouts, losses = (sum(of[place] for of in best[1]) for place in (-2, -1))
    return seconds, Measured(best[0], layouts, losses)
