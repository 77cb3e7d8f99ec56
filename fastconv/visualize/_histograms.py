"""Histograms of many arrays side by side, one for each array of weights."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from fastconv._errors import unknown_name
from fastconv.parameter import Array
from fastconv.visualize._figure import COLORS, SMALL, WIDTH, new_figure, plain_axes

BINS = 40


def draw_histograms(arrays: Mapping[str, Array], scale: str, figure: Any, title: str) -> Any:
    """A graph for each array, titled by its name, its size and its root mean square.

    scale "linear": the numbers, each graph on its own axis. "log": log10 of their sizes, all on the same
    axis, so that what is ten times smaller lies one to the left; zeros are counted in the title.
    """
    if scale not in ("linear", "log"):
        raise unknown_name("scale", scale, ["linear", "log"])
    columns = min(len(arrays), 4)
    rows = math.ceil(len(arrays) / columns)
    figure = new_figure(WIDTH, 1.7 * rows + 0.3, figure=figure, title=title)
    grid = figure.subplots(rows, columns, squeeze=False, sharex=scale == "log").ravel()
    for axes in grid[len(arrays) :]:
        axes.set_axis_off()
    finite = {name: array[np.isfinite(array)].astype(float) for name, array in arrays.items()}
    shown = {name: _log_sizes(numbers) if scale == "log" else numbers for name, numbers in finite.items()}
    common = np.concatenate(list(shown.values())) if scale == "log" else None
    for axes, (name, numbers) in zip(grid, shown.items(), strict=False):
        plain_axes(axes)
        bins = BINS if common is None else np.histogram_bin_edges(common, BINS)
        axes.hist(numbers, bins, color=COLORS[0])
        if scale == "linear":
            axes.axvline(0, color="0.4", linewidth=0.8)
        axes.set_title(f"{name}\n{_facts(arrays[name], finite[name])}", fontsize=SMALL)
        axes.set_yticks([])
        axes.tick_params(labelsize=SMALL)
        axes.locator_params(axis="x", nbins=5)
    if scale == "log":
        for axes in grid[max(len(arrays) - columns, 0) : len(arrays)]:
            axes.tick_params(labelbottom=True)
            axes.set_xlabel("log10 of the size", fontsize=SMALL)
    return figure


def _log_sizes(numbers: Array) -> Array:
    return np.log10(np.abs(numbers[numbers != 0]))


def _facts(array: Array, finite: Array) -> str:
    """``2,400 numbers, rms 0.079``, and how many are zero or broken, if some are."""
    rms = math.sqrt(float(np.mean(finite**2))) if finite.size else math.nan
    said = f"{array.size:,} numbers, rms {rms:.2g}"
    if finite.size < array.size:
        said += f", {array.size - finite.size:,} NaN or infinite"
    if zeros := int(np.count_nonzero(finite == 0)):
        said += f", {zeros / array.size:.0%} zero"
    return said
