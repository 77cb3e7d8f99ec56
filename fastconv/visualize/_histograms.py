"""Histograms of many arrays side by side, one for each array of weights."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from fastconv._core.checks import unknown_name
from fastconv.parameter import Array
from fastconv.visualize._figure import COLORS, SMALL, WIDTH, fitted, new_figure, plain_axes, width_of

BINS = 40
NARROWEST = 2.2  # inches, of one graph
GAP = 0.15  # inches, between the titles of neighbours


def draw_histograms(arrays: Mapping[str, Array], scale: str, figure: Any, title: str) -> Any:
    """A graph for each array, titled by its name, how many values it has and their root mean square.

    scale "linear": the values, each graph on its own axis. "log": log10 of their absolute values, all on the
    same axis, so that what is ten times smaller lies one to the left; zeros are counted in the title.
    """
    if scale not in ("linear", "log"):
        raise unknown_name("scale", scale, ["linear", "log"])
    columns = min(len(arrays), 4, max(int(width_of(figure) / NARROWEST), 1))
    rows = math.ceil(len(arrays) / columns)
    room = width_of(figure) / columns - GAP
    titles = [fitted(f"{name}\n{_facts(array)}", room) for name, array in arrays.items()]
    lines = max(title.count("\n") + 1 for title in titles)
    figure = new_figure(WIDTH, (1.4 + 0.15 * lines) * rows + 0.3, figure=figure, title=title)
    grid = figure.subplots(rows, columns, squeeze=False, sharex=scale == "log").ravel()
    for axes in grid[len(arrays) :]:
        axes.set_axis_off()
    finite = {name: array[np.isfinite(array)].astype(float) for name, array in arrays.items()}
    shown = {name: _logarithms(numbers) if scale == "log" else numbers for name, numbers in finite.items()}
    common = np.concatenate(list(shown.values())) if scale == "log" else None
    for axes, title, numbers in zip(grid, titles, shown.values(), strict=False):
        plain_axes(axes)
        bins = BINS if common is None else np.histogram_bin_edges(common, BINS)
        axes.hist(numbers, bins, color=COLORS[0])
        if scale == "linear":
            axes.axvline(0, color="0.4", linewidth=0.8)
        axes.set_title(title, fontsize=SMALL)
        axes.set_yticks([])
        axes.tick_params(labelsize=SMALL)
        axes.locator_params(axis="x", nbins=5)
    if scale == "log":
        for axes in grid[max(len(arrays) - columns, 0) : len(arrays)]:
            axes.tick_params(labelbottom=True)
            axes.set_xlabel("log10 of the absolute value", fontsize=SMALL)
    return figure


def _logarithms(numbers: Array) -> Array:
    return np.log10(np.abs(numbers[numbers != 0]))


def _facts(array: Array) -> str:
    """``2,400 values, rms 0.079``, and in another line how many are zero or not finite, if some are."""
    finite = array[np.isfinite(array)].astype(float)
    rms = math.sqrt(float(np.mean(finite**2))) if finite.size else math.nan
    odd = []
    if finite.size < array.size:
        odd.append(f"{array.size - finite.size:,} NaN or infinite")
    if zeros := int(np.count_nonzero(finite == 0)):
        odd.append(f"{zeros / array.size:.0%} zero")
    return f"{array.size:,} values, rms {rms:.2g}" + ("\n" + ", ".join(odd) if odd else "")
