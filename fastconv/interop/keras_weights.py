"""Where Keras keeps the weights of each layer in its files, and which of a file's belong to which layer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from fastconv._core.names import snake_case
from fastconv.interop.hdf5 import Group, Stored
from fastconv.layers import Divide, Layer, Pipeline, SpectralNormalization
from fastconv.layers.arithmetic import WithNumber
from fastconv.models.matching import LayerWeights, Pair
from fastconv.models.model import Model
from fastconv.models.sequential import Sequential
from fastconv.parameter import Array, Parameter

# ---- Keras 3: "layers/conv2d/vars/0" ------------------------------------------------------------


class Place(NamedTuple):
    """A layer, and the group in a file that holds its own weights."""

    path: str
    layer: Layer
    weights: list[Parameter]


def places(model: Model) -> list[Place]:
    """Where Keras 3 looks for the weights of a model and of the layers inside it, in its order."""
    return list(_walk(model, "", set()))


def _walk(layer: Layer, path: str, seen: set[int]) -> Iterator[Place]:
    if id(layer) in seen:
        return
    seen.add(id(layer))
    yield Place(f"{path}/vars".lstrip("/"), layer, _own_weights(layer))
    for name, child in _children(layer):
        yield from _walk_each(child, f"{path}/{name}".lstrip("/"), seen)


def _walk_each(child: Any, path: str, seen: set[int]) -> Iterator[Place]:
    if isinstance(child, Layer):
        yield from _walk(child, path, seen)
        return
    taken: Counter[str] = Counter()
    for item in child.values() if isinstance(child, dict) else child:
        if isinstance(item, (WithNumber, Divide)):  # Keras' bare operations, which are no layers
            continue
        if isinstance(item, Layer):
            kind = "Functional" if type(item) is Model else type(item).__name__
        elif isinstance(item, (list, tuple, dict)):
            kind = "container"
        else:
            continue
        name = snake_case(kind)
        number = taken[name]
        taken[name] += 1
        yield from _walk_each(item, f"{path}/{name}" + (f"_{number}" if number else ""), seen)


def _own_weights(layer: Layer) -> list[Parameter]:
    if isinstance(layer, SpectralNormalization) and layer._weights:
        return [layer.kernel, *layer._weights]  # the kernel is in the layer inside as well
    return layer._weights


def _children(layer: Layer) -> Iterator[tuple[str, Any]]:
    """What Keras looks at in a layer: its attributes by name, private ones last; of models, layers first."""
    held: dict[str, Any] = {}
    if layer._is_of_the_user:
        books = vars(Layer()).keys() | {"_layers", "_tensors"}
        held = {name: value for name, value in vars(layer).items() if name not in books}
    if isinstance(layer, SpectralNormalization):
        held["layer"] = layer.layer
    if isinstance(layer, (Sequential, Pipeline)) or (isinstance(layer, Model) and layer._graph is not None):
        yield "layers", layer.layers
    elif isinstance(layer, Model):
        held["layers"] = layer.layers
    for name in sorted(held, key=lambda name: name.replace("_", "~", 1) if name[0] == "_" else name):
        if isinstance(held[name], (Layer, list, tuple, dict)):
            yield name, held[name]


def pairs(tree: Group, model: Model, where: str, by_name: bool) -> list[Pair]:
    """What the file has for each layer with weights, and what is only in one of the two."""
    groups = {group.place.removeprefix(f"{tree.place}/"): group for group in _all(tree)}
    groups = {path: group for path, group in groups.items() if group.arrays and _is_of_layers(path)}
    own = [place for place in places(model) if place.weights]
    if by_name:
        named = {group.text("name"): group for group in groups.values()}
        found = [(place, named.get(place.layer.name)) for place in own]
        found = [(place, group) for place, group in found if group is not None]
        if not found:
            raise ValueError(
                f"{where} and {model} have no layer of the same name. Layers with weights in the file: "
                f"{', '.join(map(str, named))}; in the model: {', '.join(p.layer.name for p in own)}"
            )
        return [(_saved(group, place.weights), _shown(place)) for place, group in found if group]
    result: list[Pair] = []
    for place in own:
        path = place.path
        if path not in groups:  # Keras 2.13
            path = path.replace("layers/", "_layer_checkpoint_dependencies/")
        group = groups.pop(path, None)
        result.append((None if group is None else _saved(group, place.weights), _shown(place)))
    return result + [(_saved(group, []), None) for group in groups.values()]


def check_names(tree: Group, model: Model, where: str) -> None:
    """ValueError where Keras gave the places of layers other layers' names: weights would be mixed up."""
    named = set(_named_layers(model))
    for place in places(model):
        group = tree.find(place.path)
        known = place.weights and id(place.layer) in named
        saved = group.text("name") if known and group is not None else None
        if saved is not None and saved != place.layer.name:
            raise ValueError(
                f"{where}: {place.path} holds the weights of {saved!r}, where those of {place.layer.name!r} "
                "were expected: the layers are in another order"
            )


def _named_layers(model: Model) -> Iterator[int]:
    """The layers, by id, whose names a description of the model has: not those inside of a user's layer."""
    if isinstance(model, Sequential) or model._graph is not None:
        for layer in model.layers:
            yield id(layer)
            if isinstance(layer, Model):
                yield from _named_layers(layer)


def _all(group: Group) -> Iterator[Group]:
    yield group
    for below in group.groups.values():
        yield from _all(below)


def _is_of_layers(path: str) -> bool:
    first = path.partition("/")[0]
    return path.rpartition("/")[2] == "vars" and first not in ("optimizer", "metrics", "_metrics")


def _shown(place: Place) -> LayerWeights:
    return LayerWeights(place.layer.name, {weight.name: weight for weight in place.weights})


def _saved(group: Group, weights: list[Parameter]) -> LayerWeights:
    """The arrays of a group, by the names of the weights where there are as many."""
    arrays = [group.arrays[name] for name in sorted(group.arrays, key=_number)]
    names = [weight.name for weight in weights]
    if len(names) != len(arrays):
        names = sorted(group.arrays, key=_number)
    label = group.text("name") or group.place.rpartition("/vars")[0].rpartition("/")[2]
    return LayerWeights(label, dict(zip(names, arrays, strict=True)))


def _number(name: str) -> tuple[int, str]:
    return (int(name) if name.isdecimal() else -1, name)


# ---- HDF5 files by Keras 2 and before: "conv2d/conv2d/kernel:0" --------------------------------


def legacy_pairs(tree: Group, model: Model, where: str, by_name: bool) -> list[Pair]:
    """The same for a group with ``layer_names``."""
    names = tree.texts("layer_names")
    if names is None:
        raise ValueError(f"{where} holds no weights by Keras: it has neither layers nor layer_names")
    saved = [layer for name in names if (layer := _legacy_layer(tree, name, where)).weights]
    own = [LayerWeights(layer.name, _in_old_order(layer)) for layer in model.layers if layer.weights]
    if by_name:
        known = {layer.layer: layer for layer in saved}
        matched = [(known[layer.layer], layer) for layer in own if layer.layer in known]
        if not matched:
            raise ValueError(
                f"{where} and {model} have no layer of the same name. Layers with weights in the file: "
                f"{', '.join(known)}; in the model: {', '.join(layer.layer for layer in own)}"
            )
    else:
        count = max(len(saved), len(own))
        padded = [[*side, *[None] * (count - len(side))] for side in (saved, own)]
        matched = list(zip(*padded, strict=True))
    return [(_renamed(theirs, ours), ours) for theirs, ours in matched]


def _legacy_layer(tree: Group, name: str, where: str) -> LayerWeights:
    group = tree.find(name)
    names = None if group is None else group.texts("weight_names")
    if group is None or names is None:
        raise ValueError(f"{where} is damaged: the weights of the layer {name!r} are missing")
    arrays = {}
    for weight in names:
        array = group.array(weight)
        if array is None:
            raise ValueError(f"{where} is damaged: {weight!r} of the layer {name!r} is missing")
        arrays[weight] = array
    return LayerWeights(name, arrays)


def _in_old_order(layer: Layer) -> dict[str, Parameter]:
    """Those that learn before those that do not."""
    ordered = [*layer.trainable_weights, *layer.non_trainable_weights]
    named = {weight.path.partition("/")[2] or weight.name: weight for weight in ordered}
    return named if len(named) == len(ordered) else {str(n): weight for n, weight in enumerate(ordered)}


def _renamed(saved: LayerWeights | None, own: LayerWeights | None) -> LayerWeights | None:
    if saved is None or own is None or len(saved.weights) != len(own.weights):
        return saved
    return LayerWeights(saved.layer, dict(zip(own.weights, saved.weights.values(), strict=True)))


# ---- numbers ------------------------------------------------------------------------------------


def reader(where: str, check: Callable[[str, Array], None]) -> Callable[[Any], Array]:
    """Reads a stored array, and has ``check`` look at it."""

    def read(stored: Stored) -> Array:
        array = stored.read()
        if array.dtype.kind in "iu" and array.ndim == 0:  # how many examples a Normalization saw
            array = array.astype(np.float32)
        check(stored.place.removeprefix(f"{where}/"), array)
        return array

    return read
