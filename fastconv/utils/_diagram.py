"""A model as boxes and arrows: what ``plot_model`` and ``model_to_dot`` draw."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from fastconv.graph import Schedule, SymbolicTensor
from fastconv.layers.graphed import composition_of
from fastconv.layers.layer import Layer


class Box(NamedTuple):
    """One call of a layer.

    name    of the layer, behind the names of the models inside the model that it belongs to: "encoder/conv1"
    title   the first line
    lines   the others
    group   the name of the model inside the model; "" for the layers of the model itself
    """

    name: str
    title: str
    lines: list[str]
    group: str


class Diagram(NamedTuple):
    """``edges`` are (from, to): numbers of boxes, one for each tensor that a call takes."""

    name: str
    boxes: list[Box]
    edges: list[tuple[int, int]]


class Shown(NamedTuple):
    """What stands in the boxes."""

    shapes: bool
    dtype: bool
    layer_names: bool
    activations: bool
    trainable: bool


def diagram(model: Any, shown: Shown, expand_nested: bool) -> Diagram:
    """The calls of a model's layers when it predicts, each after those whose results it takes."""
    graph = model.graph
    schedule = Schedule(graph, model, False, composition_of if expand_nested else _never)
    calls = [
        ((tensor.node.layer,), (), (tensor,), (), (number,))
        for tensor, number in zip(graph.input_list, schedule.inputs, strict=True)
    ] + [
        ((call.layer, *call.owners[:-1]), call.node.inputs, call.node.outputs, call.inputs, call.outputs)
        for call in schedule.calls
    ]
    times, seen = Counter(id(owners[0]) for owners, *_ in calls), Counter[int]()
    boxes: list[Box] = []
    edges: list[tuple[int, int]] = []
    maker: dict[int, int] = {}
    for owners, inputs, outputs, read, made in calls:
        layer = owners[0]
        seen[id(layer)] += 1
        number = (seen[id(layer)], times[id(layer)])
        edges += [(maker[tensor], len(boxes)) for tensor in read]
        maker |= dict.fromkeys(made, len(boxes))
        boxes.append(_box(owners, inputs, outputs, number, shown))
    return Diagram(model.name, boxes, edges)


def _never(layer: Layer, training: bool, shapes: Any) -> None:
    """No layer is opened."""


def _box(
    owners: tuple[Layer, ...],
    inputs: Sequence[SymbolicTensor],
    outputs: Sequence[SymbolicTensor],
    number: tuple[int, int],
    shown: Shown,
) -> Box:
    layer = owners[0]
    kind = type(layer).__name__
    lines = []
    group = "/".join(owner.name for owner in owners[:0:-1])
    if group:
        lines.append(f"in {group}")
    if number[1] > 1:
        lines.append(f"call {number[0]} of {number[1]}")
    activation = getattr(layer, "activation", None)
    if shown.activations and activation is not None:
        lines.append(f"Activation: {_name(activation)}")
    if shown.shapes:
        if inputs:
            lines.append(f"Input shape: {_shapes(inputs)}")
        lines.append(f"Output shape: {_shapes(outputs)}")
    if shown.dtype:
        lines.append(f"Output dtype: {outputs[0].dtype}")
    if shown.trainable and layer.weights:
        learns = all(owner.trainable for owner in owners)
        lines.append("Trainable" if learns else "Non-trainable")
    title = f"{layer.name} ({kind})" if shown.layer_names else kind
    return Box(f"{group}/{layer.name}" if group else layer.name, title, lines, group)


def _name(activation: Any) -> str:
    return str(getattr(activation, "name", None) or getattr(activation, "__name__", None) or activation)


def _shapes(tensors: Sequence[SymbolicTensor]) -> str:
    return ", ".join(str(tensor.shape) for tensor in tensors)
