"""A graph made ready to run: calls in order, tensors numbered, models inside it opened.

This is the reading copy of how a network runs, forward and backward; ``Pass`` is one batch on its way.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastconv._core.checks import unknown_name
from fastconv._core.versions import unnoticed
from fastconv.graph import structure
from fastconv.graph.graph import Graph
from fastconv.graph.symbolic import Node, SymbolicTensor
from fastconv.parameter import Array, Parameter

if TYPE_CHECKING:
    from fastconv.layers.layer import Layer


class Call(NamedTuple):
    """One layer at work in a schedule, on tensors by their numbers.

    node        the call in the graph, with the shapes
    owners      the models around it, the outermost last
    training    what the call asks for, whatever the model is told; None for what the model is told
    last_reads  the numbers of the tensors that no later call reads
    is_plain    whether it is layer(x), with nothing else among the arguments
    learns      False: nothing in it does, in this schedule
    """

    layer: Layer
    node: Node
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    owners: tuple[Layer, ...]
    training: bool | None
    last_reads: tuple[int, ...]
    is_plain: bool
    learns: bool = True

    @property
    def gives_gradients(self) -> bool:
        """Whether it goes back for the gradients of tensors inside, whatever is below it."""
        return False

    @property
    def parameters(self) -> list[Parameter]:
        """What learns: nothing in a frozen model, whatever its layers say."""
        for owner in self.owners:
            if not owner.trainable:
                return []
        return self.layer.parameters if self.learns else []

    def arguments(self, values: Sequence[Any]) -> tuple[Any, ...]:
        """What the layer is called with: ``values`` by number in the place of the tensors."""
        if self.is_plain:
            return (values[self.inputs[0]],)
        numbers = iter(self.inputs)

        def value(leaf: Any) -> Any:
            return values[next(numbers)] if isinstance(leaf, SymbolicTensor) else leaf

        return tuple(structure.mapped(value, argument) for argument in self.node.args)

    def nested(self, results: Sequence[Any]) -> Any:
        """One item for each output, nested as the layer returns them."""
        return structure.packed(self.node.result, results)


class Made(NamedTuple):
    """What one call of a layer, or of a model inside, makes.

    path      "block/conv1" of a layer in a model "block"
    outputs   its tensors, by number
    node      the call in the graph
    """

    layer: Layer
    path: str
    outputs: tuple[int, ...]
    node: Node


class Schedule:
    """The calls of a graph, and in the place of a model among them the calls of that model.

    ``inside(layer, training, input_shapes)`` is the graph of a layer that only composes other layers, None
    for any other.
    """

    def __init__(
        self,
        graph: Graph,
        owner: Layer,
        training: bool,
        inside: Callable[[Layer, bool, Any], Graph | None],
    ) -> None:
        self.graph, self.owner = graph, owner
        self._inside = inside
        self._numbers: dict[tuple[int, ...], int] = {}
        self.opened: list[tuple[Layer, bool, Any, Graph]] = []
        self.made_by: list[Made] = []
        """Each call, in order; a model inside comes after its layers."""
        self.places: dict[int, list[int]] = {}
        """Numbers of each tensor, by the tensor's id, of the graphs of models inside too: of a model that is
        called several times one for each call."""
        self.size = 0
        calls: list[Call] = []
        numbers = self._new_numbers(graph.input_list)
        self.inputs = tuple(numbers[id(tensor)] for tensor in graph.input_list)
        self._open(graph, (owner,), training, None, numbers, calls)
        self.outputs = tuple(numbers[id(tensor)] for tensor in graph.output_list)
        self.calls = _with_last_reads(calls, self.outputs)
        self.tensors = numbers
        """Number of each tensor of the outermost graph, by the tensor's id."""

    def is_current(self) -> bool:
        """Whether the models inside are still those that were opened."""
        return all(
            self._inside(layer, training, shapes) is graph for layer, training, shapes, graph in self.opened
        )

    def find(self, wanted: Layer | str) -> tuple[Layer, tuple[int, ...]]:
        """A layer, of the models inside too, by itself or by its name; with what its first call makes.

        Raises ValueError where there is none.
        """
        found = self.calls_of(wanted)[0]
        return found.layer, found.outputs

    def calls_of(self, wanted: Layer | str) -> list[Made]:
        """All calls of a layer, by itself, its path or its name; of several layers of that name, of all.

        Raises ValueError where there is none.
        """
        if not isinstance(wanted, str):
            found = [made for made in self.made_by if made.layer is wanted]
            if not found:
                raise ValueError(f"{wanted} is not in {self.owner}")
            return found
        found = [made for made in self.made_by if made.path == wanted]
        found = found or [made for made in self.made_by if made.layer.name == wanted]
        if not found:
            raise unknown_name("layer", wanted, dict.fromkeys(made.layer.name for made in self.made_by))
        return found

    def tapped(self, numbers: Iterable[int], penalized: bool = True) -> Schedule:
        """The same calls, of which nothing learns, with these tensors as outputs behind the others.

        Inputs and outputs among them are left out. Without ``penalized`` layers do not penalize their
        outputs.
        """
        there = {*self.inputs, *self.outputs}
        more = [number for number in dict.fromkeys(numbers) if number not in there]
        with unnoticed():  # copies of layers are made
            calls = [
                call._replace(learns=False, layer=call.layer if penalized else without_penalty(call.layer))
                for call in self.calls
            ]
        return self.with_calls(calls, self.inputs, (*self.outputs, *more))

    def part(self, outputs: Sequence[int], inputs: Sequence[int] | None = None) -> Schedule:
        """The calls that make the tensors ``outputs``, by number, from ``inputs`` (None: the model's)."""
        given = self.inputs if inputs is None else tuple(inputs)
        wanted, calls = set(outputs).difference(given), []
        for call in reversed(self.calls):
            if not wanted.isdisjoint(call.outputs):
                wanted.update(number for number in call.inputs if number not in given)
                calls.append(call)
        return self.with_calls(calls[::-1], given, outputs)

    def with_calls(self, calls: Sequence[Call], inputs: Sequence[int], outputs: Sequence[int]) -> Schedule:
        """A schedule of these calls, with the same tensors."""
        changed = copy.copy(self)
        changed.inputs, changed.outputs = tuple(inputs), tuple(outputs)
        changed.calls = _with_last_reads(calls, changed.outputs)
        return changed

    def needed(self, learned: Sequence[list[Parameter]], asked: Iterable[int]) -> list[bool]:
        """Of each tensor, whether its gradient is ``asked`` for, or leads to one that is, or to something
        that learns.

        ``learned`` are the parameters of each call, ``call.parameters``.
        """
        needed = [False] * self.size
        for number in asked:
            needed[number] = True
        for call, parameters in zip(self.calls, learned, strict=True):
            if parameters or call.gives_gradients or any(needed[number] for number in call.inputs):
                for number in call.outputs:
                    needed[number] = True
        return needed

    def _new_numbers(self, tensors: Iterable[SymbolicTensor]) -> dict[int, int]:
        numbers = {}
        for tensor in tensors:
            numbers[id(tensor)] = self.size
            self.size += 1
        return numbers

    def _open(
        self,
        graph: Graph,
        owners: tuple[Layer, ...],
        training: bool,
        asked: bool | None,
        numbers: dict[int, int],
        calls: list[Call],
    ) -> None:
        for node in graph.nodes:
            if node.is_input:
                continue
            own = node.kwargs.get("training")
            wish = asked if own is None else bool(own)
            shapes = node.input_shapes
            inner = self._inside(node.layer, training if wish is None else wish, shapes)
            if inner is None:
                numbers |= self._new_numbers(node.outputs)
                read = tuple(numbers[id(tensor)] for tensor in node.inputs)
                made = tuple(numbers[id(tensor)] for tensor in node.outputs)
                self.made_by.append(Made(node.layer, _path(owners, node.layer), made, node))
                plain = len(node.args) == 1 and isinstance(node.args[0], SymbolicTensor)
                calls.append(Call(node.layer, node, read, made, owners, wish, (), plain))
                continue
            now = training if wish is None else wish
            self.opened.append((node.layer, now, shapes, inner))
            given = (numbers[id(tensor)] for tensor in node.inputs)
            within = dict(zip(map(id, inner.input_list), given, strict=True))
            self._open(inner, (node.layer, *owners), now, wish, within, calls)
            for outer, tensor in zip(node.outputs, inner.output_list, strict=True):
                numbers[id(outer)] = within[id(tensor)]
            made = tuple(numbers[id(tensor)] for tensor in node.outputs)
            self.made_by.append(Made(node.layer, _path(owners, node.layer), made, node))
        for tensor_id, number in numbers.items():
            self.places.setdefault(tensor_id, []).append(number)


def without_penalty(layer: Layer) -> Layer:
    """The layer, or a copy with the same weights where it penalizes its outputs."""
    if layer.activity_regularizer is None:
        return layer
    twin = copy.copy(layer)
    twin.activity_regularizer = None  # type: ignore[misc]  # an attribute wherever it is not None
    return twin


def _path(owners: tuple[Layer, ...], layer: Layer) -> str:
    return "/".join([*(owner.name for owner in owners[-2::-1]), layer.name])


def _with_last_reads(calls: Sequence[Call], kept: Sequence[int]) -> list[Call]:
    seen, marked = set(kept), []
    for call in reversed(calls):
        last = tuple(dict.fromkeys(number for number in (*call.inputs, *call.outputs) if number not in seen))
        seen.update(last)
        marked.append(call._replace(last_reads=last))
    return marked[::-1]


class Pass:
    """One batch on its way through a schedule, forward and back.

    ``values`` holds the tensors that are still needed, and those whose numbers are in ``keep``.
    """

    def __init__(self, schedule: Schedule, training: bool, keep: Iterable[int] = ()) -> None:
        self.schedule = schedule
        self.training = training
        self.values: list[Any] = [None] * schedule.size
        self._saved: list[Any] = [None] * len(schedule.calls)
        self._shapes: dict[int, Any] = {}  # (shape, dtype) of each output of a call with several
        self._keep = frozenset(keep)

    def forward(self, inputs: Sequence[Array], remember: bool = True) -> list[Array]:
        """The outputs, in order. Without ``remember`` there is no way back."""
        values = self.values
        for call in self.schedule.calls:
            if call.layer._activity_losses:
                call.layer._activity_losses = []
        for number, array in zip(self.schedule.inputs, inputs, strict=True):
            values[number] = array
        for index, call in enumerate(self.schedule.calls):
            training = self.training if call.training is None else call.training
            result, saved = call.layer.compute(*call.arguments(values), training=training)
            if remember:
                self._saved[index] = saved
            if len(call.outputs) == 1:
                values[call.outputs[0]] = result
            else:
                for number, array in zip(call.outputs, structure.leaves(result), strict=True):
                    values[number] = array
                    self._shapes[number] = array.shape, array.dtype
            for number in call.last_reads:
                if number not in self._keep:
                    values[number] = None
        return [values[number] for number in self.schedule.outputs]

    def backward(
        self,
        gradients: Sequence[Array | None],
        from_logits: Sequence[bool] | None = None,
        asked: Collection[int] = (),
        let_go: bool = False,
    ) -> list[Array | None]:
        """The chain rule, last call first: fills the gradients of all trainable parameters.

        ``gradients`` are those of the loss with respect to the outputs, None for 0; where ``from_logits`` is
        true, with respect to the pre-activation of the layer that makes the output. Returned are the
        gradients with respect to the tensors ``asked`` for, by number: None where the loss does not depend on
        one. What ``from_logits`` takes past an output is not in the gradient of that output. ``let_go`` drops
        what each call saved once it is used.

        A tensor that several calls read gets the sum of their gradients, in their order from the last to the
        first; likewise a parameter of a layer that is called several times.
        """
        calls = self.schedule.calls
        slots: list[Array | None] = [None] * self.schedule.size
        owned = [False] * self.schedule.size
        logits: dict[int, Array] = {}
        for place, number in enumerate(self.schedule.outputs):
            gradient = gradients[place]
            if gradient is None:
                continue
            if from_logits is not None and from_logits[place]:
                logits[number] = gradient if number not in logits else logits[number] + gradient
            else:
                _add(slots, owned, number, gradient)
        learned = [call.parameters for call in calls]
        needed = self.schedule.needed(learned, asked)
        filled: set[int] = set()
        for index in range(len(calls) - 1, -1, -1):
            call, saved = calls[index], self._saved[index]
            dz = logits.pop(call.outputs[0], None)
            dy = [slots[number] for number in call.outputs]
            if let_go:
                self._saved[index] = None
                for number in call.outputs:
                    if number not in asked:
                        slots[number] = None
            parameters = learned[index]
            needs = [needed[number] for number in call.inputs]
            goes_on = parameters or True in needs or call.gives_gradients
            if (dz is None and all(given is None for given in dy)) or not goes_on:
                continue
            again = [(p, p.grad.copy()) for p in parameters if id(p) in filled]  # of a layer called before
            dx = self._gradient(call, saved, dy, dz, needs)
            for parameter, earlier in again:
                parameter.grad += earlier
            filled.update(map(id, parameters))
            for number, need, array in zip(call.inputs, needs, dx, strict=True):
                if need and array is not None:
                    _add(slots, owned, number, array)
        for parameters in learned:
            for parameter in parameters:
                if id(parameter) not in filled:  # nothing of the loss depends on it
                    parameter.grad[...] = 0
        return [slots[number] for number in asked]

    def _gradient(
        self, call: Call, saved: Any, dy: list[Array | None], dz: Array | None, needs: list[bool]
    ) -> list[Array | None]:
        layer = call.layer
        wanted = True in needs
        if dz is not None:
            if dy[0] is not None:  # the output is read by other calls too
                dz = dz + layer.gradient_at_logits(saved, dy[0])
            given = layer.gradient_from_logits(saved, dz, wanted)
        elif len(dy) == 1:
            given = layer.gradient(saved, dy[0], wanted)
        else:
            whole = [
                np.zeros(*self._shapes[number]) if array is None else array
                for array, number in zip(dy, call.outputs, strict=True)
            ]
            given = layer.gradient(saved, call.nested(whole), wanted)
        if not wanted:
            return [None] * len(needs)
        return [given] if len(needs) == 1 and structure.is_leaf(given) else structure.leaves(given)


def _add(slots: list[Array | None], owned: list[bool], number: int, gradient: Array) -> None:
    """Add to a slot: the first contribution is borrowed, the sum of the first two is ours to add to."""
    present = slots[number]
    if present is None:
        slots[number] = gradient
    elif owned[number]:
        present += gradient
    else:
        slots[number] = present + gradient
        owned[number] = True
