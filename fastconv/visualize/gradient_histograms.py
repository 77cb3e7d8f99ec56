"""How large the gradients of each layer are: whether they vanish or explode on their way down."""

from __future__ import annotations

import copy
from typing import Any

from numpy.typing import ArrayLike

from fastconv._core.randomness import generator_state, set_generator_state
from fastconv.models.model import Model
from fastconv.parameter import Array
from fastconv.visualize._histograms import draw_histograms
from fastconv.visualize._layers import check_model


def loss_gradients(
    model: Model, x: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
) -> dict[str, Array]:
    """{path: gradient} of the compiled loss, penalties included, for what the model can learn.

    They are those of a training step on this batch, with dropout and batch statistics; but no step is made:
    a copy of the model does the work, and random numbers go on as if nothing had been drawn.

    Raises ValueError where the model is not compiled, has nothing to learn, or the batch does not suit it.
    """
    check_model(model)
    model._ready("loss_gradients")
    if not model.parameters:
        raise ValueError(f"{model} has no trainable weights: all its layers are frozen, or have none")
    batch = model._batch(x, y, sample_weight)
    before = generator_state()
    try:
        copied = copy.deepcopy(model)
        _, _, parameters = copied._loss_and_gradients(batch)
    finally:
        set_generator_state(before)
    return {parameter.path: parameter.grad for parameter in parameters}


def plot_gradient_histograms(
    model: Model,
    x: ArrayLike,
    y: ArrayLike,
    sample_weight: ArrayLike | None = None,
    *,
    scale: str = "log",
    figure: Any = None,
) -> Any:
    """Draw a histogram of the gradient of each array of weights for a batch; see ``loss_gradients``.

    Parameters
    ----------
    scale : "log" for log10 of the sizes on an axis that all share: where gradients vanish or explode, the
        hills wander from layer to layer. "linear" for the numbers themselves

    Returns matplotlib's Figure. The model stays as it is.
    """
    gradients = loss_gradients(model, x, y, sample_weight)
    return draw_histograms(gradients, scale, figure, f"gradients of {model.name}'s loss")
