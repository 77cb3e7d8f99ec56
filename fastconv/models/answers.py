"""Which of a model's outputs is the answer: of scores the largest, of distances the smallest.

The loss says which of the two it takes (``Loss.takes_distances``). Where the model is not compiled, or with a
loss that takes any numbers, it is the loss that the last layer asks for (``Layer.suitable_loss``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastconv import losses
from fastconv.layers.layer import Layer
from fastconv.parameter import Array

if TYPE_CHECKING:
    from fastconv.models.model import Model


def gives_distances(layer: Layer) -> bool:
    """Whether the loss that suits the layer takes distances."""
    return layer.suitable_loss is not None and losses.get(layer.suitable_loss).takes_distances


def outputs_distances(model: Any) -> list[bool]:
    """Of each output, whether it is distances from the classes, of which the smallest is the answer."""
    names, last = model._ports.outputs, model._last_layers()
    distances = [gives_distances(layer) for layer in last] or [False] * len(names)
    objective = model._compiled.objective if model.compiled else None
    if objective is None:
        return distances
    return [
        given or (term.loss is not None and term.loss.takes_distances)
        for given, term in zip(distances, objective.terms(names), strict=True)
    ]


def as_scores(model: Model, outputs: Array) -> Array:
    """The only output such that the largest number is the answer: distances with their sign changed."""
    return -outputs if outputs_distances(model)[0] else outputs
