"""How the weights of each layer are spread."""

from __future__ import annotations

from typing import Any

from fastconv.models.model import Model
from fastconv.visualize._histograms import draw_histograms
from fastconv.visualize._layers import check_model


def plot_weight_histograms(
    model: Model, name: str | None = None, *, scale: str = "linear", figure: Any = None
) -> Any:
    """Draw a histogram of each array of weights; the arrays are those of ``model.weights``.

    Parameters
    ----------
    name : draw those of this name alone, such as "kernel"
    scale : "linear", or "log" for log10 of the sizes on an axis that all share

    Returns matplotlib's Figure. Raises ValueError where there are no weights, or none of this name.
    """
    check_model(model)
    weights = [weight for weight in model.weights if name in (None, weight.name)]
    if not weights:
        known = ", ".join(sorted({weight.name for weight in model.weights})) or "none"
        raise ValueError(f"{model} has no weights {name!r}; those here: {known}")
    arrays = {weight.path: weight.value for weight in weights}
    return draw_histograms(arrays, scale, figure, f"weights of {model.name}")
