"""A table of GFLOP/s and of the share of the machine's measured peak, after pytest-benchmark's own."""

from __future__ import annotations

import statistics

import pytest

import fastconv


@pytest.fixture(scope="session")
def peak() -> float:
    """Multiply-adds per second in registers alone, measured in this very run (FLOP/s)."""
    return fastconv.measure_peak(seconds=0.5)


@pytest.fixture
def race(benchmark, peak):
    """Time ``function`` and report its rate, given how many operations one call does."""

    def run(function, operations: float, *, rounds: int | None = None) -> None:
        if rounds is None:
            benchmark(function)
        else:
            benchmark.pedantic(function, rounds=rounds)
        if benchmark.disabled:
            return
        rate = operations / statistics.median(benchmark.stats.stats.data)
        benchmark.extra_info.update(
            gflops=round(rate / 1e9, 3),
            percent_of_peak=round(100 * rate / peak, 2),
            isa=fastconv.get_isa(),
            threads=fastconv.get_num_threads(),
        )

    return run


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config) -> None:
    """Of pytest-benchmark's columns those that fit on a screen, unless others are asked for."""
    asked = any(argument.startswith("--benchmark-columns") for argument in config.invocation_params.args)
    if not asked and hasattr(config.option, "benchmark_columns"):
        config.option.benchmark_columns = ["min", "median", "iqr", "rounds"]


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter, config) -> None:
    session = getattr(config, "_benchmarksession", None)
    _show_bandwidths(terminalreporter, session)
    timed = [b for b in getattr(session, "benchmarks", []) if b.extra_info.get("gflops") is not None]
    if not timed:
        return
    write = terminalreporter.write_line
    terminalreporter.section("rates (median)")
    write(f"{'':40}{'GFLOP/s':>10}{'% of peak':>11}  isa, threads")
    for group in dict.fromkeys(b.group for b in timed):
        write(group)
        for b in sorted((b for b in timed if b.group == group), key=lambda b: -b.extra_info["gflops"]):
            info = b.extra_info
            line = f"  {_label(b):<38}{info['gflops']:>10.3f}{info['percent_of_peak']:>10.2f}%"
            if "images_per_second" in info:
                line += f"  {info['images_per_second']:>9,} images/s"
            line += f"  {info['isa']}, {info['threads']}"
            if "best" in info:
                line += f"  {info['auto_over_best']:.2f} x the time of {info['best']}, the best"
            write(line)
    _judge_auto(terminalreporter, timed)


def _show_bandwidths(terminalreporter, session) -> None:
    """The table of those that wait for memory."""
    timed = [b for b in getattr(session, "benchmarks", []) if "gigabytes_per_second" in b.extra_info]
    if not timed:
        return
    terminalreporter.section("bandwidths (median)")
    for group in dict.fromkeys(b.group for b in timed):
        terminalreporter.write_line(group)
        for b in sorted(
            (b for b in timed if b.group == group), key=lambda b: -b.extra_info["gigabytes_per_second"]
        ):
            info = b.extra_info
            rate = f"{info['gigabytes_per_second']:>10.2f} GB/s"
            terminalreporter.write_line(f"  {_label(b):<38}{rate}  {info['isa']}, {info['threads']}")


def _label(b) -> str:
    """What tells the benchmark from the others of its group."""
    params = b.params or {}
    for name in ("algorithm", "rival", "way"):
        if name in params:
            return params[name]
    if "isa" in params:
        return f"{params['isa']}, {params['threads']} thread(s)"
    return f"batch {params['batch']}" if "batch" in params else b.name


def _judge_auto(terminalreporter, timed) -> None:
    """How often "auto" is as good as it should be, and where it is not."""
    found = [b for b in timed if "auto_over_best" in b.extra_info]
    if not found:
        return
    slow = [b for b in found if b.extra_info["auto_over_best"] > 1.1]
    terminalreporter.section('"auto" against the best algorithm')
    terminalreporter.write_line(f"within 10 % of the best: {len(found) - len(slow)} of {len(found)}")
    for b in sorted(slow, key=lambda b: -b.extra_info["auto_over_best"]):
        ratio, best = b.extra_info["auto_over_best"], b.extra_info["best"]
        terminalreporter.write_line(f"  {b.group}, {_label(b)}: {ratio:.2f} x the time of {best}")
