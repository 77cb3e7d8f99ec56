"""Graphs to and from plain dictionaries: each layer once, with its calls, in Keras' notation.

A tensor in the arguments of a call is ``{"class_name": "__keras_tensor__", "config": {"shape": ..., "dtype":
..., "keras_history": [layer, call, output]}}``: the output number ``output`` of call number ``call`` of a
layer.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fastconv.graph import structure
from fastconv.graph.graph import Graph
from fastconv.graph.symbolic import Node, SymbolicTensor

if TYPE_CHECKING:
    from fastconv.layers.layer import Layer

_TENSOR = "__keras_tensor__"


def graph_config(graph: Graph, serialize: Callable[[Layer], dict[str, Any]]) -> dict[str, Any]:
    """{"layers": [...], "input_layers": ..., "output_layers": ...}"""
    places = _places(graph)

    def described(leaf: Any) -> Any:
        if not isinstance(leaf, SymbolicTensor):
            return leaf
        shape, dtype = list(leaf.shape), leaf.dtype
        return {
            "class_name": _TENSOR,
            "config": {"shape": shape, "dtype": dtype, "keras_history": places[id(leaf)]},
        }

    def call(node: Node) -> dict[str, Any]:
        return {"args": structure.mapped(described, list(node.args)), "kwargs": dict(node.kwargs)}

    def calls(layer: Layer) -> list[dict[str, Any]]:
        return [call(node) for node in graph.calls_of(layer) if node.inputs]

    return {
        "layers": [
            {**serialize(layer), "name": layer.name, "inbound_nodes": calls(layer)} for layer in graph.layers
        ],
        "input_layers": _tensor_places(graph.inputs, places),
        "output_layers": _tensor_places(graph.outputs, places),
    }


def graph_from_config(
    config: Mapping[str, Any], deserialize: Callable[[Mapping[str, Any]], Layer], owner: str
) -> Graph:
    """The way back from ``graph_config``: new layers, called in the same way.

    Raises ValueError where a call needs a tensor that nothing makes, a cycle for example.
    """
    layers = {entry["name"]: deserialize(entry) for entry in config["layers"]}
    made: dict[tuple[str, int, int], SymbolicTensor] = {}
    counts: Counter[str] = Counter()

    def note(name: str, outputs: Sequence[SymbolicTensor]) -> None:
        for index, tensor in enumerate(outputs):
            made[name, counts[name], index] = tensor
        counts[name] += 1

    waiting: dict[str, list[dict[str, Any]]] = {}
    for entry in config["layers"]:
        name = entry["name"]
        if entry["inbound_nodes"]:
            waiting[name] = list(entry["inbound_nodes"])
        else:
            note(name, [layers[name].output])  # an Input
    while waiting:
        progress = False
        for name in list(waiting):
            while waiting[name] and all(place in made for place in _needs(waiting[name][0])):
                call = waiting[name].pop(0)
                result = layers[name](*_arguments(call["args"], made), **call.get("kwargs", {}))
                note(name, structure.leaves(result))
                progress = True
            if not waiting[name]:
                del waiting[name]
        if not progress:
            raise ValueError(
                f"{owner}: the layers {sorted(waiting)} wait for tensors that nothing makes: the file has a "
                "cycle, or "
                "a layer is missing"
            )
    return Graph(_tensors_at(config["input_layers"], made), _tensors_at(config["output_layers"], made), owner)


def _places(graph: Graph) -> dict[int, list[Any]]:
    """[layer's name, which of its calls, which output] for each tensor's id."""
    seen: defaultdict[str, int] = defaultdict(int)
    places = {}
    for node in graph.nodes:
        for tensor in node.outputs:
            places[id(tensor)] = [node.layer.name, seen[node.layer.name], tensor.index]
        seen[node.layer.name] += 1
    return places


def _tensor_places(tensors: Any, places: Mapping[int, list[Any]]) -> Any:
    """Nested as the tensors; a single one is one place, as in Keras."""
    return structure.mapped(lambda tensor: places[id(tensor)], tensors)


def _is_place(given: Any) -> bool:
    return isinstance(given, (list, tuple)) and len(given) == 3 and isinstance(given[0], str)


def _tensors_at(places: Any, made: Mapping[tuple[str, int, int], SymbolicTensor]) -> Any:
    if _is_place(places):
        place = tuple(places)
        if place not in made:
            raise ValueError(f"no layer makes the tensor {list(places)}")
        return made[place]
    if isinstance(places, Mapping):
        return {key: _tensors_at(value, made) for key, value in places.items()}
    return [_tensors_at(place, made) for place in places]


def _needs(call: Any) -> list[tuple[str, int, int]]:
    found = []
    if isinstance(call, Mapping):
        if call.get("class_name") == _TENSOR:
            return [tuple(call["config"]["keras_history"])]
        for value in call.values():
            found += _needs(value)
    elif isinstance(call, (list, tuple)):
        for value in call:
            found += _needs(value)
    return found


def _arguments(given: Any, made: Mapping[tuple[str, int, int], SymbolicTensor]) -> Any:
    if isinstance(given, Mapping):
        if given.get("class_name") == _TENSOR:
            return made[tuple(given["config"]["keras_history"])]
        return {key: _arguments(value, made) for key, value in given.items()}
    if isinstance(given, (list, tuple)):
        return [_arguments(value, made) for value in given]
    return given
