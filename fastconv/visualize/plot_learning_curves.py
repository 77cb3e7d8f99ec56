"""How training went: losses, metrics and learning rates, epoch by epoch."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fastconv import metrics
from fastconv.callbacks import History
from fastconv.parameter import Array
from fastconv.visualize._figure import COLORS, SMALL, WIDTH, new_figure, plain_axes, whole_epochs

Run = History | Mapping[str, Sequence[float]]
Curve = tuple[Array, Array]

LEARNING_RATES = ("learning_rate", "lr")


def curves(run: Run) -> dict[str, Curve]:
    """{measure: (epochs, values)} of a ``History`` or of its ``history``; epochs are counted from 1.

    Of a measure that was not taken after each epoch, as with ``validation_freq=2``, the last value belongs to
    the last of equally distant epochs. Where the numbers do not tell, a warning says so and it is left out.
    """
    logs: Mapping[str, Sequence[float]] = run.history if isinstance(run, History) else run
    length = max((len(values) for values in logs.values()), default=0)
    epochs = 1 + np.array(run.epoch if isinstance(run, History) else range(length), int)
    found = {}
    for name, values in logs.items():
        if any(np.ndim(value) for value in values):
            continue  # a confusion matrix, a score for each class: no curve
        every = len(epochs) // max(len(values), 1)
        taken = epochs[every - 1 :: every] if every else epochs
        if len(taken) != len(values):
            warnings.warn(
                f"{name} has {len(values)} values for {len(epochs)} epochs, and it is not known "
                "which: it is left out",
                stacklevel=3,
            )
            continue
        found[name] = taken, np.asarray(values, float)
    return found


def plot_learning_curves(
    history: Run | Mapping[str, Run] | Sequence[Run],
    measures: Sequence[str] | None = None,
    *,
    figure: Any = None,
) -> Any:
    """Draw what ``fit`` returned: a graph for the loss, each metric, and the learning rate if recorded.

    Of one run training is blue and validation orange. Several runs have a colour each; validation is the full
    line, training the dashed one. A dot is on the best validation, the smallest loss or largest metric.

    Parameters
    ----------
    history : a ``History``, its dictionary ``history.history``, or several: {"name of the run": history} or a
        list
    measures : those to draw, such as ["loss", "accuracy"]; where None, all

    Returns matplotlib's Figure. Raises ValueError where nothing was recorded, or not this measure.
    """
    runs = {name: curves(run) for name, run in _named_runs(history).items()}
    recorded = list(dict.fromkeys(_training_name(name) for run in runs.values() for name in run))
    recorded.sort(key=lambda name: (name != "loss", name in LEARNING_RATES))
    if not recorded:
        raise ValueError("the history is empty: no epoch has been completed")
    for measure in measures or ():
        if measure not in recorded:
            raise ValueError(f"{measure!r} was not recorded; there are {', '.join(recorded)}")
    wanted = list(measures or recorded)
    columns = min(len(wanted), 3)
    rows = -(-len(wanted) // columns)
    figure = new_figure(WIDTH if columns > 1 else 5, 3.2 * rows, figure=figure)
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in grid[len(wanted) :]:
        axes.set_axis_off()
    for axes, measure in zip(grid, wanted, strict=False):
        _draw(axes, measure, runs)
    return figure


def _named_runs(history: Any) -> dict[str, Run]:
    if isinstance(history, History):
        return {"": history}
    if isinstance(history, Mapping):
        runs = all(isinstance(value, (History, Mapping)) for value in history.values())
        return dict(history) if runs and history else {"": history}
    if isinstance(history, Sequence) and all(isinstance(run, (History, Mapping)) for run in history):
        return {f"run {number}": run for number, run in enumerate(history, 1)}
    raise TypeError(f"history must be a History, or a dictionary or list of them; got {history!r}")


def _draw(axes: Any, measure: str, runs: Mapping[str, Mapping[str, Curve]]) -> None:
    plain_axes(axes)
    axes.set(xlabel="epoch", ylabel=measure.replace("_", " "))
    whole_epochs(axes)
    alone = len(runs) == 1
    for place, (run, found) in enumerate(runs.items()):
        color = COLORS[place % len(COLORS)]
        training, validation = found.get(measure), found.get(f"val_{measure}")
        if training is not None:
            label = "training" if alone else run if validation is None else None
            dashes = "-" if alone or validation is None else "--"
            axes.plot(*training, dashes, color=color, label=label, **_markers(training))
        if validation is not None:
            color = COLORS[1] if alone else color
            axes.plot(*validation, color=color, label=run or "validation", **_markers(validation))
            _mark_best(axes, measure, validation, color)
    if measure in LEARNING_RATES:
        axes.ticklabel_format(axis="y", scilimits=(-2, 3))
    if len(runs) > 1 or len(axes.lines) > 1:
        axes.legend(fontsize=SMALL)


def _markers(curve: Curve) -> dict[str, Any]:
    """Dots where there are few epochs: of one alone there would be no line at all."""
    return {"marker": "o", "markersize": 3} if len(curve[0]) <= 20 else {}


def _mark_best(axes: Any, measure: str, curve: Curve, color: str) -> None:
    epochs, values = curve
    direction = _direction(measure)
    if direction is None or not np.isfinite(values).any():
        return
    best = int(np.nanargmax(values) if direction == "up" else np.nanargmin(values))
    axes.plot(epochs[best], values[best], "o", color=color, markersize=7)
    axes.annotate(
        f"{values[best]:.4g}",
        (epochs[best], values[best]),
        (0, -9 if direction == "up" else 9),  # where the curve is not
        textcoords="offset points",
        ha="center",
        va="top" if direction == "up" else "bottom",
        fontsize=SMALL,
    )


def _direction(measure: str) -> str | None:
    """Whether a measure is better "up" or "down"; None where nobody knows."""
    if measure == "loss":
        return "down"
    if measure in ("accuracy", "acc"):
        return "up"
    try:
        return metrics.get(measure).direction
    except ValueError:
        return None


def _training_name(name: str) -> str:
    return name.removeprefix("val_")
