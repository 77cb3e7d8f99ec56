"""Weights of layers as tensors of PyTorch's modules: which there are, their names, and their axes.

What is (KH, KW, C, F) here is (F, C, KH, KW) there, and an image (H, W, C) is (C, H, W). Where an image is
flattened, its numbers come in another order there: ``feature_orders`` finds the layers that notice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import prod
from typing import Any, NamedTuple

import numpy as np

from fastconv import layers as L
from fastconv.graph.graph import Graph
from fastconv.graph.symbolic import SymbolicTensor
from fastconv.layers.arithmetic import WithNumber
from fastconv.layers.layer import Layer
from fastconv.layers.merging import ElementwiseMerge
from fastconv.models.model import Model
from fastconv.parameter import Array, Parameter

Change = Callable[[Array], Array]


class Slot(NamedTuple):
    """A tensor of a module, and the parameter whose numbers it has.

    layer      whose weights these are
    module     which of several modules that do what the layer does; "" where it is one
    tensor     "weight", "bias", "running_mean" or "running_var"
    parameter  None where PyTorch wants a tensor whose numbers are all ``constant``
    shape      in PyTorch
    to, back   from the parameter's value to the tensor's and back
    """

    layer: Layer
    module: str
    tensor: str
    parameter: Parameter | None
    shape: tuple[int, ...]
    to: Change
    back: Change
    constant: float = 0.0

    @property
    def name(self) -> str:
        return f"{self.module}.{self.tensor}" if self.module else self.tensor


class Orders(NamedTuple):
    """PyTorch's feature j of a layer is feature ``order[j]`` here; None where they are the same."""

    inputs: Array | None = None
    outputs: Array | None = None


def slots(model: Model) -> list[Slot]:
    """The tensors of all layers of a model, in the order of its layers; models inside are opened.

    Raises ValueError for a layer with weights that PyTorch has no module for.
    """
    orders = feature_orders(model)
    found: list[Slot] = []
    for layer in _leaves(model, set()):
        if layer.weights and not isinstance(layer, L.Normalization):
            found += _slots_of(layer, orders.get(id(layer), Orders()))
    return found


def _leaves(layer: Layer, seen: set[int]) -> Iterator[Layer]:
    if id(layer) in seen:
        return
    seen.add(id(layer))
    if isinstance(layer, (Model, L.Pipeline)):
        for part in layer.parts():
            yield from _leaves(part, seen)
    else:
        yield layer


def _slots_of(layer: Layer, orders: Orders) -> list[Slot]:
    for kind, make in _MAKERS:
        if isinstance(layer, kind):
            return list(make(layer, orders))
    raise ValueError(
        f"{layer}: PyTorch has no module like it. Convolutions, Dense, PReLU and normalizations can be "
        "exchanged; leave this layer to a model of its own, or set its weights by hand"
    )


def _same(value: Array) -> Array:
    return value


def _vector(layer: Layer, tensor: str, parameter: Any, order: Array | None, module: str = "") -> Slot:
    to, back = (_same, _same) if order is None else _by_order(order, 0)
    return Slot(layer, module, tensor, parameter, parameter.shape, to, back)


def _by_order(order: Array, axis: int) -> tuple[Change, Change]:
    inverse = np.argsort(order)
    return lambda value: value.take(order, axis), lambda value: value.take(inverse, axis)


def _transposed(layer: Layer, parameter: Parameter, axes: tuple[int, ...], module: str = "") -> Slot:
    shape = tuple(parameter.shape[axis] for axis in axes)
    back = tuple(np.argsort(axes).tolist())
    return Slot(
        layer, module, "weight", parameter, shape,
        lambda value: value.transpose(axes), lambda value: value.transpose(back),
    )  # fmt: skip


def _bias(layer: Any, order: Array | None = None, module: str = "") -> list[Slot]:
    return [] if layer.bias is None else [_vector(layer, "bias", layer.bias, order, module)]


def _convolution(layer: Any, orders: Orders) -> list[Slot]:
    """(k..., C, F) here, (F, C, k...) there; of a transposed one (k..., F, C) and (C, F, k...)."""
    if getattr(layer, "connections", None) is not None:
        raise ValueError(f"{layer}: PyTorch has no connections=")
    spatial = layer.kernel.ndim - 2
    axes = (spatial + 1, spatial, *range(spatial))
    return [_transposed(layer, layer.kernel, axes), *_bias(layer)]


def _depthwise_slot(layer: Any, parameter: Parameter, module: str) -> Slot:
    """(k..., C, M) here, (C · M, 1, k...) there, the M of one channel side by side."""
    *size, channels, multiplier = parameter.shape
    spatial = len(size)
    there = (spatial, spatial + 1, *range(spatial))
    here = (*range(2, spatial + 2), 0, 1)
    shape = (channels * multiplier, 1, *size)
    return Slot(
        layer, module, "weight", parameter, shape,
        lambda value: value.transpose(there).reshape(shape),
        lambda value: value.reshape(channels, multiplier, *size).transpose(here),
    )  # fmt: skip


def _depthwise(layer: Any, orders: Orders) -> list[Slot]:
    return [_depthwise_slot(layer, layer.kernel, ""), *_bias(layer)]


def _separable(layer: Any, orders: Orders) -> list[Slot]:
    pointwise = layer.pointwise_kernel
    spatial = pointwise.ndim - 2
    return [
        _depthwise_slot(layer, layer.depthwise_kernel, "depthwise"),
        _transposed(layer, pointwise, (spatial + 1, spatial, *range(spatial)), "pointwise"),
        *_bias(layer, module="pointwise"),
    ]


def _dense(layer: Any, orders: Orders) -> list[Slot]:
    slot = _transposed(layer, layer.kernel, (1, 0))
    to, back = slot.to, slot.back
    for order, axis in ((orders.inputs, 1), (orders.outputs, 0)):
        if order is not None:
            to, back = _composed(to, back, *_by_order(order, axis))
    return [slot._replace(to=to, back=back), *_bias(layer, orders.outputs)]


def _composed(to: Change, back: Change, then: Change, undo: Change) -> tuple[Change, Change]:
    return lambda value: then(to(value)), lambda value: back(undo(value))


def _batch_normalization(layer: Any, orders: Orders) -> Iterator[Slot]:
    yield from _scale_and_shift(layer, layer.gamma, layer.beta, orders.inputs)
    yield _vector(layer, "running_mean", layer.moving_mean, orders.inputs)
    yield _vector(layer, "running_var", layer.moving_variance, orders.inputs)


def _scale_and_shift(layer: Any, gamma: Any, beta: Any, order: Array | None) -> Iterator[Slot]:
    """PyTorch has both or neither."""
    if gamma is None and beta is None:
        return
    shape = (gamma if gamma is not None else beta).shape
    for tensor, parameter, constant in (("weight", gamma, 1.0), ("bias", beta, 0.0)):
        if parameter is None:
            yield Slot(layer, "", tensor, None, shape, _same, _same, constant)
        else:
            yield _along_axes(layer, tensor, parameter, order)


def _along_axes(layer: Any, tensor: str, parameter: Parameter, order: Array | None) -> Slot:
    """One number for each place along some axes, which are channels first there."""
    if parameter.ndim < 2:
        return _vector(layer, tensor, parameter, order)
    rank = 1 + len(layer.input_shape)
    axes = [axis % rank for axis in layer.axis]
    if axes != sorted(axes):
        raise ValueError(f"{layer}: PyTorch's axes are in ascending order; give axis={sorted(axes)}")
    last = parameter.ndim - 1
    turned = (last, *range(last)) if axes[-1] == rank - 1 else tuple(range(last + 1))
    return _transposed(layer, parameter, turned)._replace(tensor=tensor)


def _affine(layer: Any, orders: Orders) -> Iterator[Slot]:
    yield from _scale_and_shift(layer, layer.gamma, layer.beta, orders.inputs)


def _rms(layer: Any, orders: Orders) -> list[Slot]:
    return [_along_axes(layer, "weight", layer.scale, orders.inputs)]


def _prelu(layer: Any, orders: Orders) -> list[Slot]:
    """One slope for each channel there; here also one for each number, all equal along the other axes."""
    alpha = layer.alpha
    shape = (alpha.shape[-1],)

    def to(value: Array) -> Array:
        slopes = value.reshape(-1, value.shape[-1])
        if (slopes != slopes[0]).any():
            raise ValueError(f"{layer}: PReLU of PyTorch has one slope a channel; use shared_axes=")
        return slopes[0]

    def back(value: Array) -> Array:
        return np.broadcast_to(value, alpha.shape)

    slot = Slot(layer, "", "weight", alpha, shape, to, back)
    if orders.inputs is not None and alpha.ndim == 1 and alpha.size > 1:
        changed = _composed(to, back, *_by_order(orders.inputs, 0))
        return [slot._replace(to=changed[0], back=changed[1])]
    return [slot]


_MAKERS: tuple[tuple[Any, Callable[[Any, Orders], Any]], ...] = (
    ((L.DepthwiseConv1D, L.DepthwiseConv2D), _depthwise),
    ((L.SeparableConv1D, L.SeparableConv2D), _separable),
    ((L.Conv1D, L.Conv2D, L.Conv1DTranspose, L.Conv2DTranspose), _convolution),
    (L.Dense, _dense),
    (L.BatchNormalization, _batch_normalization),
    ((L.LayerNormalization, L.GroupNormalization), _affine),
    (L.RMSNormalization, _rms),
    (L.PReLU, _prelu),
)

# ---- the order of features behind Flatten and in front of Reshape ------------------------------


class _Step(NamedTuple):
    """A call of a layer that is no model: its inputs and outputs by keys, with their shapes."""

    layer: Layer
    inputs: list[Any]
    outputs: list[Any]


_KEEPS_ORDER = (
    L.Activation, L.ReLU, L.Softmax, L.PReLU, L.Dropout, L.AlphaDropout, L.GaussianDropout, L.GaussianNoise,
    L.Identity, L.ActivityRegularization, L.BatchNormalization, L.LayerNormalization, L.RMSNormalization,
    L.UnitNormalization, WithNumber, ElementwiseMerge,
)  # fmt: skip


def feature_orders(model: Model) -> dict[int, Orders]:
    """How the features of layers are ordered in PyTorch, by the layer's id, where that is not as here.

    Raises ValueError for a layer that is called in two places where the orders differ.
    """
    graph = model.composition(training=False) if model.built else None
    if graph is None:
        return {}
    steps: list[_Step] = []
    shapes: dict[Any, tuple[int | None, ...]] = {}
    _open(graph, {}, (), steps, shapes)
    came = _came(steps, shapes)
    wanted = _wanted(steps, shapes)
    found: dict[int, Orders] = {}
    for step in steps:
        order, later = came.get(step.inputs[0]), wanted.get(step.outputs[0])
        own = (
            Orders(order, later)
            if isinstance(step.layer, L.Dense)
            else Orders(order if order is not None else later)
        )
        known = found.setdefault(id(step.layer), own)
        if not all(_equal(a, b) for a, b in zip(known, own, strict=True)):
            raise ValueError(
                f"{step.layer} is called on flattened images and on others: its weights in PyTorch have no "
                "single order"
            )
    return found


def _equal(a: Array | None, b: Array | None) -> bool:
    return (a is None) == (b is None) and (a is None or np.array_equal(a, b))  # type: ignore[arg-type]


def _open(
    graph: Graph, given: dict[int, Any], path: tuple[int, ...], steps: list[_Step], shapes: dict[Any, Any]
) -> list[Any]:
    """Append the calls of a graph, those of models inside in their place; returns the keys of its outputs."""

    def key(tensor: SymbolicTensor) -> Any:
        return given.get(id(tensor), (path, id(tensor)))

    for number, node in enumerate(graph.nodes):
        if node.is_input:
            shapes.setdefault(key(node.outputs[0]), node.outputs[0].shape[1:])
            continue
        layer = node.layer
        inside = layer.composition(training=False) if isinstance(layer, Model) else None
        if inside is not None:
            inner = dict(zip(map(id, inside.input_list), map(key, node.inputs), strict=True))
            made = _open(inside, inner, (*path, number), steps, shapes)
            given |= dict(zip(map(id, node.outputs), made, strict=True))
            continue
        for tensor in node.outputs:
            shapes[key(tensor)] = tensor.shape[1:]
        steps.append(_Step(layer, [key(t) for t in node.inputs], [key(t) for t in node.outputs]))
    return [key(tensor) for tensor in graph.output_list]


def _flat_order(shape: tuple[int | None, ...]) -> Array | None:
    """Of the numbers of an image (H, W, C), channels first."""
    if len(shape) < 2 or None in shape or shape[-1] == 1 or prod(shape[:-1]) == 1:  # type: ignore[arg-type]
        return None
    numbers = np.arange(prod(shape)).reshape(shape)  # type: ignore[arg-type]
    return np.moveaxis(numbers, -1, 0).ravel()


def _came(steps: list[_Step], shapes: dict[Any, Any]) -> dict[Any, Array]:
    """The order of each vector that comes from a flattened image."""
    orders: dict[Any, Array] = {}
    for layer, inputs, outputs in steps:
        before, after = shapes[inputs[0]], shapes[outputs[0]]
        given = [orders.get(key) for key in inputs]
        order = None
        if isinstance(layer, (L.Flatten, L.Reshape)) and len(after) == 1:
            order = given[0] if len(before) == 1 else _flat_order(before)
        elif isinstance(layer, L.Concatenate) and len(after) == 1:
            order = _joined(given, [shapes[key] for key in inputs])
        elif isinstance(layer, _KEEPS_ORDER) and len(after) == 1:
            order = next((one for one in given if one is not None), None)
        if order is not None:
            orders[outputs[0]] = order
    return orders


def _joined(orders: list[Array | None], shapes: list[Any]) -> Array | None:
    if all(order is None for order in orders):
        return None
    parts, start = [], 0
    for order, (size,) in zip(orders, shapes, strict=True):
        parts.append(start + (np.arange(size) if order is None else order))
        start += size
    return np.concatenate(parts)


def _wanted(steps: list[_Step], shapes: dict[Any, Any]) -> dict[Any, Array]:
    """The order of each vector of which an image is made."""
    orders: dict[Any, Array] = {}
    for layer, inputs, outputs in reversed(steps):
        before, after = shapes[inputs[0]], shapes[outputs[0]]
        order = None
        if isinstance(layer, L.Reshape) and len(before) == 1 and len(after) > 1:
            order = _flat_order(after)
        elif isinstance(layer, _KEEPS_ORDER) and len(after) == 1:
            order = orders.get(outputs[0])
        if order is not None:
            for key in inputs:
                orders[key] = order
    return orders
