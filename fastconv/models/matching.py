"""Which saved weights belong to which layers of a model that is not quite the one that was saved."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from itertools import zip_longest
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np

from fastconv._core.names import by_occurrence
from fastconv._core.turns import writing
from fastconv.parameter import Array, make_room


class LayerWeights(NamedTuple):
    """The weights of one layer, saved arrays or parameters: {"kernel": ..., "bias": ...}."""

    layer: str
    weights: dict[str, Any]

    def __str__(self) -> str:
        shapes = ", ".join(f"{name} {weight.shape}" for name, weight in self.weights.items())
        return f"{self.layer} ({shapes})"


Pair = tuple[LayerWeights | None, LayerWeights | None]


def load_matching(
    saved: Iterable[tuple[str, Array]], model: Any, where: Any, by_name: bool, skip_mismatch: bool
) -> None:
    """Copy the arrays of a file, as (path, array), into the layers of ``model`` that they belong to.

    by_name : layers with the same name belong together, and others are left alone; else the first layer with
        weights belongs to the first one in the file, and so on
    skip_mismatch : layers whose weights differ in number, names or shapes are left alone and a warning lists
        them; else they are a ValueError, and nothing has changed
    """
    theirs, own = by_layer(saved), by_layer((weight.path, weight) for weight in model.weights)
    pairs = _by_name(theirs, own, where, model) if by_name else list(zip_longest(theirs, own))
    load_pairs(pairs, model, where, skip_mismatch)


def load_pairs(
    pairs: Sequence[Pair],
    model: Any,
    where: Any,
    skip_mismatch: bool,
    read: Callable[[Any], Array] = np.asarray,
) -> None:
    """Copy what a file has into the layers of ``model`` that it is paired with.

    read : makes an array of what the pairs have in place of one; may raise, and nothing has changed then
    """
    problems = [problem for pair in pairs if (problem := _misfit(*pair))]
    if problems and not skip_mismatch:
        raise ValueError(f"{where} does not fit {model}: {problems[0]}; skip_mismatch=True loads the rest")
    values = [
        (parameter, read(saved.weights[name]))
        for saved, own in pairs
        if saved and own and not _misfit(saved, own)
        for name, parameter in own.weights.items()
    ]
    make_room(parameter for parameter, _ in values)
    with writing(model.weights):
        for parameter, value in values:
            parameter.value = value
    if problems:
        warnings.warn(
            f"{where}: {len(problems)} of {len(pairs)} layers skipped: {'; '.join(problems)}", stacklevel=5
        )


def by_layer(weights: Iterable[tuple[str, Any]]) -> list[LayerWeights]:
    """Weights by their paths, "layer/kernel", gathered by layer in their order."""
    layers: list[LayerWeights] = []
    for path, weight in weights:
        layer, _, name = path.rpartition("/")
        # Models inside models may hold two layers of one name, one after the other.
        if not layers or layers[-1].layer != layer or name in layers[-1].weights:
            layers.append(LayerWeights(layer, {}))
        layers[-1].weights[name] = weight
    return layers


def _by_name(
    theirs: Sequence[LayerWeights], own: Sequence[LayerWeights], where: Any, model: Any
) -> list[Pair]:
    """Pairs of one name; where a name occurs repeatedly, the first with the first and so on."""
    known, wanted = (by_occurrence(layers, attrgetter("layer")) for layers in (theirs, own))
    pairs: list[Pair] = [(known[key], layer) for key, layer in wanted.items() if key in known]
    if not pairs:
        names = (", ".join(layer.layer for layer in layers) or "none" for layers in (theirs, own))
        raise ValueError(
            f"{where} and {model} have no layer of the same name. Layers with weights in the file: "
            f"{next(names)}; in the model: {next(names)}"
        )
    return pairs


def _misfit(saved: LayerWeights | None, own: LayerWeights | None) -> str | None:
    """What is wrong with a pair; None where it fits."""
    if saved is None:
        return f"only the model has {own}"
    if own is None:
        return f"only the file has {saved}"
    shapes = [{name: weight.shape for name, weight in layer.weights.items()} for layer in (saved, own)]
    return None if shapes[0] == shapes[1] else f"{saved} in the file, {own} in the model"
