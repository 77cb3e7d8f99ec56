"""How often each class was predicted for each other, as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastconv import utils
from fastconv.visualize._figure import SMALL, new_figure
from fastconv.visualize._inputs import names_of_classes

MOST_TO_WRITE_IN = 20


def plot_confusion_matrix(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    class_names: Sequence[str] | None = None,
    normalize: str | None = None,
    *,
    figure: Any = None,
) -> Any:
    """Draw ``utils.confusion_matrix``: a row for each true class, a column for each predicted one.

    The colour of a cell is its share of the row, on a scale that shows rare mistakes too; the number in it is
    how many examples there are, or the share that ``normalize`` asks for. Of more than 20 classes there are
    colours alone.

    Parameters
    ----------
    y_true, y_pred : labels (N,), or one-hot rows or scores (N, C)
    class_names : what the classes are called; their numbers where None
    normalize : None for counts; "true", "pred" or "all" for shares, as in ``utils.confusion_matrix``

    Returns matplotlib's Figure. Raises ValueError where labels do not fit each other or the names.
    """
    classes = None if class_names is None else len(class_names)
    counts = utils.confusion_matrix(y_true, y_pred, num_classes=classes)
    written = utils.confusion_matrix(y_true, y_pred, num_classes=classes, normalize=normalize)
    number = len(counts)
    names = names_of_classes(class_names, number)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = min(max(0.55 * number, 3.0), 8.0)
    right = np.trace(counts) / max(counts.sum(), 1)
    figure = new_figure(side + 1, side + 0.8, figure=figure)
    axes = figure.add_subplot()
    axes.imshow(np.sqrt(shares), cmap="Blues", vmin=0, vmax=1)
    axes.set_title(f"{right:.2%} of {counts.sum():,} examples are right", fontsize=SMALL + 2)
    axes.set(xlabel="predicted class", ylabel="true class")
    axes.set_xticks(range(number), names, rotation=90 if max(map(len, names)) > 3 else 0, fontsize=SMALL)
    axes.set_yticks(range(number), names, fontsize=SMALL)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    if number <= MOST_TO_WRITE_IN:
        for (true, predicted), value in np.ndenumerate(written):
            if value:
                axes.text(
                    predicted,
                    true,
                    f"{value}" if normalize is None else f"{value:.2f}",
                    ha="center",
                    va="center",
                    fontsize=SMALL,
                    color="white" if shares[true, predicted] > 0.3 else "black",
                )
    return figure
