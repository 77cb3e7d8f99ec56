"""Pictures of what was measured. Without matplotlib there are none, and a message says so."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# One colour for each framework in all charts, distinct to the colour-blind too (Okabe and Ito).
COLOURS = {
    "fastconv": "#D55E00",
    "PyTorch": "#0072B2",
    "ONNX Runtime": "#009E73",
    "Keras/JAX": "#CC79A7",
    "NumPy": "#999999",
}
MARKERS = "osD^vPX*<>"
LINES = ["-", "--", ":", "-."]


@contextmanager
def figure(
    path: Path, rows: int, columns: int, size: tuple[float, float], about: dict[str, str]
) -> Iterator[Any]:
    """A grid of axes, saved to ``path`` at the end, with the machine's description at the bottom."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    picture, axes = pyplot.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained")
    yield axes
    picture.supxlabel(
        "\n".join(f"{name}: {value}" for name, value in about.items()), fontsize=6, x=0.01, ha="left"
    )
    picture.savefig(path, dpi=150)
    pyplot.close(picture)


def available() -> bool:
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        print("no chart: matplotlib is not installed (pip install '.[peers]')", file=sys.stderr)
        return False
    return True


def versus(path: Path, about: dict[str, str], rows: list[dict[str, Any]]) -> Path | None:
    """Bars of speed, the best rival's being 1: a row of panels for each mode and number of threads, a column
    for each network; over each bar its images per second."""
    if not available():
        return None
    kinds = list(dict.fromkeys((row["mode"], row["threads"]) for row in rows))
    subjects = list(dict.fromkeys(row["subject"] for row in rows))
    size = (3.6 * len(subjects) + 1, 2.2 * len(kinds) + 1.2)
    with figure(path, len(kinds), len(subjects), size, about) as axes:
        for i, (mode, threads) in enumerate(kinds):
            for j, subject in enumerate(subjects):
                found = [
                    r for r in rows if (r["mode"], r["threads"], r["subject"]) == (mode, threads, subject)
                ]
                _bars(axes[i][j], found)
                axes[i][j].set_title(f"{subject}: {mode}, {threads} thread{'s' * (threads > 1)}", fontsize=8)
        for panel in axes[:, 0]:
            panel.set_ylabel("speed; best rival = 1", fontsize=7)
        axes[0][0].legend(fontsize=6)
    return path


def _bars(axes: Any, rows: list[dict[str, Any]]) -> None:
    best = [{"fastconv": "fastconv", **row["best"]} for row in rows]
    families = [family for family in COLOURS if any(family in names for names in best)]
    width = 0.84 / len(families)
    for i, (row, names) in enumerate(zip(rows, best, strict=True)):
        rates = row["images_per_second"]
        for k, family in enumerate(families):
            if family in names:
                rate = rates[names[family]]
                speed = rate / rates[names.get("all", "fastconv")]
                place = i + (k - (len(families) - 1) / 2) * width
                axes.bar(place, speed, width, color=COLOURS[family], label=family if i == 0 else None)
                axes.text(place, speed, _short(rate), ha="center", va="bottom", fontsize=5)
    axes.axhline(1, color="black", linewidth=0.5)
    axes.margins(y=0.12)
    axes.set_xticks(range(len(rows)), [f"batch {row['batch']}" for row in rows], fontsize=7)
    axes.tick_params(axis="y", labelsize=7)


def distributions(path: Path, about: dict[str, str], rows: list[dict[str, Any]]) -> Path | None:
    """A panel for each mode and number of threads: ratios to each framework in rising order, a line for each
    batch size."""
    if not available():
        return None
    kinds = list(dict.fromkeys((row["mode"], row["threads"]) for row in rows))
    batches = list(dict.fromkeys(row["batch"] for row in rows))
    with figure(path, 1, len(kinds), (5 * len(kinds), 4.5), about) as axes:
        for panel, (mode, threads) in zip(axes[0], kinds, strict=True):
            same = [row for row in rows if (row["mode"], row["threads"]) == (mode, threads)]
            for family in COLOURS:
                for batch, style in zip(batches, LINES * len(batches), strict=False):
                    found = [r for r in same if r["batch"] == batch and family in r["ratio"]]
                    ratios = sorted(r["ratio"][family][1] for r in found)
                    label = f"{family}, batch {batch}"
                    panel.plot(ratios, style, color=COLOURS[family], label=label if ratios else None)
            panel.axhline(1, color="black", linewidth=0.5)
            panel.set(yscale="log", title=f"{mode}, {threads} thread{'s' * (threads > 1)}", xlabel="networks")
            panel.legend(fontsize=6)
        axes[0][0].set_ylabel("speed over theirs")
    return path


def _short(rate: float) -> str:
    """Three digits: 987, 12.3k, 456k."""
    return f"{rate:.3g}" if rate < 999.5 else f"{rate / 1000:.3g}k"


def roofline(
    path: Path, about: dict[str, str], peak: float, memory: float, rows: list[dict[str, Any]]
) -> Path | None:
    """A panel for each pass: FLOP a second over FLOP a byte, a point for each layer and algorithm."""
    if not available():
        return None
    passes = list(dict.fromkeys(row["pass"] for row in rows))
    algorithms = list(dict.fromkeys(row["algorithm"] for row in rows))
    layers = list(dict.fromkeys(row["layer"] for row in rows))
    with figure(path, 1, len(passes), (5 * len(passes), 5.5), about) as axes:
        for panel, name in zip(axes[0], passes, strict=True):
            found = [row for row in rows if row["pass"] == name]
            edges = [min(r["intensity"] for r in rows) / 2, max(r["intensity"] for r in rows) * 2]
            ridge = peak / memory
            x = sorted({*edges, ridge} if edges[0] < ridge < edges[1] else edges)
            panel.plot(x, [min(peak, memory * i) / 1e9 for i in x], color="black", linewidth=1)
            for row in found:
                panel.plot(
                    row["intensity"],
                    row["flops"] / 1e9,
                    MARKERS[layers.index(row["layer"]) % len(MARKERS)],
                    color=f"C{algorithms.index(row['algorithm'])}",
                    markersize=5,
                )
            rates = [row["flops"] / 1e9 for row in rows]
            panel.set(xscale="log", yscale="log", title=name, xlabel="FLOP per byte")
            panel.set_ylim(min(rates) / 1.5, max(*rates, peak / 1e9) * 1.5)
        axes[0][0].set_ylabel("GFLOP/s")
        for i, algorithm in enumerate(algorithms):
            axes[0][0].plot([], [], "s", color=f"C{i}", label=algorithm)
        for i, layer in enumerate(layers):
            axes[0][-1].plot([], [], MARKERS[i % len(MARKERS)], color="black", label=layer)
        axes[0][0].legend(fontsize=7, loc="lower right")
        axes[0][-1].legend(fontsize=7, loc="lower right")
    return path


def scaling(
    path: Path, about: dict[str, str], rows: list[dict[str, Any]], speedups: list[dict[str, Any]]
) -> Path | None:
    """Time over size, each pass as points and its linear fit; speed-ups as bars."""
    if not available():
        return None
    axes_names = list(dict.fromkeys(row["axis"] for row in rows))
    with figure(path, 1, len(axes_names) + 1, (4 * (len(axes_names) + 1), 4.8), about) as axes:
        for panel, name in zip(axes[0], axes_names, strict=False):
            for k, row in enumerate(row for row in rows if row["axis"] == name):
                sizes, seconds = row["sizes"], row["seconds"]
                label = f"{row['what']}: fit within {row['error']:.0%}"
                panel.plot(sizes, [1e3 * s for s in seconds], "o", color=f"C{k}", label=label, markersize=3)
                fitted = [1e3 * (row["fixed"] + row["each"] * size) for size in sizes]
                panel.plot(sizes, fitted, "-", color=f"C{k}", linewidth=0.8)
            panel.set(xscale="log", yscale="log", xlabel=name)
            panel.legend(fontsize=6)
        axes[0][0].set_ylabel("milliseconds", fontsize=8)
        axes[0][0].set_title("lines: fixed + each * size", fontsize=8)
        names = [f"{row['net']} {row['mode']} {row['batch']}" for row in speedups]
        ratios = [row["speedup"] for row in speedups]
        _ranking(axes[0][-1], names, ratios, "all threads over one", "{:.2f}", ours=names)
        axes[0][-1].axvline(1, color="black", linewidth=0.5)
    return path


def memory(
    path: Path, about: dict[str, str], peaks: dict[str, Any], growth: dict[str, Any] | None
) -> Path | None:
    """Bars of peak memory for each network, and the lines that must be level."""
    if not available():
        return None
    columns = len(peaks) + bool(growth)
    with figure(path, 1, columns, (4.5 * columns, 4.2), about) as axes:
        for place, (net, found) in enumerate(peaks.items()):
            bars = [peak["trained"] / 1e6 for peak in found.values()]
            _ranking(axes[0][place], list(found), bars, f"peak resident memory, training {net}, MB", "{:.0f}")
        if growth:
            last = axes[0][-1]
            for mode, style in (("train", "o-"), ("inference", "o--")):
                rows = [row for row in growth["rows"] if row["mode"] == mode]
                steps, levels = zip(*((row["steps"], row["bytes"] / 1e6) for row in rows), strict=True)
                last.plot(steps, levels, style, color=COLOURS["fastconv"], label=mode)
            last.set_ylim(0, 1.3 * max(row["bytes"] / 1e6 for row in growth["rows"]))
            last.set_xlabel("steps", fontsize=8)
            last.legend(fontsize=7)
            title = f"resident memory of fastconv, {growth['network']}, batches of all sizes, MB"
            last.set_title(title, fontsize=8)
    return path


def footprint(path: Path, about: dict[str, str], rows: list[dict[str, Any]]) -> Path | None:
    """Bars of import time, of the size installed with all that is needed, and of the wheel."""
    if not available():
        return None
    with figure(path, 1, 3, (11, 3.2), about) as axes:
        names = [row["package"] for row in rows]
        _ranking(axes[0][0], names, [row["import_seconds"] for row in rows], "import, seconds", "{:.2f}")
        sizes = [row["with_dependencies"] / 1e6 for row in rows]
        _ranking(axes[0][1], names, sizes, "installed with all it needs, MB", "{:.0f}")
        packed = [row for row in rows if row["wheel"] is not None]
        wheels = [row["wheel"] / 1e6 for row in packed]
        _ranking(axes[0][2], [row["package"] for row in packed], wheels, "wheel, MB", "{:.1f}")
    return path


def _ranking(
    axes: Any,
    names: list[str],
    values: list[float],
    title: str,
    form: str,
    ours: Sequence[str] = ("fastconv",),
) -> None:
    """Horizontal bars from the top down; ours stand out."""
    for place, (name, value) in enumerate(zip(names, values, strict=True)):
        axes.barh(place, value, color=COLOURS["fastconv" if name in ours else "NumPy"])
        axes.text(value, place, " " + form.format(value), va="center", fontsize=7)
    axes.set_yticks(range(len(names)), names, fontsize=7)
    axes.invert_yaxis()
    axes.margins(x=0.15)
    axes.set_title(title, fontsize=8)
