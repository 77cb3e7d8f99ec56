"""Finding layers, those of models inside models too."""

from __future__ import annotations

from typing import Any

from fastconv._errors import unknown_name
from fastconv._names import snake_case
from fastconv.layers import ActivityRegularization, Flatten, Rescaling, Reshape
from fastconv.layers.layer import Layer
from fastconv.layers.random_layer import RandomLayer
from fastconv.layers.weighted import WeightedLayer
from fastconv.models.sequential import Sequential

LayerLike = str | int | Layer
"""A layer itself, its place in the model, its name, or its path: "block/conv1" is in a model "block"."""


def layer_paths(model: Sequential, prefix: str = "") -> dict[str, Layer]:
    """{path: layer} of all layers in the order they compute, each model inside before its own layers."""
    found: dict[str, Layer] = {}
    for layer in model.layers:
        path = prefix + layer.name
        found[path] = layer
        if isinstance(layer, Sequential):
            found |= layer_paths(layer, f"{path}/")
    return found


def find_layer(model: Any, which: LayerLike) -> str:
    """The path of a layer. Raises ValueError or TypeError, with what there is, where it is not found."""
    check_model(model)
    paths = layer_paths(model)
    if isinstance(which, Layer):
        places = [path for path, layer in paths.items() if layer is which]
        if not places:
            raise ValueError(f"{which} is not a layer of {model}, which has {', '.join(map(repr, paths))}")
    elif isinstance(which, str):
        places = [which] if which in paths else [p for p in paths if p.rpartition("/")[2] == which]
        if not places:
            raise unknown_name("layer", which, paths)
    elif hasattr(which, "__index__") and not isinstance(which, bool):
        places = [model.get_layer(index=int(which)).name]
    else:
        raise TypeError(f"a layer is given as a name, an index or a Layer, got {which!r}")
    if len(places) > 1:
        raise ValueError(
            f"{which!r} is the name of several layers of {model}; give the path of one: {', '.join(places)}"
        )
    return places[0]


def check_model(model: Any) -> None:
    """Raise TypeError or ValueError unless ``model`` is one that can compute."""
    if not isinstance(model, Sequential):
        raise TypeError(f"the model must be a Sequential model, got {model!r}")
    if not model.layers:
        raise ValueError(f"{model} has no layers: add some, then give it data")
    if not model.built:
        raise ValueError(f"{model} has no weights yet: call build(input_shape) and train it first")


def shows_nothing_new(layer: Layer) -> bool:
    """Whether a picture of the output would be one of the input, as of dropout outside training."""
    return isinstance(layer, (RandomLayer, Flatten, Reshape, Rescaling, ActivityRegularization))


def describe(path: str, layer: Layer) -> str:
    """``C1 · Conv2D, relu``, ``conv2d_1, relu``: name, kind and activation, each as far as it is news."""
    kind = type(layer).__name__
    said = path if layer.name.startswith(snake_case(kind)) else f"{path} · {kind}"
    activation = getattr(getattr(layer, "activation", None), "name", None)
    if activation not in (None, "linear") and isinstance(layer, WeightedLayer):
        said += f", {activation}"
    return said
