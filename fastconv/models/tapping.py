"""Any tensor's value and gradient on request: ``Model.tap``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastconv.engine.programs import Taps
from fastconv.graph import Schedule, structure
from fastconv.graph.symbolic import SymbolicTensor
from fastconv.layers.graphed import distinct
from fastconv.layers.layer import Layer, apart_from
from fastconv.models.batches import Batch
from fastconv.models.executor import Goal, LossGoal, own_hook
from fastconv.ops import _door
from fastconv.parameter import Array

if TYPE_CHECKING:
    from fastconv.models.model import Model


class Tapped(NamedTuple):
    """What ``Model.tap`` returns.

    outputs    of the model, nested as it returns them
    loss       of ``compile``, penalties included; None where no targets were given
    values     {what was asked for: array}
    gradients  {what was asked for: array of the tensor's shape}

    Of a layer with several outputs the array is several, nested as the layer returns them.
    """

    outputs: Any
    loss: float | None
    values: dict[Any, Any]
    gradients: dict[Any, Any]


def tap(
    model: Model,
    x: Any,
    y: Any,
    sample_weight: Any,
    values: Any,
    gradients: Any,
    output_gradient: Any,
    from_logits: bool,
    training: bool,
) -> Tapped:
    """See ``Model.tap``."""
    _check_model(model)
    wanted, derived = _items(values, "values"), _items(gradients, "gradients")
    if y is not None and output_gradient is not None:
        raise ValueError(
            f"{model}: tap takes targets y, for the gradients of the loss, or output_gradient, for others; "
            "got both"
        )
    if derived and y is None and output_gradient is None:
        raise ValueError(
            f"{model}: gradients of what? Give the targets y, for those of the loss, or output_gradient, the "
            "gradient at the outputs"
        )
    if from_logits and output_gradient is None:
        raise ValueError(f"{model}: from_logits says where output_gradient begins, and none was given")
    batch = model._batch(x, y, sample_weight)
    with model._turns.lock, model._turns.reading:
        batch = batch._replace(x=model._checked(batch.x))
        inputs: list[Array] = structure.leaves(list(model._checked_inputs(model._nested_as_inputs(batch.x))))
        schedule = _schedule(model, inputs, training)
        at = {what: _found(model, schedule, what) for what in (*wanted, *derived)}
        taps = Taps(_numbers(at, wanted), _numbers(at, derived), penalized=y is not None)
        goal: Goal
        if output_gradient is not None:
            goal = _Given(model, schedule, output_gradient, from_logits)
        elif y is None:
            goal = Goal(len(schedule.outputs))
        elif model._has_own_loss():
            goal = _OwnLoss(model, batch, training, len(schedule.outputs))
        else:
            objective = model._ready("tap").objective
            if objective is None:
                raise ValueError(f"{model} was compiled without a loss, which tap needs for the targets y")
            goal = LossGoal(model, objective, batch)
        made, loss, found = model._executor.tap(model, schedule, inputs, training, taps, goal)
    known = _known(schedule, taps, inputs, made)
    slopes = dict(zip(taps.gradients, found, strict=True))
    outputs = made[: len(schedule.outputs)]
    if not slopes.keys().isdisjoint(schedule.outputs):
        for number, extra in zip(schedule.outputs, goal.past_outputs(outputs), strict=True):
            if number in slopes and extra is not None:
                slopes[number] = extra if slopes[number] is None else slopes[number] + extra
    for call in schedule.calls if taps.penalized else ():
        (number, *_), layer = call.outputs, call.layer
        if number in slopes and layer.activity_regularizer is not None:  # with which its own way back begins
            extra = layer.activity_gradient(known[number])
            slopes[number] = extra if slopes[number] is None else slopes[number] + extra
    slopes = {
        number: np.zeros_like(known[number]) if array is None else array.reshape(known[number].shape)
        for number, array in slopes.items()
    }
    return Tapped(
        *_apart(
            structure.packed(schedule.graph.outputs, outputs),
            loss,
            {what: at[what].nested(known) for what in wanted},
            {what: at[what].nested(slopes) for what in derived},
            [x, output_gradient],
        )
    )


def _known(
    schedule: Schedule, taps: Taps, inputs: Sequence[Array], made: Sequence[Array]
) -> dict[int, Array]:
    """By number."""
    plan = taps.applied_to(schedule)
    return dict(zip([*plan.inputs, *plan.outputs], [*inputs, *made], strict=True))


def inferred(model: Model, schedule: Schedule, inputs: list[Array], numbers: Sequence[int]) -> list[Array]:
    """Tensors of ``model.schedule(training=False)`` for inputs that are checked."""
    taps = Taps(tuple(numbers), (), penalized=False)
    with model._turns.lock, model._turns.reading:
        made, _, _ = model._executor.tap(model, schedule, inputs, False, taps, Goal(len(schedule.outputs)))
    known = _known(schedule, taps, inputs, made)
    return [known[number] for number in numbers]


def _apart(outputs: Any, loss: float | None, values: Any, gradients: Any, given: Any) -> Iterator[Any]:
    """The same, where no array shares memory with another one, or with what the caller gave."""
    arrays = [leaf for leaf in structure.leaves(given) if isinstance(leaf, np.ndarray)]
    nested = [outputs, list(values.values()), list(gradients.values())]
    outputs, of_values, of_gradients = apart_from(nested, arrays)
    yield outputs
    yield loss
    yield dict(zip(values, of_values, strict=True))
    yield dict(zip(gradients, of_gradients, strict=True))


# ---- what is asked for


class _Place(NamedTuple):
    """Tensors by number, and how the layer that makes them nests them."""

    numbers: tuple[int, ...]
    result: Any

    def nested(self, arrays: Mapping[int, Array]) -> Any:
        return structure.packed(self.result, [arrays[number] for number in self.numbers])


def _items(asked: Any, argument: str) -> list[Any]:
    """What is asked for, each once: one thing, or several in a list or another iterable."""
    if isinstance(asked, (str, Layer, SymbolicTensor)) or _is_counted(asked):
        return [asked]
    if not hasattr(asked, "__iter__"):
        raise TypeError(
            f"tap: {argument} are names of layers, layers or symbolic tensors, in a list; got {asked!r}"
        )
    items = list(asked)
    for item in items:
        if not isinstance(item, (str, Layer, SymbolicTensor)) and not _is_counted(item):
            raise TypeError(
                f"tap: {argument} are names of layers, layers, symbolic tensors, or (one of these, number of "
                f"the call); got {item!r}"
            )
    return list(dict.fromkeys(items))


def _is_counted(item: Any) -> bool:
    return (
        isinstance(item, tuple)
        and len(item) == 2
        and isinstance(item[0], (str, Layer, SymbolicTensor))
        and hasattr(item[1], "__index__")
    )


def _numbers(at: Mapping[Any, _Place], asked: Sequence[Any]) -> tuple[int, ...]:
    return tuple(sorted({number for what in asked for number in at[what].numbers}))


def _found(model: Model, schedule: Schedule, what: Any) -> _Place:
    """Where a tensor, or all that one call of a layer makes, is in the schedule."""
    which = None
    if _is_counted(what):
        what, which = what[0], int(what[1])
    places = _places(model, schedule, what)
    if which is None and len(places) > 1:
        raise ValueError(
            f"{model}: {what!r} is made {len(places)} times: ask for a tensor, what one of the calls "
            f"returned, or for the call by its number, ({what!r}, 0) to ({what!r}, {len(places) - 1})"
        )
    if which is not None and not -len(places) <= which < len(places):
        raise ValueError(f"{model}: {what!r} is made {len(places)} times, there is no call {which}")
    return places[which or 0]


def _places(model: Model, schedule: Schedule, what: Any) -> list[_Place]:
    if isinstance(what, SymbolicTensor):
        if model._traces_call and what.node.is_input:  # ``model.input`` is of the graph for inference
            inputs = zip(model.graph.input_list, schedule.graph.input_list, strict=True)
            what = next((here for tensor, here in inputs if tensor is what), what)
        own = schedule.tensors.get(id(what))
        numbers = schedule.places.get(id(what), []) if own is None else [own]
        if not numbers:
            hint = (
                "; its call is traced anew: ask for the layer that makes it"
                if model._traces_call
                else ": it belongs to another model, or leads to no output of this one"
            )
            raise ValueError(f"{what!r} is not of {model}{hint}")
        return [_Place((number,), what) for number in numbers]
    for tensor in schedule.graph.input_list:
        if tensor.node.layer is what or tensor.node.layer.name == what:
            return [_Place((schedule.tensors[id(tensor)],), tensor)]
    found = schedule.calls_of(what)
    layers = distinct(made.layer for made in found)
    if len(layers) > 1:
        paths = ", ".join(dict.fromkeys(made.path for made in found))
        raise ValueError(f"{what!r} is the name of several layers of {model}; give the path of one: {paths}")
    return [_Place(made.outputs, made.node.result) for made in found]


def _check_model(model: Model) -> None:
    if not model.built:
        raise ValueError(
            f"{model} has no weights yet: build it with build(input_shape), or begin it with an Input"
        )
    if hook := own_hook(model):
        raise ValueError(f"{model} cannot be tapped: it has a {hook} of its own")


def _schedule(model: Model, inputs: list[Array], training: bool) -> Schedule:
    schedule = model.schedule_for(training, [array.shape[1:] for array in inputs])
    if schedule is None:
        raise ValueError(f"{model} cannot be tapped: it computes by a call of its own, not by its layers")
    return schedule


# ---- what goes back


class _Given(Goal):
    """Gradients at the outputs that the caller gives, or a function of the outputs."""

    def __init__(self, model: Model, schedule: Schedule, given: Any, from_logits: bool) -> None:
        super().__init__(len(schedule.outputs))
        self._model, self._graph, self._given = model, schedule.graph, given
        if from_logits:
            self.fused = [layer.output_activation not in (None, "linear") for layer in model._last_layers()]

    def gradients(self, outputs: list[Array]) -> list[Array | None]:
        given = self._given
        if callable(given):
            given = given(structure.packed(self._graph.outputs, outputs))
        leaves = structure.leaves(given)
        if len(leaves) != len(outputs):
            raise ValueError(
                f"{self._model}: output_gradient has {len(leaves)} arrays, and the model {len(outputs)} "
                f"outputs, {list(self._model._ports.outputs)}: give one for each, or None"
            )
        return [
            None if leaf is None else self._checked(leaf, output, name)
            for leaf, output, name in zip(leaves, outputs, self._model._ports.outputs, strict=True)
        ]

    def _checked(self, given: Any, output: Array, name: str) -> Array:
        gradient = _door.array(given, "output_gradient")
        if gradient.shape != output.shape:
            raise ValueError(
                f"{self._model}: output_gradient has the shape {gradient.shape}, and the output {name!r} "
                f"{output.shape}: they must be alike"
            )
        return gradient


class _OwnLoss(Goal):
    """The loss of a subclass, by its ``compute_loss`` and ``compute_loss_gradient``."""

    def __init__(self, model: Model, batch: Batch, training: bool, count: int) -> None:
        super().__init__(count)
        self._model, self._batch, self._training = model, batch, training

    def loss(self, outputs: list[Array], losses: Any = None) -> float:
        return self._model._computed_loss(self._batch, self._packed(outputs), self._training)

    def gradients(self, outputs: list[Array]) -> list[Array | None]:
        batch = self._batch
        given = self._model.compute_loss_gradient(
            batch.x, batch.y, self._packed(outputs), batch.sample_weight
        )
        return structure.leaves(given)

    def _packed(self, outputs: list[Array]) -> Any:
        return structure.packed(self._model.graph.outputs, outputs)
