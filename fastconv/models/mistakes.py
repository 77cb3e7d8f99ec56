"""Warnings of what is legal, runs, and is hardly ever meant."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from fastconv import losses
from fastconv.graph.ports import Several
from fastconv.layers.normalization import Rescaling
from fastconv.losses import Loss
from fastconv.models.answers import gives_distances
from fastconv.models.objective import Term
from fastconv.parameter import Array


def warn_of_likely_mistakes(model: Any, terms: Sequence[Term], inputs: Sequence[Array]) -> None:
    """Look at the model and a batch: all is frozen, bytes nobody scales, scores taken for probabilities.

    ``terms`` are the losses of the outputs, in order.
    """
    if model.weights and not model.parameters:
        warn(f"{model} has nothing to learn: all of its layers with weights are frozen (trainable = False)")
    rescales = any(isinstance(layer, Rescaling) and layer.takes_bytes for layer in model._leaves())
    for x in map(np.asarray, inputs):
        if x.dtype == np.uint8 and x.ndim > 2 and x.max() > 1 and not rescales:
            warn(
                f"{model} is given uint8 images, 0 to {x.max()}, and networks learn badly from large "
                "numbers: divide by 255 or start with Rescaling(1/255)"
            )
    last = model._last_layers()
    for place, term in enumerate(terms):
        if term.loss is None:
            continue
        layer = last[place] if place < len(last) else None
        where = f"the last layer of {model}" if len(terms) == 1 else f"{layer}, an output of {model},"
        _warn_of_output(where, layer, term.loss)


def _warn_of_output(where: str, layer: Any, loss: Loss) -> None:
    if layer is not None and gives_distances(layer) and loss.fuses_with is not None:
        warn(
            f"{where} gives distances, of which the smallest is the answer, and "
            f"{type(loss).__name__} takes the largest for it: use "
            f"{type(losses.get(layer.suitable_loss)).__name__}"
        )
    if loss.takes_distances and not (layer is not None and gives_distances(layer)):
        warn(
            f"{type(loss).__name__} takes distances, of which the smallest is the answer, but {where} "
            "is no RBF: where it gives scores, use SparseCategoricalCrossentropy"
        )
    if loss.fuses_with is None or layer is None:
        return
    name, activation = type(loss).__name__, layer.output_activation
    from_logits = getattr(loss, "from_logits", False)
    if activation == "linear" and not from_logits:
        warn(
            f"{name} takes probabilities, but {where} has no activation: give it "
            f'activation="{loss.fuses_with}", or use {name}(from_logits=True)'
        )
    if activation in ("softmax", "sigmoid") and from_logits:
        warn(
            f"{name}(from_logits=True) takes scores, but {where} makes probabilities of "
            f"them, with {activation}: leave out one of the two"
        )


def warn_of_nan(model: Any, loss: float, batch: Any, where: str) -> None:
    """After a step whose loss is NaN or infinite: say in which of data and weights the reason is."""
    found = f"the loss of {model} is {loss} {where}"
    for name, array in _named(model, batch):
        if array is None:
            continue
        broken = ~np.isfinite(np.asarray(array).reshape(len(array), -1)).all(axis=1)
        if broken.any():
            warn(
                f"{found}: {name} holds NaN or infinity, {broken.sum()} of the {len(array)} examples of the "
                f"batch do, the first at index {int(broken.argmax())}: clean the data before training"
            )
            return
    warn(f"{found}: {_diverged(first_broken_weight(model))}")


def _named(model: Any, batch: Any) -> Iterator[tuple[str, Any]]:
    """The arrays of a batch, by what they are called: "x", or "x['image']" of a model with several inputs."""
    ports = model._ports
    for part, names in (("x", ports.inputs), ("y", ports.outputs), ("sample_weight", ports.outputs)):
        arrays = getattr(batch, part)
        if isinstance(arrays, Several):
            yield from ((f"{part}[{name!r}]", array) for name, array in zip(names, arrays, strict=True))
        else:
            yield part, arrays


def warn_of_broken_weights(model: Any) -> None:
    """At the end of a training whose last loss was still a number."""
    path = first_broken_weight(model)
    if path is not None:
        warn(f"training of {model} ended with useless weights: {_diverged(path)}")


def first_broken_weight(model: Any) -> str | None:
    """The path of the first weight that holds NaN or infinity; None where there is none."""
    return next((weight.path for weight in model.weights if not np.isfinite(weight.value).all()), None)


def _diverged(path: str | None) -> str:
    where = "" if path is None else f"{path} holds NaN or infinity, "
    return (
        f"{where}training diverged: lower the learning rate, or limit gradients with clipnorm; "
        "callbacks.TerminateOnNaN stops training there"
    )


def warn(message: str) -> None:
    """A warning that points at the line outside of this package that called into it."""
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("fastconv."):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, stacklevel=level)
