"""Refits the constants of csrc/engine/cost.c: ``python -m benchmarks.cost_model``.

By them "auto" and programs choose. Random operations of each kind are timed in every way that takes them,
forward and back, each alone in a program. The time of an operation is a sum of a few quantities that C tells
of it (csrc/engine/cost.h), times constants of its kind of loop. They are found by least squares of relative
errors, none below zero, nor a step of a tile below what the CPU can do, and printed as the table that stands
in cost.c. Then, for every operation, the time of the way that the estimates choose is compared with that of
the best.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

import fastconv
from benchmarks import realtime
from benchmarks.reports import Report, parse
from fastconv import _kernels
from fastconv.cli.options import positive_number, whole_number

KINDS = (
    "LANES_CONV", "LANES_WINOGRAD", "PIXELS_CONV", "DIRECT", "IM2COL", "WINOGRAD",
    "LANES_DEPTHWISE", "DEPTHWISE", "PIXELS_DENSE", "DENSE", "LANES_POOL", "POOL", "LANES_NORM", "NORM",
    "LANES_NUMBERS", "NUMBERS", "MOVE",
)  # fmt: skip
"""fc_cost_kind."""
PASSES = 3
QUANTITIES = 5
OTHERS, MOST_OTHERS = 10, 1 << 22
"""Before an operation is timed, so many times the floats of its arrays are written to, as the other layers of
a network would; at most so many, which no second-level cache holds.
"""
WAYS = ("lanes", "pixels", "whole")
ALGORITHMS = _kernels.ALGORITHMS


class Measured(NamedTuple):
    """One operation in one way: efforts and seconds, forward and back."""

    subject: int
    operation: str
    way: str
    efforts: list[list[tuple[Any, ...]]]
    seconds: list[float]
    alone: tuple[list[tuple[Any, ...]], float]
    """Of the gradient of the weights by itself, where there are such; else nothing."""
    moved: tuple[float, float]
    """Vectors that changed their layout, and the seconds of it."""


# ---- random operations


def random_operation(rng: np.random.Generator) -> tuple[dict[str, Any], tuple[int, int, int], int]:
    """(operation without its arrays, size of its input, images): what small CNNs are made of."""

    def one(*of: Any) -> Any:
        return of[rng.integers(len(of))]

    kind = one("conv", "conv", "conv", "conv", "dense", "depthwise", "max_pool", "avg_pool", "batch_norm",
               "activation", "elementwise")  # fmt: skip
    images = one(1, 1, 2, 8, 16, 32, 32, 64, 128)
    while True:
        C = one(1, 3, 6, 8, 12, 16, 20, 24, 32, 48, 64, 96, 128)
        H = int(rng.integers(2, 40))
        size = stride = 1
        K = C
        if kind == "conv":
            size, stride, K = (
                one(1, 2, 3, 3, 3, 5, 7),
                one(1, 1, 1, 2),
                one(6, 8, 10, 16, 20, 24, 32, 48, 64, 96, 128),
            )
        elif kind == "depthwise":
            size, stride = one(3, 3, 5), one(1, 1, 2)
        elif kind in ("max_pool", "avg_pool"):
            size, stride = one((2, 2), (2, 2), (3, 2), (3, 1))
        elif kind == "dense":
            H, C, K = 1, one(16, 84, 128, 256, 400, 784, 1024, 2048), one(10, 32, 84, 128, 256, 512)
        taps = size * size * (C if kind == "conv" else 1)
        if images * H * H * K * taps < 1.5e8 and images * H * H * max(C, K) < 6e6:
            break
    OH = -(-H // stride)
    pad = max((OH - 1) * stride + size - H, 0) // 2
    op: dict[str, Any] = {
        "kind": kind, "inputs": [0], "output": 1, "size": (size, size), "strides": (stride, stride),
        "padding": (pad, pad), "of": (OH, OH, K), "epsilon": 1e-3, "momentum": 0.9, "training": True,
    }  # fmt: skip
    if kind == "activation":
        op["activation"] = "relu"
    if kind == "elementwise":
        op["inputs"] = [0, 0]
    if kind == "depthwise":
        op["groups"] = C
    return op, (H, H, C), images


def with_arrays(op: dict[str, Any], C: int, rng: np.random.Generator) -> dict[str, Any]:
    K, (size, _) = op["of"][2], op["size"]
    shapes: list[tuple[int, ...]] = []
    if op["kind"] == "conv":
        shapes = [(size, size, C, K), (K,)]
    elif op["kind"] == "depthwise":
        shapes = [(size, size, C, 1), (K,)]
    elif op["kind"] == "dense":
        shapes = [(C, K), (K,)]
    elif op["kind"] == "batch_norm":
        shapes = [(C,)] * 4
    weights = [rng.random(shape, np.float32) for shape in shapes]
    return {**op, "weights": weights, "gradients": [np.zeros_like(weight) for weight in weights[:2]]}


# ---- measuring


def measure(subject: int, seconds: float, real: bool) -> list[Measured]:
    """A random operation in all of its ways."""
    rng = np.random.default_rng(subject)
    op, size, N = random_operation(rng)
    op = with_arrays(op, size[2], rng)
    weights = sum(weight.size for weight in op["weights"])
    found = []
    ways: list[tuple[str, int]] = [(way, -1) for way in WAYS]
    if op["kind"] == "conv":  # "whole" by each of its algorithms, too
        fits = op["size"] == (3, 3) and op["strides"] == (1, 1)
        ways += [("whole", ALGORITHMS.index(name)) for name in ("im2col", "direct", *["winograd"] * fits)]
    for way, algorithm in ways:
        table = [{**op, "algorithm": algorithm}], [size, op["of"]], [0]
        program = _kernels.Program(*table, [True], [1], [way])
        rows, _ = program.describe(N, True)
        if rows[0]["way"] != way:
            continue
        forward, back, move = timed(program, N, size, op["of"], weights, seconds, real)
        efforts = program.efforts(0, way, N, True)
        alone = 0.0
        if op["kind"] in ("conv", "dense"):
            gradient_alone = _kernels.Program(*table, [False], [1], [way])
            alone = timed(gradient_alone, N, size, op["of"], weights, seconds / 2, real)[1]
        moved = 2 * (np.prod(size) + np.prod(op["of"])) * -(-N // lanes()) if way == "lanes" else 0
        found.append(
            Measured(
                subject,
                f"{op['kind']} {size} -> {op['of']}, {op['size'][0]}, {N} images",
                way if algorithm < 0 else ALGORITHMS[algorithm],
                [[effort for effort in efforts if (effort[1] > 0) == back_] for back_ in (False, True)],
                [forward, back],
                ([effort for effort in efforts if effort[1] == 2], alone),
                (float(moved), move),
            )
        )
    return found


def timed(
    program: Any,
    N: int,
    size: tuple[int, ...],
    of: tuple[int, ...],
    weights: int,
    seconds: float,
    real: bool,
) -> tuple[float, float, float]:
    """Seconds of the operation forward and back, and of changes of layout."""
    rng = np.random.default_rng(0)
    x, dy = rng.random((N, *size), np.float32), rng.random((N, *of), np.float32)
    y, dx = np.empty_like(dy), np.empty_like(x)
    others = np.zeros(min(OTHERS * (x.size + y.size + weights), MOST_OTHERS), np.float32)
    slices: list[list[float]] = []
    with realtime.running(real):
        end = time.perf_counter() + seconds
        program.time(True)
        while len(slices) < 4 or time.perf_counter() < end:
            others += 1
            run = program.run([x], [y], True)
            others += 1
            run.backward([dy], [dx])
            slices.append(program.take_seconds())
    forward, back, move, _ = np.quantile(np.array(slices[1:]), 0.2, axis=0)
    return float(forward), float(back), float(move)


def lanes() -> int:
    """Of a vector, the number of floats."""
    return {"avx512": 16, "avx2": 8}.get(fastconv.get_isa(), 4)


# ---- fitting


def fit(measured: Sequence[Measured], unit: float) -> np.ndarray:
    """The constants, (kinds, passes, quantities), in units of so many seconds."""
    # One measurement may mix kinds, as two passes of two algorithms: so all are solved for together.
    table = np.zeros((len(KINDS), PASSES, QUANTITIES))
    rows, times = [], []
    for one in measured:
        parts = [*zip(one.efforts, one.seconds, strict=True), one.alone]
        for efforts, seconds in parts:
            if efforts and seconds > 0:
                row = np.zeros_like(table)
                for kind, pass_, *quantities, _ in efforts:
                    row[kind, pass_] += quantities
                rows.append(row.ravel())
                times.append(seconds / unit)
        if min(one.moved) > 0:
            row = np.zeros_like(table)
            row[KINDS.index("MOVE"), 0, 1] = one.moved[0]
            rows.append(row.ravel())
            times.append(one.moved[1] / unit)
    least = np.zeros_like(table)
    least[: KINDS.index("DENSE") + 1, :, 0] = 1  # no tile is faster than the CPU
    return bounded(np.array(rows), np.array(times), least.ravel()).reshape(table.shape)


def bounded(rows: np.ndarray, times: np.ndarray, least: np.ndarray, rounds: int = 3000) -> np.ndarray:
    """c >= least with the least sum of squares of (rows c - times) / times, by coordinate descent. The
    largest residuals count less: a slice in which another process had the caches is no news of the operation.
    """
    scaled = rows / times[:, None]
    weight = np.ones(len(times))
    size = np.sqrt((scaled**2).sum(0))
    used = np.flatnonzero(size)
    A = scaled[:, used] / size[used]
    bound = least[used] * size[used]
    c = bound.copy()
    for _ in range(4):  # Huber's weights (1964), from the residuals so far
        gram, right = A.T @ (A * weight[:, None]), A.T @ weight
        for _ in range(rounds):
            for i in range(len(used)):
                if gram[i, i] > 0:
                    c[i] = max(bound[i], c[i] + (right[i] - gram[i] @ c) / gram[i, i])
        off = np.abs(A @ c - 1)
        weight = np.minimum(1, 0.25 / np.maximum(off, 1e-9))
    found = np.zeros(rows.shape[1])
    found[used] = c / size[used]
    return found


def estimates(one: Measured, table: np.ndarray) -> tuple[float, float]:
    forward, back = (
        sum(float(table[kind, pass_] @ quantities) for kind, pass_, *quantities, _ in efforts)
        for efforts in one.efforts
    )
    return forward, back


def in_c(table: np.ndarray) -> list[str]:
    lines = []
    for name, passes in zip(KINDS, table, strict=True):
        rows = [", ".join(f"{number:.3g}" for number in numbers) for numbers in passes if numbers.any()]
        if rows:
            sets = ", ".join(
                "{" + ", ".join(f"{number:.3g}" for number in numbers) + "}"
                for numbers in passes
                if numbers.any()
            )
            lines.append(f"    [FC_COST_{name}] = {{{sets}}},")
    return lines


# ---- the choice


def regrets(measured: Sequence[Measured], table: np.ndarray | None) -> dict[str, list[tuple[float, str]]]:
    """By kind of operation: how much longer the way that the estimates choose takes than the best, forward
    alone and with the way back. ``table`` : None for the constants that are compiled in.
    """
    by_subject = defaultdict(list)
    for one in measured:
        by_subject[one.subject].append(one)
    found = defaultdict(list)
    for ways in by_subject.values():
        ways = [one for one in ways if one.way in WAYS]
        if len(ways) < 2 or not all(min(one.seconds) > 0 for one in ways):
            continue
        for back in (False, True):
            taken = [sum(one.seconds[: 1 + back]) for one in ways]
            told = [sum(_told(one, table)[: 1 + back]) for one in ways]
            chosen = int(np.argmin(told))
            text = ", ".join(f"{one.way} {1e3 * t:.3f} ms" for one, t in zip(ways, taken, strict=True))
            found[ways[0].operation.split()[0]].append(
                (
                    taken[chosen] / min(taken),
                    f"{ways[chosen].way}: {ways[0].operation}{' and back' * back}: {text}",
                )
            )
    return dict(found)


def _told(one: Measured, table: np.ndarray | None) -> tuple[float, float]:
    if table is not None:
        return estimates(one, table)
    forward, back = (sum(effort[-1] for effort in efforts) for efforts in one.efforts)
    return forward, back


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        "python -m benchmarks.cost_model",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--operations", type=whole_number(1), default=400, help="how many (default: 400)")
    parser.add_argument("--seed", type=whole_number(0), default=0, help="of the first one")
    parser.add_argument("--seconds", type=positive_number, default=0.05, help="for each way (default: 0.05)")
    parser.add_argument(
        "--keep", action="store_true", help="judge the constants that are compiled in, do not refit"
    )
    options = parse(parser, argv)
    report = Report("cost-model", options)
    with fastconv.set_num_threads(1):
        with realtime.running(options.realtime):
            unit = 2 * lanes() / _kernels.fma_peak(1, 0.3)
        measured: list[Measured] = []
        for subject in range(options.seed, options.seed + options.operations):
            measured += measure(subject, options.seconds, options.realtime)
    report.about["noise"] = (
        f"seconds are the best fifth of slices; one multiply-add of a vector takes {1e12 * unit:.0f} ps"
    )
    table = None if options.keep else fit(measured, unit)
    if table is not None:
        for line in in_c(table):
            report.line(line)
    for kind, rows in sorted(regrets(measured, table).items()):
        ratios = np.array([ratio for ratio, _ in rows])
        mean, close, (worst, where) = np.exp(np.log(ratios).mean()), (ratios < 1.1).mean(), max(rows)
        report.line(
            f"{kind:12} {len(rows):4} choices: chosen / best {mean:.3f} (geomean), {close:.0%} within 10 %; "
            f"worst {worst:.2f} {where}"
        )
    numbers = None if table is None else table.tolist()
    report.write(measured=[one._asdict() for one in measured], table=numbers)
    return 0


if __name__ == "__main__":
    sys.exit(main())
