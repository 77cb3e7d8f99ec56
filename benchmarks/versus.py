"""fastconv against PyTorch, ONNX Runtime, Keras on JAX and NumPy: ``python -m benchmarks.versus``.

A training step is forward, loss, backward and an SGD step with Nesterov momentum; inference is the forward
pass; both from Python, through each framework's public API. PyTorch is raced in four
settings (its arrays contiguous or channels last, eager or compiled), ONNX Runtime in two; the best of them
counts. All start from the same weights, and nothing is timed before its results agree with NumPy's in
float64 (benchmarks/checking.py). --layers races single convolutions: forward, back to the data and back to
the kernel. --random 40 races networks drawn at random (benchmarks/random_networks.py), those of the seeds S
to S + 39, and tells how the ratios are distributed; --nets random-7 repeats the one of seed 7 alone.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

import fastconv
from benchmarks import charts
from benchmarks.checking import Check, check
from benchmarks.layers import LAYER_NAMES, LAYERS
from benchmarks.networks import NETWORKS, find
from benchmarks.race import Process, Race, WorkerError, quartiles, run
from benchmarks.random_networks import PREFIX
from benchmarks.reports import Report, parse
from benchmarks.rivals import FORCED, RIVALS
from fastconv.cli.options import positive_number, whole_number

FAMILIES = list(dict.fromkeys(rival.family for rival in RIVALS.values()))
RANDOM = ("fastconv", "PyTorch", "ONNX Runtime")  # the families that race random networks


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m benchmarks.versus",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--nets",
        nargs="*",
        type=network_name,
        metavar="NAME",
        help=f"networks to race (default: all): {', '.join(NETWORKS)}, {PREFIX}SEED",
    )
    parser.add_argument("--layers", nargs="*", choices=LAYER_NAMES, help="convolutions to race instead")
    parser.add_argument(
        "--random", type=whole_number(1), metavar="N", help="race N random networks instead, --seed S and on"
    )
    parser.add_argument("--seed", type=whole_number(0), default=0, metavar="S", help="default: 0")
    parser.add_argument(
        "--compile", action="store_true", help="with --random: PyTorch compiled, too, which takes long"
    )
    parser.add_argument("--batches", nargs="+", type=whole_number(1), default=[1, 32, 128])
    parser.add_argument("--threads", nargs="+", type=whole_number(1), default=[1, 2])
    parser.add_argument("--modes", nargs="+", help="train, inference, or passes of a layer")
    parser.add_argument(
        "--isa",
        choices=fastconv.available_isas(),
        help="hold fastconv to this instruction set, and at avx2 all who can be held to it",
    )
    parser.add_argument("--rivals", nargs="+", choices=[name for name in RIVALS if name != "fastconv"])
    parser.add_argument(
        "--seconds", type=positive_number, default=0.5, help="length of a slice (default: 0.5)"
    )
    parser.add_argument("--rounds", type=whole_number(1), default=7, help="slices for each (default: 7)")
    found = parse(parser, argv)
    if (found.layers is not None) + (found.nets is not None) + (found.random is not None) > 1:
        parser.error("--nets, --layers and --random exclude each other: choose one")
    if found.compile and found.random is None:
        parser.error(
            "--compile goes with --random; elsewhere PyTorch is raced compiled unless --rivals says not"
        )
    if found.layers is not None:
        found.subjects = found.layers or LAYER_NAMES
    elif found.random is not None:
        found.subjects = [f"{PREFIX}{seed}" for seed in range(found.seed, found.seed + found.random)]
    else:
        found.subjects = found.nets or list(NETWORKS)
    return found


def network_name(text: str) -> str:
    try:
        return find(text).name
    except KeyError:
        names = ", ".join([*NETWORKS, f"{PREFIX}SEED"])
        raise argparse.ArgumentTypeError(f"no network is called {text!r}; choose from {names}") from None


def main(argv: Sequence[str] | None = None) -> int:
    options = arguments(argv)
    with fastconv.set_isa(options.isa or fastconv.get_isa()):
        return _race_all(options)


def _race_all(options: argparse.Namespace) -> int:
    rivals = _installed(options.rivals or _default_rivals(options))
    if options.layers is not None:
        rivals = [name for name in rivals if RIVALS[name].races_layers]
    held = {"held to": f"{options.isa}: {FORCED.get(options.isa, 'fastconv alone')}"} if options.isa else {}
    kind = "-layers" if options.layers is not None else "-random" if options.random is not None else ""
    report = Report(f"versus{kind}", options, **held)
    report.line(_header())
    rows: list[dict[str, Any]] = []
    entrants = Entrants(rivals, options.isa)
    try:
        for subject in options.subjects:
            for batch in options.batches:
                try:
                    problem = check(subject, batch)
                except ValueError as error:
                    print(f"not raced: {subject}, batch {batch}: {error}", file=sys.stderr)
                    continue
                for threads in options.threads:
                    for row in _races(subject, batch, threads, entrants, problem, options):
                        rows.append(row)
                        report.line(_line(row))
    finally:
        entrants.close()
    if not rows:
        return 1
    report.add_versions(entrants.versions)
    report.about["noise"] = _noise(rows)
    networks = {name: str(find(name)) for name in options.subjects if name not in LAYER_NAMES}
    if options.random is None:
        report.write(rows=rows, networks=networks)
        charts.versus(report.path("png"), report.about, rows)
    else:
        found = distributions(rows)
        for line in _distribution_lines(found, networks):
            report.line(line)
        report.write(rows=rows, networks=networks, distributions=found)
        charts.distributions(report.path("png"), report.about, rows)
    return 0


def _default_rivals(options: argparse.Namespace) -> list[str]:
    if options.random is None:
        return list(RIVALS)
    found = [name for name, rival in RIVALS.items() if rival.family in RANDOM]
    return [name for name in found if options.compile or not RIVALS[name].setting.get("compiled")]


def _installed(names: list[str]) -> list[str]:
    """fastconv and those of ``names`` whose framework is here; the others are named."""
    chosen = ["fastconv", *(name for name in names if name != "fastconv")]
    for name in chosen:
        for package in RIVALS[name].missing():
            print(f"not raced: {name}: needs {package} (pip install '.[peers]')", file=sys.stderr)
    return [name for name in chosen if not RIVALS[name].missing()]


class Entrants:
    """Processes of the rivals, one for each number of threads, which enter one race after another: starting
    one takes longer than a short race.
    """

    def __init__(self, rivals: list[str], isa: str | None):
        self.rivals, self.isa = rivals, isa
        self.versions: set[str] = set()
        self._processes: dict[tuple[str, int], Process] = {}

    def enter(self, subject: str, batch: int, threads: int, problem: Check) -> list[Process]:
        """Those whose results have been found right; why others are missing is printed."""
        found = []
        for name in self.rivals:
            try:
                process = self._built(name, subject, batch, threads)
                wrong = problem.fault(process.results(problem))
                if wrong:
                    raise WorkerError(f"{name}: {wrong}")
            except WorkerError as error:
                print(f"not raced: {subject}, batch {batch}: {error}", file=sys.stderr)
                self._end((name, threads))
                continue
            found.append(process)
            self.versions.add(process.version)
        return found

    def _built(self, name: str, subject: str, batch: int, threads: int) -> Process:
        process = self._processes.get((name, threads))
        if process is None:
            process = Process(name, subject, batch, threads, self.isa)
            self._processes[name, threads] = process
        else:
            process.build(subject, batch)
        return process

    def _end(self, key: tuple[str, int]) -> None:
        process = self._processes.pop(key, None)
        if process is not None:
            process.close()

    def close(self) -> None:
        for key in list(self._processes):
            self._end(key)


def _races(
    subject: str, batch: int, threads: int, entrants: Entrants, problem: Check, options: argparse.Namespace
) -> Iterator[dict[str, Any]]:
    processes = entrants.enter(subject, batch, threads, problem)
    ours = next((process for process in processes if process.rival == "fastconv"), None)
    for mode in ours.modes if ours else []:
        if options.modes is None or mode in options.modes:
            try:
                race = run(processes, mode, options.rounds, options.seconds, threads, options.realtime)
            except WorkerError as error:
                print(f"not finished: {subject}, batch {batch}, {mode}: {error}", file=sys.stderr)
                entrants.close()  # whichever it was
                return
            yield _row(subject, batch, threads, mode, race)


def _row(subject: str, batch: int, threads: int, mode: str, race: Race) -> dict[str, Any]:
    row: dict[str, Any] = {
        "subject": subject,
        "batch": batch,
        "mode": mode,
        "threads": threads,
        "images_per_second": {name: batch * race.median(name) for name in race.rates},
        "slices": {name: [batch * rate for rate in rates] for name, rates in race.rates.items()},
        "peak": race.peaks,
        "best": {},
        "ratio": {},
    }
    rate = batch * race.median("fastconv") * _operations(subject, mode)
    row["share_of_peak"] = rate / float(np.median(race.peaks))
    for family in FAMILIES[1:]:
        name = race.best([name for name, rival in RIVALS.items() if rival.family == family])
        if name is not None:
            row["best"][family] = name
            row["ratio"][family] = quartiles(race.ratios("fastconv", name))
    others = race.best([name for name in race.rates if name != "fastconv"])
    if others is not None:
        row["best"]["all"] = others
        row["ratio"]["all"] = quartiles(race.ratios("fastconv", others))
    return row


def _operations(subject: str, mode: str) -> int:
    """For one image."""
    if subject in LAYER_NAMES:
        return LAYERS[LAYER_NAMES.index(subject)].operations(1)
    return find(subject).operations(training=mode == "train")


# ---- the report


def _header() -> str:
    return (
        f"{'images per second':12} {'batch':>5} {'mode':<15} {'threads':>7} {'fastconv':>10}"
        + "".join(f"{family:>14}" for family in FAMILIES[1:])
        + f"  {'ratio to the best (quartiles)':<44} of FMA peak"
    )


def _line(row: dict[str, Any]) -> str:
    rates = row["images_per_second"]
    text = f"{row['subject']:17} {row['batch']:>5} {row['mode']:<15} {row['threads']:>7}"
    text += f" {rates['fastconv']:>10,.0f}"
    for family in FAMILIES[1:]:
        name = row["best"].get(family)
        text += f"{rates[name]:>14,.0f}" if name else f"{'-':>14}"
    ratio = ""
    if "all" in row["ratio"]:
        low, middle, high = row["ratio"]["all"]
        ratio = f"{middle:5.2f} ({low:.2f}-{high:.2f}) x {row['best']['all']}"
    return f"{text}  {ratio:<44} {row['share_of_peak']:>10.1%}"


def distributions(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Over the subjects, for each mode, batch size, number of threads and framework: how the ratios of speeds
    lie, and where the worst is.
    """
    found = []
    for mode, batch, threads in dict.fromkeys((row["mode"], row["batch"], row["threads"]) for row in rows):
        same = [r for r in rows if (r["mode"], r["batch"], r["threads"]) == (mode, batch, threads)]
        for family in FAMILIES[1:]:
            ratios = {row["subject"]: row["ratio"][family][1] for row in same if family in row["ratio"]}
            if ratios:
                worst = min(ratios, key=lambda subject: ratios[subject])
                low, middle, high = quartiles(list(ratios.values()))
                found.append(
                    {
                        "mode": mode, "batch": batch, "threads": threads, "family": family,
                        "count": len(ratios), "worst": ratios[worst], "worst subject": worst,
                        "quartiles": [low, middle, high], "best": max(ratios.values()),
                        "geomean": float(np.exp(np.mean(np.log(list(ratios.values()))))),
                    }
                )  # fmt: skip
    return found


def _distribution_lines(found: list[dict[str, Any]], networks: dict[str, str]) -> Iterator[str]:
    yield ""
    yield (
        f"{'speed over that of':18} {'batch':>5} {'mode':<10} {'threads':>7} {'nets':>5} {'worst':>6} "
        f"{'25%':>6} {'median':>6} {'75%':>6} {'best':>6} {'geomean':>7}  worst"
    )
    for row in found:
        numbers = [row["worst"], *row["quartiles"], row["best"]]
        yield (
            f"{row['family']:18} {row['batch']:>5} {row['mode']:<10} {row['threads']:>7} {row['count']:>5} "
            + " ".join(f"{number:6.2f}" for number in numbers)
            + f" {row['geomean']:7.2f}  {row['worst subject']}"
        )
    yield ""
    yield "the worst, each repeated alone by: python -m benchmarks.versus --nets NAME"
    for name in dict.fromkeys(row["worst subject"] for row in found):
        yield f"{name:12} {networks[name]}"


def _noise(rows: list[dict[str, Any]]) -> str:
    """How much the machine's own peak varied: between rounds of one race, and over the whole run."""
    within = [max(row["peak"]) / min(row["peak"]) - 1 for row in rows]
    text = f"the measured FMA peak varied by {np.median(within):.0%} within a race (median)"
    for threads in sorted({row["threads"] for row in rows}):
        peaks = [peak for row in rows if row["threads"] == threads for peak in row["peak"]]
        text += f"; {min(peaks) / 1e9:.0f}-{max(peaks) / 1e9:.0f} GFLOP/s with {threads} thread(s)"
    return text


if __name__ == "__main__":
    sys.exit(main())
