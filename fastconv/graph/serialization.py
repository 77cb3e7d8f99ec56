"""Graphs to and from plain dictionaries: each layer once, with its calls, in Keras' notation.

A tensor in the arguments of a call is ``{"class_name": "__keras_tensor__", "config": {"shape": ..., "dtype":
..., "keras_history": [layer, call, output]}}``: the output number ``output`` of call number ``call`` of a
layer.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from fastconv.graph import structure
from fastconv.graph.graph import Graph
from fastconv.graph.symbolic import Node, SymbolicTensor

if TYPE_CHECKING:
    from fastconv.layers.layer import Layer

_TENSOR = "__keras_tensor__"


def graph_config(graph: Graph, serialize: Callable[[Layer], dict[str, Any]]) -> dict[str, Any]:
    """{"layers": [...], "input_layers": ..., "output_layers": ...}"""
    places = tensor_places(graph)
    calls: dict[int, list[Node]] = {id(layer): [] for layer in graph.layers}
    for node in graph.nodes:
        if node.inputs:
            calls[id(node.layer)].append(node)

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

    layers = []
    for layer in graph.layers:
        entry = serialize(layer)
        entry |= {"name": layer.name, "inbound_nodes": [call(node) for node in calls[id(layer)]]}
        layers.append(entry)
    return {
        "layers": layers,
        "input_layers": _nested_places(graph.inputs, places),
        "output_layers": _nested_places(graph.outputs, places),
    }


def graph_from_config(
    config: Mapping[str, Any], deserialize: Callable[[Mapping[str, Any]], Layer], owner: str
) -> Graph:
    """The way back from ``graph_config``: new layers, called in the same way.

    Raises ValueError where the description is not of that form, two layers have one name, or a call needs a
    tensor that nothing makes, a cycle for example.
    """
    layers: dict[str, Layer] = {}
    calls: list[_Call] = []
    made: dict[Place, SymbolicTensor] = {}
    for entry in _list_of(config["layers"], f"{owner}: layers"):
        name, its_calls = _checked_entry(entry, layers, owner)
        layers[name] = layer = deserialize(entry)
        if layer.is_input:
            if its_calls:
                raise ValueError(f"{owner}: {layer} is called on a tensor; a model begins with it")
            made[name, 0, 0] = layer.output
        elif not its_calls:
            raise ValueError(f"{owner}: {layer} is called on no tensor: its inbound_nodes are empty")
        for number, call in enumerate(its_calls):
            calls.append(_checked_call(name, number, call, owner))
    _make(calls, layers, made, owner)
    return Graph(
        _tensors_at(config["input_layers"], made, owner),
        _tensors_at(config["output_layers"], made, owner),
        owner,
    )


Place = tuple[str, int, int]
"""A layer's name, which of its calls, and which of the outputs of that call."""


class _Call(NamedTuple):
    """One call of a layer, as a description has it."""

    layer: str
    number: int
    args: list[Any]
    kwargs: dict[str, Any]
    needs: list[Place]


def _make(
    calls: Sequence[_Call], layers: Mapping[str, Layer], made: dict[Place, SymbolicTensor], owner: str
) -> None:
    """Call the layers, each once what it needs is there and its earlier calls are done; fills ``made``."""
    missing: list[int] = []  # of each call, how many calls it waits for
    waiting: defaultdict[tuple[str, int], list[int]] = defaultdict(list)
    for index, call in enumerate(calls):
        after = {place[:2] for place in call.needs if place not in made}
        after |= {(call.layer, call.number - 1)} if call.number else set()
        missing.append(len(after))
        for other in after:
            waiting[other].append(index)
    ready = deque(index for index, count in enumerate(missing) if not count)
    done = 0
    while ready:
        call = calls[ready.popleft()]
        args = [_with_tensors(argument, made, owner) for argument in call.args]
        result = layers[call.layer](*args, **call.kwargs)
        for place, tensor in enumerate(structure.leaves(result)):
            made[call.layer, call.number, place] = tensor
        done += 1
        for index in waiting.pop((call.layer, call.number), ()):
            missing[index] -= 1
            if not missing[index]:
                ready.append(index)
    if done < len(calls):
        names = list(dict.fromkeys(call.layer for call, count in zip(calls, missing, strict=True) if count))
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        raise ValueError(
            f"{owner}: the layers {names[:_NAMED]}{more} wait for tensors that nothing makes: there is a "
            "cycle, or a layer is missing"
        )


_NAMED = 5  # layers in a message


def _list_of(given: Any, what: str) -> list[Any]:
    if not isinstance(given, (list, tuple)):
        raise ValueError(f"{what} must be a list, got {type(given).__name__}")
    return list(given)


def _checked_entry(entry: Any, known: Mapping[str, Layer], owner: str) -> tuple[str, list[Any]]:
    """The name of a described layer, and its calls."""
    if not isinstance(entry, Mapping) or not isinstance(entry.get("name"), str):
        raise ValueError(f"{owner}: a layer in it has no name, or is no dictionary")
    name = entry["name"]
    if name in known:
        raise ValueError(f"{owner}: two layers in it are named {name!r}")
    return name, _list_of(entry.get("inbound_nodes"), f"{owner}: the inbound_nodes of {name!r}")


def _checked_call(name: str, number: int, call: Any, owner: str) -> _Call:
    where = f"{owner}: call {number} of {name!r}"
    if not isinstance(call, Mapping) or not isinstance(call.get("kwargs", {}), Mapping):
        raise ValueError(f'{where} must be {{"args": [...], "kwargs": {{...}}}}, got {str(call)[:100]}')
    args = _list_of(call.get("args"), f"{where}: args")
    needs = [_place(leaf, where) for leaf in _tensors_in(args)]
    if not needs:
        raise ValueError(f"{where} is on no tensor")
    # Keras notes arguments that were left out as None, "mask" among them.
    kwargs = {argument: value for argument, value in call.get("kwargs", {}).items() if value is not None}
    return _Call(name, number, args, kwargs, needs)


def tensor_places(graph: Graph) -> dict[int, list[Any]]:
    """[layer's name, which of its calls, which output] for each tensor's id."""
    seen: defaultdict[str, int] = defaultdict(int)
    places = {}
    for node in graph.nodes:
        for tensor in node.outputs:
            places[id(tensor)] = [node.layer.name, seen[node.layer.name], tensor.index]
        seen[node.layer.name] += 1
    return places


def _nested_places(tensors: Any, places: Mapping[int, list[Any]]) -> Any:
    """Nested as the tensors; a single one is one place, as in Keras."""
    return structure.mapped(lambda tensor: places[id(tensor)], tensors)


def _is_place(given: Any) -> bool:
    return (
        isinstance(given, (list, tuple))
        and len(given) == 3
        and isinstance(given[0], str)
        and all(type(number) is int for number in given[1:])
    )


def _place(described: Mapping[str, Any], where: str) -> Place:
    """Which tensor a described one is."""
    config = described.get("config")
    history = config.get("keras_history") if isinstance(config, Mapping) else None
    if not _is_place(history):
        raise ValueError(f"{where}: a tensor is [layer, call, output], got {str(history)[:100]}")
    layer, call, output = history  # type: ignore[misc]
    return layer, call, output


def _tensors_at(places: Any, made: Mapping[Place, SymbolicTensor], owner: str) -> Any:
    if _is_place(places):
        return _tensor(tuple(places), made, owner)
    if isinstance(places, Mapping):
        return {key: _tensors_at(value, made, owner) for key, value in places.items()}
    return [_tensors_at(place, made, owner) for place in _list_of(places, f"{owner}: the place of a tensor")]


def _tensor(place: Any, made: Mapping[Place, SymbolicTensor], owner: str) -> SymbolicTensor:
    if place not in made:
        raise ValueError(f"{owner}: no layer makes the tensor {list(place)}")
    return made[place]


def _tensors_in(given: Any) -> list[Mapping[str, Any]]:
    """The described tensors in nested arguments."""
    if isinstance(given, Mapping):
        if given.get("class_name") == _TENSOR:
            return [given]
        given = list(given.values())
    if isinstance(given, (list, tuple)):
        return [tensor for value in given for tensor in _tensors_in(value)]
    return []


def _with_tensors(given: Any, made: Mapping[Place, SymbolicTensor], owner: str) -> Any:
    if isinstance(given, Mapping):
        if given.get("class_name") == _TENSOR:
            return _tensor(_place(given, owner), made, owner)
        return {key: _with_tensors(value, made, owner) for key, value in given.items()}
    if isinstance(given, (list, tuple)):
        return [_with_tensors(value, made, owner) for value in given]
    return given
