"""Warnings of what is legal, runs, and is hardly ever meant."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from fastconv.layers.rescaling import Rescaling
from fastconv.losses import Loss, MaximumAPosteriori
from fastconv.parameter import Array


def warn_of_likely_mistakes(model: Any, loss: Loss, x: Array) -> None:
    """Look at the model and a batch: all is frozen, bytes nobody scales, scores taken for probabilities."""
    if model.weights and not model.parameters:
        _warn(f"{model} has nothing to learn: all of its layers with weights are frozen (trainable = False)")
    rescales = any(isinstance(layer, Rescaling) and layer.takes_bytes for layer in model.layers)
    if x.dtype == np.uint8 and x.ndim > 2 and x.max() > 1 and not rescales:
        _warn(
            f"{model} is given uint8 images, 0 to {x.max()}, and networks learn badly from large numbers: "
            "divide by 255 or start with Rescaling(1/255)"
        )
    if model.outputs_distances != isinstance(loss, MaximumAPosteriori):
        _warn_of_distances(model, loss)
    if loss.fuses_with is None:
        return
    name, activation = type(loss).__name__, model.output_activation
    from_logits = getattr(loss, "from_logits", False)
    if activation == "linear" and not from_logits:
        _warn(
            f"{name} takes probabilities, but the last layer of {model} has no activation: give it "
            f'activation="{loss.fuses_with}", or use {name}(from_logits=True)'
        )
    if activation in ("softmax", "sigmoid") and from_logits:
        _warn(
            f"{name}(from_logits=True) takes scores, but the last layer of {model} makes probabilities of "
            f"them, with {activation}: leave out one of the two"
        )


def _warn_of_distances(model: Any, loss: Loss) -> None:
    if model.outputs_distances and loss.fuses_with is not None:
        _warn(
            f"the last layer of {model} gives distances, of which the smallest is the answer, and "
            f"{type(loss).__name__} takes the largest for it: use MaximumAPosteriori"
        )
    elif not model.outputs_distances:
        _warn(
            f"{type(loss).__name__} takes distances, of which the smallest is the answer, but the last layer "
            f"of {model} is no RBF: where it gives scores, use SparseCategoricalCrossentropy"
        )


def _warn(message: str) -> None:
    warnings.warn(message, stacklevel=5)  # the line that called fit or train_on_batch
