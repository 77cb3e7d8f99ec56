"""Finding layers, those of models inside models too."""

from __future__ import annotations

from typing import Any

from fastconv._core.checks import unknown_name
from fastconv._core.names import snake_case
from fastconv.graph import Schedule
from fastconv.layers import ActivityRegularization, Flatten, Identity, Rescaling, Reshape
from fastconv.layers.layer import Layer
from fastconv.layers.random_layer import RandomLayer
from fastconv.layers.weighted import WeightedLayer
from fastconv.models.model import Model

LayerLike = str | int | Layer
"""A layer itself, its place in the model, its name, or its path: "block/conv1" is in a model "block"."""


def layer_paths(model: Model, prefix: str = "") -> dict[str, Layer]:
    """{path: layer} of all layers in the order they compute, each model inside before its own layers;
    ``Input`` is not among them.
    """
    found: dict[str, Layer] = {}
    for layer in model.layers:
        if layer.is_input:
            continue
        path = prefix + layer.name
        found[path] = layer
        if isinstance(layer, Model):
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
        layer = model.get_layer(index=int(which))
        if layer.is_input:
            raise ValueError(
                f"{layer} computes nothing: the layers of {model} are {', '.join(map(repr, paths))}"
            )
        places = [layer.name]
    else:
        raise TypeError(f"a layer is given as a name, an index or a Layer, got {which!r}")
    if len(places) > 1:
        raise ValueError(
            f"{which!r} is the name of several layers of {model}; give the path of one: {', '.join(places)}"
        )
    return places[0]


def check_model(model: Any) -> None:
    """Raise TypeError or ValueError unless ``model`` is one that can compute."""
    if not isinstance(model, Model):
        raise TypeError(f"the model must be a Sequential or another Model, got {model!r}")
    if not model.layers:
        raise ValueError(f"{model} has no layers: add some, then give it data")
    if not model.built:
        raise ValueError(f"{model} has no weights yet: call build(input_shape) and train it first")


def check_single(model: Model, *, output: bool = False) -> None:
    """Raise ValueError unless the model has one input, and with ``output`` one output."""
    for what, names in (("inputs", model.input_names), ("outputs", model.output_names if output else [])):
        if len(names) > 1:
            remedy = "begins with one of them" if what == "inputs" else "ends in one of them"
            raise ValueError(f"{model} has several {what}, {', '.join(names)}: ask a Model that {remedy}")


def schedule_of(model: Model) -> Schedule:
    """The calls of a model as it predicts. ValueError where it does not compute by its layers."""
    schedule = model.schedule(training=False)
    if schedule is None:
        raise ValueError(
            f"{model} cannot be looked into: it computes by a call of its own, not by its layers"
        )
    return schedule


def shows_nothing_new(layer: Layer) -> bool:
    """Whether a picture of the output would be one of the input, as of dropout outside training."""
    return isinstance(layer, (RandomLayer, Flatten, Identity, Reshape, Rescaling, ActivityRegularization))


def describe(path: str, layer: Layer) -> str:
    """``C1 · Conv2D, relu``, ``conv2d_1, relu``: name, kind and activation, each as far as it is news."""
    kind = type(layer).__name__
    said = path if layer.name.startswith(snake_case(kind)) else f"{path} · {kind}"
    activation = getattr(getattr(layer, "activation", None), "name", None)
    if activation not in (None, "linear") and isinstance(layer, WeightedLayer):
        said += f", {activation}"
    return said
