"""A network as a graph: calls of layers in an order in which each comes after those that it needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from fastconv.graph import structure
from fastconv.graph.ports import Ports
from fastconv.graph.symbolic import Node, SymbolicTensor, shapes_of

if TYPE_CHECKING:
    from fastconv.layers.layer import Layer


class Graph:
    """From tensors to tensors: what a model computes. It never changes; a model that grows gets a new one.

    inputs, outputs   one tensor, or nested lists, tuples and dictionaries of them, as given
    nodes             the calls on the way, each after those whose results it takes; ``Input`` among them
    layers            the layers called, each once, in the order of their first calls

    Raises TypeError where ``inputs`` or ``outputs`` hold something else than symbolic tensors, ValueError
    where an output needs a tensor that no input leads to, an input leads to no output, an input is given
    twice, or two layers have the same name.
    """

    def __init__(self, inputs: Any, outputs: Any, owner: str = "the model") -> None:
        self.inputs, self.outputs = inputs, outputs
        self.input_list: list[SymbolicTensor] = _checked_tensors(inputs, "inputs", owner)
        self.output_list: list[SymbolicTensor] = _checked_tensors(outputs, "outputs", owner)
        if len({id(tensor) for tensor in self.input_list}) != len(self.input_list):
            raise ValueError(f"{owner}: the same tensor stands in inputs twice; give each input once")
        self.nodes = _sorted_nodes(self.input_list, self.output_list, owner)
        self.layers = _distinct_layers(self.nodes)
        _check_names(self.layers, owner)
        self._check_inputs_are_used(owner)

    def _check_inputs_are_used(self, owner: str) -> None:
        used = {id(tensor) for node in self.nodes for tensor in node.inputs}
        used |= {id(tensor) for tensor in self.output_list}
        for tensor in self.input_list:
            if id(tensor) not in used:
                raise ValueError(
                    f"{owner}: no output depends on the input {tensor.name!r}; leave it out of inputs, or "
                    "use it"
                )

    @cached_property
    def output_names(self) -> list[str]:
        """What logs and dictionaries call the outputs: names of layers, told apart where a layer gives
        two."""
        names: list[str] = []
        for tensor in self.output_list:
            name, number = tensor.name, 0
            while name in names:
                number += 1
                name = f"{tensor.name}_{number}"
            names.append(name)
        return names

    @cached_property
    def input_names(self) -> list[str]:
        """The names of the inputs, by which dictionaries of arrays give them."""
        return [tensor.name for tensor in self.input_list]

    @cached_property
    def parts(self) -> list[Layer]:
        """The layers but for ``Input``."""
        return [layer for layer in self.layers if not layer.is_input]

    @cached_property
    def ports(self) -> Ports:
        """The names of inputs and outputs."""
        return Ports(tuple(self.input_names), tuple(self.output_names))

    @cached_property
    def chain(self) -> list[Node] | None:
        """The calls between the input and the output, where each follows the one before; else None."""
        at = self.input_list[0]
        calls: list[Node] = []
        for node in self.nodes:
            if node.is_input:
                continue
            plain = node.args == (at,) and not node.kwargs and isinstance(node.result, SymbolicTensor)
            if not plain or any(node.layer is call.layer for call in calls):
                return None
            calls.append(node)
            at = node.outputs[0]
        single = structure.is_leaf(self.inputs) and structure.is_leaf(self.outputs)
        return calls if single and self.output_list[0] is at else None

    def apply(self, inputs: Any, training: bool | None) -> Any:
        """Call the layers in order on other inputs, nested as the graph's: arrays, or symbolic tensors."""
        values = dict(zip(map(id, self.input_list), structure.leaves(inputs), strict=True))
        for node in self.nodes:
            if node.is_input:
                continue
            args = _looked_up(node.args, values)
            result = node.layer(*args, training=node.kwargs.get("training", training))
            values |= dict(zip(map(id, node.outputs), structure.leaves(result), strict=True))
        return _looked_up(self.outputs, values)

    def rebuilt(self, new_layer: Callable[[Layer], Layer], owner: str) -> Graph:
        """The same calls of other layers: of ``new_layer(layer)`` in the place of each."""
        layers = {id(layer): new_layer(layer) for layer in self.layers}
        made: dict[int, Any] = {}
        for node in self.nodes:
            layer = layers[id(node.layer)]
            result = layer.output if node.is_input else layer(*_looked_up(node.args, made), **node.kwargs)
            made |= dict(zip(map(id, node.outputs), structure.leaves(result), strict=True))
        inputs, outputs = _looked_up(self.inputs, made), _looked_up(self.outputs, made)
        return Graph(inputs, outputs, owner)

    def output_shapes(self, input_shapes: Any) -> Any:
        """The shapes of the outputs for inputs of other shapes than the graph was made with, all without the
        batch axis and nested as the inputs. Raises ValueError, naming the layer, where one does not fit.
        """
        given = map(_Shaped, structure.shape_leaves(input_shapes))
        tensors = dict(zip(map(id, self.input_list), given, strict=True))
        for node in self.nodes:
            if node.is_input:
                continue
            shapes = shapes_of(_looked_up(node.args, tensors))
            node.layer.check_inputs(shapes)
            outputs = map(_Shaped, structure.shape_leaves(node.layer.compute_output_shape(shapes)))
            tensors |= dict(zip(map(id, node.outputs), outputs, strict=True))
        return structure.mapped(lambda tensor: tensors[id(tensor)].shape[1:], self.outputs)

    def __reduce__(self) -> tuple[Any, ...]:
        """Calls one after another, tensors by their places: a chain of tensors would be a recursion for
        pickle."""
        places = {
            id(tensor): _Place(number, index)
            for number, node in enumerate(self.nodes)
            for index, tensor in enumerate(node.outputs)
        }

        def placed(leaf: Any) -> Any:
            return places[id(leaf)] if isinstance(leaf, SymbolicTensor) else leaf

        calls = [
            (node.layer, structure.mapped(placed, node.args), node.kwargs, node.output_shapes)
            for node in self.nodes
        ]
        return _restored, (
            calls,
            structure.mapped(placed, self.inputs),
            structure.mapped(placed, self.outputs),
        )

    def calls_of(self, layer: Layer) -> list[Node]:
        """The calls of one layer, in order."""
        return [node for node in self.nodes if node.layer is layer]


class _Place:
    """Where a tensor is made: the number of the call, and which of its outputs it is."""

    def __init__(self, call: int, output: int) -> None:
        self.call, self.output = call, output


def _restored(calls: Sequence[tuple[Layer, Any, dict[str, Any], Any]], inputs: Any, outputs: Any) -> Graph:
    nodes: list[Node] = []

    def tensor(leaf: Any) -> Any:
        return nodes[leaf.call].outputs[leaf.output] if isinstance(leaf, _Place) else leaf

    for layer, args, kwargs, shapes in calls:
        nodes.append(layer.called(structure.mapped(tensor, args), kwargs, shapes))
    return Graph(structure.mapped(tensor, inputs), structure.mapped(tensor, outputs))


def _looked_up(nested: Any, values: Mapping[int, Any]) -> Any:
    """What there is for each tensor, by its id."""
    return structure.mapped(
        lambda leaf: values[id(leaf)] if isinstance(leaf, SymbolicTensor) else leaf, nested
    )


class _Shaped:
    """Stands for a tensor where only its shape matters."""

    def __init__(self, shape: tuple[int | None, ...]) -> None:
        self.shape = (None, *shape)


def _checked_tensors(given: Any, what: str, owner: str) -> list[SymbolicTensor]:
    tensors = structure.leaves(given)
    for tensor in tensors:
        if not isinstance(tensor, SymbolicTensor):
            hint = (
                "call it on a tensor: layer(tensor)"
                if hasattr(tensor, "forward")
                else "begin with Input(shape)"
            )
            got = f"an array of shape {tensor.shape}" if hasattr(tensor, "__array__") else repr(tensor)
            raise TypeError(f"{owner}: {what} must be made of symbolic tensors, got {got}; {hint}")
    if not tensors:
        raise ValueError(f"{owner}: {what} is empty; give at least one symbolic tensor")
    return tensors


def _sorted_nodes(
    inputs: Sequence[SymbolicTensor], outputs: Sequence[SymbolicTensor], owner: str
) -> list[Node]:
    """The calls from inputs to outputs in Keras' order: by their distance from the outputs, the farthest
    first.

    The distance is that of the longest way, and a layer called several times has the largest of its calls'.
    Among equals the order is that in which a search, depth first, from the outputs first meets their layers,
    and of calls of one layer that in which it meets them.
    """
    finished, visited = _search(inputs, outputs, owner)
    distance: dict[int, int] = {}
    by_layer: dict[int, int] = {}
    known = {id(node) for node in finished}
    for node in reversed(finished):
        own = max(distance.get(id(node), 0), by_layer.get(id(node.layer), 0))
        distance[id(node)] = by_layer[id(node.layer)] = own
        for tensor in node.inputs:
            if id(tensor.node) in known:
                distance[id(tensor.node)] = max(distance.get(id(tensor.node), 0), own + 1)
    met: dict[int, int] = {}
    for node in finished:
        met[id(node.layer)] = min(visited[id(node)], met.get(id(node.layer), visited[id(node)]))
    return sorted(finished, key=lambda node: (-distance[id(node)], met[id(node.layer)], visited[id(node)]))


def _search(
    inputs: Sequence[SymbolicTensor], outputs: Sequence[SymbolicTensor], owner: str
) -> tuple[list[Node], dict[int, int]]:
    """The calls in the order in which a search from the outputs leaves them, and the numbers in which it
    first meets them. Without recursion: graphs may be thousands of calls deep.
    """
    # A model may begin in the middle of another one: the calls below its inputs are not its own.
    given = {id(tensor) for tensor in inputs}
    inside = {id(tensor) for tensor in inputs if not tensor.node.is_input}
    finished: list[Node] = []
    visited: dict[int, int] = {}

    def meet(tensor: SymbolicTensor) -> tuple[Node, Iterator[SymbolicTensor]]:
        visited[id(tensor.node)] = len(visited)
        if id(tensor) not in given:
            _refuse_unconnected(tensor, owner)
        return tensor.node, iter(tensor.node.inputs)

    for output in outputs:
        pending = [meet(output)] if id(output.node) not in visited and id(output) not in inside else []
        while pending:
            _, rest = pending[-1]
            below = next(rest, None)
            if below is None:
                finished.append(pending.pop()[0])
            elif id(below.node) not in visited and id(below) not in inside:
                pending.append(meet(below))
    return finished, visited


def _refuse_unconnected(tensor: SymbolicTensor, owner: str) -> None:
    if tensor.node.is_input:
        raise ValueError(
            f"{owner}: the outputs depend on the input {tensor.name!r} {tensor.shape}, which is not among "
            "inputs; add it to inputs"
        )
    if not tensor.node.inputs:
        raise ValueError(
            f"{owner}: the outputs depend on {tensor.node.layer}, which was called on no tensor of inputs"
        )


def _distinct_layers(nodes: Sequence[Node]) -> list[Layer]:
    layers: dict[int, Layer] = {}
    for node in nodes:
        layers.setdefault(id(node.layer), node.layer)
    return list(layers.values())


def _check_names(layers: Sequence[Layer], owner: str) -> None:
    seen: dict[str, Layer] = {}
    for layer in layers:
        if layer.name in seen:
            raise ValueError(
                f"{owner}: two layers are named {layer.name!r}, {seen[layer.name]!r} and {layer!r}; names "
                "must differ"
            )
        seen[layer.name] = layer
