"""A network, compiled: runs of calls that lower are one call of C each, all others stay as they are.

A ``Program`` is a schedule again, in which a ``Compiled`` stands in the place of several layers. So what runs
a schedule runs a program: ``graph.Pass`` takes the gradients across the cuts, one slot a tensor, and any
network runs.

    Sequential([Conv2D, ReLU, Mine, Flatten, Dense])     five calls
    [Conv2D ReLU] Mine [Flatten Dense]                   three
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from fastconv import _kernels
from fastconv._core.changes import change
from fastconv.engine.lower import Builder, Cut, NoProgram, Op, Shape, Size, Tensor
from fastconv.engine.passes import optimized
from fastconv.graph import structure
from fastconv.graph.schedule import Call, Pass, Schedule
from fastconv.layers.graphed import distinct
from fastconv.ops import _door
from fastconv.parameter import Array, Parameter

MOST_LOSSES = 8
"""Of one program."""


# ---- runs of calls


class _Run:
    """Calls that lower, one behind the other, while the network is looked through."""

    def __init__(self) -> None:
        self.builder = Builder()
        self.given: dict[int, Tensor] = {}
        """What it reads from outside, by the schedule's number."""
        self.handles: dict[int, Tensor] = {}
        """All that it knows, likewise."""
        self.calls: list[Call] = []
        self.logits: dict[int, Tensor] = {}
        """For an output in the schedule, what the activation that makes it is applied to."""

    def take(
        self,
        call: Call,
        training: bool,
        shapes: Sequence[Shape | None],
        fused: Iterable[int],
        asked: set[int],
    ) -> list[Tensor]:
        """Lower one more call. Raises Cut, and then nothing has changed.

        A tensor that is ``asked`` for gets a number of its own in C, and so a gradient of its own, where the
        call returns what it was given.
        """
        builder, given = self.builder, dict(self.given)
        mark = builder.mark()
        handles = dict(self.handles)
        try:
            for number in call.inputs:
                if number not in handles:
                    shape = shapes[number]
                    assert shape is not None
                    handles[number] = given[number] = builder.tensor(shape)
            made = builder.lower(call, training, [handles[number] for number in call.inputs])
            if not asked.isdisjoint(call.outputs):
                known = {tensor.number for tensor in handles.values()}
                for i, number in enumerate(call.outputs):
                    if number in asked and made[i].number in known:
                        made[i] = builder.apart(made[i])
                    known.add(made[i].number)
            logits = {}
            if call.outputs[0] in fused:
                logits[call.outputs[0]] = self._logits(made[0], given)
        except Cut:
            builder.undo(mark)
            raise
        handles.update(zip(call.outputs, made, strict=True))
        self.given, self.handles = given, handles
        self.logits |= logits
        self.calls.append(call)
        return made

    def _logits(self, made: Tensor, given: dict[int, Tensor]) -> Tensor:
        op = next((op for op in self.builder.ops[::-1] if op["output"] == made.number), None)
        if op is None or not (op["kind"] == "softmax" or op.get("activation") == "sigmoid"):
            raise Cut("the loss begins at its pre-activation, which is no operation's")
        (number,) = op["inputs"]
        if any(tensor.number == number for tensor in given.values()):
            raise Cut("the loss begins at its input, which is made in Python")
        return Tensor(number, made.shape)


class _Result(NamedTuple):
    """An output of a ``Compiled``: the tensor at ``place`` among those that C fills, or among its inputs."""

    is_made: bool
    place: int
    shape: Shape


class Compiled:
    """Several calls as one: what stands for a layer in a program's schedule.

    inputs, outputs   numbers of the schedule, in the order of ``compute``
    input_tensors, output_tensors   of these the numbers in C
    tapped            outputs whose gradients are asked for, with their tensors in C
    """

    def __init__(
        self,
        run: _Run,
        outputs: Sequence[int],
        logits: Sequence[int],
        needed: Sequence[bool],
        keep: bool,
        asked: Sequence[int] = (),
    ) -> None:
        builder = run.builder
        self.raw: list[Op] = builder.ops
        self.draws = builder.draws
        self.calls = run.calls
        self.outputs = (*outputs, *logits)
        self.keep = keep
        self._activity_losses: list[float] = []
        self.parameters: list[Parameter] = distinct(p for call in run.calls for p in call.parameters)
        results = [run.handles[number] for number in outputs]
        made = {op["output"] for op in builder.ops}
        self._answers = len({result.number for result in results} & made)
        """How many of the tensors that C fills are outputs: the first ones; others are pre-activations."""
        results += [run.logits[number] for number in run.logits]
        kept = list(dict.fromkeys(result.number for result in results if result.number in made))
        self.sizes: list[Size] = list(builder.sizes)
        self.ops = optimized(_marked(builder.ops), self.sizes, kept)
        read = {number for op in self.ops for number in op["inputs"]}
        passed = {result.number for result in results} - made
        given = {n: tensor for n, tensor in run.given.items() if tensor.number in read | passed}
        self.inputs = tuple(given)
        self.input_shapes = [tensor.shape for tensor in given.values()]
        place = {tensor.number: i for i, tensor in enumerate(given.values())}
        self._results = [
            _Result(True, kept.index(result.number), result.shape)
            if result.number in made
            else _Result(False, place[result.number], result.shape)
            for result in results
        ]
        self._read = [i for i, tensor in enumerate(given.values()) if tensor.number in read]
        self._wanted = [needed[self.inputs[i]] for i in self._read]
        self.input_tensors = [tensor.number for tensor in given.values()]
        self.output_tensors = [result.number for result in results]
        self.tapped = {number: run.handles[number] for number in outputs if number in asked}
        self._gives_gradients = bool(self.tapped) or True in self._wanted
        self._given: dict[int, Array] = {}
        self._table = (
            self.ops,
            self.sizes,
            [self.input_tensors[i] for i in self._read],
            self._wanted,
            kept,
        )
        self._made_shapes: list[Shape] = [
            next(r.shape for r in results if r.number == number) for number in kept
        ]
        """Of each tensor that C fills, the first of the shapes that it is asked for in."""
        self._as_made = self._results == [_Result(True, *of) for of in enumerate(self._made_shapes)]
        """Whether the results are just what C fills."""
        streams = {id(stream): place for place, (_, stream) in enumerate(self.draws)}
        self._drawn = [streams[id(op["random"])] for op in self.ops if op.get("random") is not None]
        """Of each operation that draws, in C's order, its place in ``draws``."""
        moving = any(op["kind"] == "batch_norm" and op["training"] for op in self.ops)
        self.moved: list[Parameter] = [w for call in run.calls for w in call.layer.weights] if moving else []
        """What a run may move: moving statistics are among it."""
        self._in_c: dict[int, _kernels.Program] = {}
        for call in run.calls:
            if call.layer._activity_losses:  # of a penalty that it had
                call.layer._activity_losses = []

    def is_same_as(self, other: Compiled) -> bool:
        """Whether both are the same computation with the same arrays."""
        return (
            self.inputs == other.inputs
            and self.outputs == other.outputs
            and self.keep == other.keep
            and self.sizes == other.sizes
            and self._table[2:] == other._table[2:]
            and self.input_shapes == other.input_shapes
            and self._results == other._results
            and self.tapped == other.tapped
            and len(self.parameters) == len(other.parameters)
            and all(map(operator.is_, self.parameters, other.parameters))
            and len(self.raw) == len(other.raw)
            and all(map(_is_same, self.raw, other.raw))
        )

    def tensor_of(self, number: int) -> int:
        """The number in C of an output, which is made here."""
        return self._table[4][self._results[self.outputs.index(number)].place]

    @property
    def in_c(self) -> _kernels.Program:
        """The program in C, which fills the pre-activations that the losses begin at as well."""
        return self._that_fills(len(self._made_shapes))

    def _that_fills(self, count: int) -> _kernels.Program:
        """The program in C that fills so many of the tensors that are asked for, the first ones."""
        program = self._in_c.get(count)
        if program is None:
            *table, asked_for = self._table
            taps = {"tapped": [tensor.number for tensor in self.tapped.values()]} if self.tapped else {}
            program = self._in_c.setdefault(count, _kernels.Program(*table, asked_for[:count], **taps))
        return program

    # ---- as a layer

    def compute(self, *inputs: Array, training: bool = False) -> tuple[Any, Any]:
        """(outputs, what the gradient needs); a list of outputs where there are several."""
        results, run = self._forward(inputs)
        return results[0] if len(results) == 1 else results, run

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """The outputs, forward."""
        return self._forward(inputs)[0]

    def _forward(self, inputs: Sequence[Array]) -> tuple[list[Array], _kernels.Run | None]:
        """(outputs, the run in C)"""
        given, outputs, draws = self._prepared(inputs)
        run = None
        if self.ops:
            run = self.in_c.run(given, outputs, self.keep, None, draws, bool(self.moved))
            self._move(run)
        return self._shaped(inputs, outputs), run

    def _move(self, run: _kernels.Run) -> None:
        """Moving statistics: with the step of training, or now."""
        if self.moved:
            change(self.moved, run.commit)

    @property
    def is_pure(self) -> bool:
        """Whether a run changes nothing but its outputs, so that several threads may run it."""
        return not (self.keep or self.moved or self.draws)

    @property
    def takes_one(self) -> bool:
        """Whether it is a function of one array, all of it in C, that changes nothing."""
        return (
            self._as_made and bool(self.ops) and len(self.inputs) == len(self.outputs) == 1 and self.is_pure
        )

    def infer(self, x: Any) -> Array | None:
        """Where it ``takes_one``, the output for x, computed at once; None where x is not as C reads it."""
        y: Array | None = self.in_c.infer(x, self.input_shapes[0], self._made_shapes[0])
        return y

    def train(self, inputs: Sequence[Array], losses: list[tuple[Any, ...]]) -> list[Array]:
        """The outputs, without the pre-activations; all gradients are filled. ``losses`` as
        _kernels.Program.train. Gradients of inputs and tensors that are asked for are left for
        ``take_gradients``.
        """
        given, outputs, draws = self._prepared(inputs, self._answers)
        program, moves = self._that_fills(self._answers), bool(self.moved)
        if not self._gives_gradients:
            self._move(program.train(given, outputs, losses, None, draws, moves))
            return self._shaped(inputs, outputs)
        dx = self._room_for_inputs(len(inputs[0]), np.zeros)
        tapped = self._room_for_tapped(len(inputs[0]))
        self._move(program.train(given, outputs, losses, None, draws, moves, [*dx, *tapped.values()]))
        of_inputs = zip(self._read, dx, strict=True)
        self._given = {self.inputs[i]: array for i, array in of_inputs if array is not None} | tapped
        return self._shaped(inputs, outputs)

    def gradient(self, saved: Any, dy: Any, input_gradient: bool = True) -> list[Array | None]:
        """The chain rule through all operations: fills gradients of weights, returns those of the inputs."""
        outputs: list[Array | None] = [None] * len(self._made_shapes)
        inputs: list[Array | None] = [None] * len(self.inputs)
        N = 0
        for (is_made, place, _), array in zip(self._results, structure.leaves(dy), strict=True):
            N = len(array)
            slots = outputs if is_made else inputs
            if not is_made:
                array = array.reshape(N, *self.input_shapes[place])
            elif slots[place] is not None:
                array = array.reshape(slots[place].shape)  # type: ignore[union-attr]
            slots[place] = array if slots[place] is None else slots[place] + array
        if not self.ops:
            return inputs
        dx, self._given = self._room_for_inputs(N, np.empty), self._room_for_tapped(N)
        saved.backward(
            [None if array is None else _door.laid_out(array, np.float32) for array in outputs],
            [*dx, *self._given.values()],
        )
        for i, array in zip(self._read, dx, strict=True):
            if array is not None:
                inputs[i] = array if inputs[i] is None else inputs[i] + array
        return inputs

    def _room_for_inputs(self, N: int, room: Callable[..., Array]) -> list[Array | None]:
        """For the gradients of what C reads; None where it is not wanted."""
        return [
            room((N, *self.input_shapes[i]), np.float32) if wanted else None
            for i, wanted in zip(self._read, self._wanted, strict=True)
        ]

    def _room_for_tapped(self, N: int) -> dict[int, Array]:
        """By number. Nobody writes to those of tensors on which the loss does not depend."""
        return {number: np.zeros((N, *of.shape), np.float32) for number, of in self.tapped.items()}

    def take_gradients(self) -> dict[int, Array]:
        """What the latest way back has found for the tensors that are tapped, by number, and after ``train``
        for inputs.
        """
        given, self._given = self._given, {}
        return given

    def _prepared(
        self, inputs: Sequence[Array], count: int | None = None
    ) -> tuple[list[Array], list[Array], list[tuple[int, int]] | None]:
        """(what C reads, what it is to fill: all, or ``count`` of it, its draws)"""
        N = len(inputs[0])
        arrays = []
        for array, shape in zip(inputs, self.input_shapes, strict=True):
            if len(array) != N:
                raise ValueError(
                    f"{self.calls[0].layer} and the layers behind it were given {N} and {len(array)} "
                    "examples: all inputs of a batch must be of one length"
                )
            if array.shape[1:] != shape:
                raise ValueError(
                    f"{self.calls[0].layer} was to be given {shape} for each example, got {array.shape[1:]}: "
                    "call and compute_output_shape of the layer below must agree, and its arguments stay as "
                    "they are once it is built"
                )
            arrays.append(array if _door.is_ready(array) else _door.laid_out(array, np.float32))
        draws = None
        if self.draws:
            drawn = [layer.draw() for layer, _ in self.draws]
            draws = [drawn[place] for place in self._drawn]
        given = arrays if len(self._read) == len(arrays) else [arrays[i] for i in self._read]
        return given, [_door.empty((N, *shape)) for shape in self._made_shapes[:count]], draws

    def _shaped(self, inputs: Sequence[Array], outputs: list[Array]) -> list[Array]:
        """The results in their own shapes, those that are there."""
        if self._as_made:
            return outputs
        N = len(inputs[0])
        return [
            (outputs if is_made else inputs)[place].reshape(N, *shape)
            for is_made, place, shape in self._results
            if not is_made or place < len(outputs)
        ]

    def that_runs(self, tensors_of_losses: Sequence[int]) -> _kernels.Program:
        """The program in C that ``train`` runs where there are losses of these tensors, else ``run``."""
        return self._that_fills(self._answers) if tensors_of_losses else self.in_c

    def described(
        self, images: int, tensors_of_losses: Sequence[int]
    ) -> tuple[list[dict[str, Any]], dict[str, int]]:
        """Of each operation, and of all of them: see _kernels.Program.describe."""
        return self.that_runs(tensors_of_losses).describe(images, self.keep, tensors_of_losses)


def _marked(ops: list[Op]) -> list[Op]:
    """The operations, of which those add to a gradient that a later one has, going back, filled already."""
    seen: set[int] = set()
    marked = []
    for op in reversed(ops):
        gradients = {id(array) for array in op.get("gradients", ()) if array is not None}
        marked.append({**op, "adds": not gradients.isdisjoint(seen)})
        seen |= gradients
    return marked[::-1]


def _is_same(one: Op, other: Op) -> bool:
    return one.keys() == other.keys() and all(
        name == "random"
        or value is other[name]
        or (
            _same_items(value, other[name])
            if name in ("weights", "gradients")
            else _equal(value, other[name])
        )
        for name, value in one.items()
    )


def _same_items(these: list[Any], others: list[Any]) -> bool:
    return len(these) == len(others) and all(map(operator.is_, these, others))


def _equal(value: Any, other: Any) -> bool:
    return isinstance(value, (int, float, str, tuple, list, bool)) and value == other


class _Compiled(Call):
    """The call of a ``Compiled``: it takes and returns lists."""

    def arguments(self, values: Sequence[Any]) -> tuple[Any, ...]:
        return tuple(values[number] for number in self.inputs)

    def nested(self, results: Sequence[Any]) -> Any:
        return list(results)

    @property
    def gives_gradients(self) -> bool:
        return bool(self.layer.tapped)  # type: ignore[attr-defined]


# ---- programs


class _Heads(NamedTuple):
    """Where C may take the losses and go back by itself.

    before    the calls before the last one; None where there are none. Behind what that one reads its outputs
              are those of the program that are made in it
    last      that one
    tensors   in C, of each output's loss
    places    of the outputs, among those of ``last``; ~place among those of ``before``
    """

    before: Schedule | None
    last: Compiled
    tensors: list[int]
    places: list[int]


class Program:
    """A network for inputs of one shape, for training or inference, with what learns in it now.

    schedule   its calls, compiled where they lower
    logits     for each output, the number of the tensor that the loss begins at: what the last activation is
               applied to, or None for the output itself
    in_python  the layers that do not lower
    heads      where C may take the losses: see ``train``
    output_shapes  of one example
    asked      the tensors whose gradients ``backward`` returns, by number
    """

    def __init__(
        self,
        schedule: Schedule,
        training: bool,
        shapes: Sequence[Shape],
        fused: Sequence[bool] = (),
        earlier: Program | None = None,
        asked: Sequence[int] = (),
    ) -> None:
        self.training, self.asked = training, tuple(asked)
        self._goes_back = training or bool(asked)
        self._whole = schedule
        fused = [*fused, *(False for _ in schedule.outputs[len(fused) :])]
        at_logits = [number for number, is_fused in zip(schedule.outputs, fused, strict=True) if is_fused]
        parts, self._shapes = _parts(schedule, training, shapes, set(at_logits), set(asked))
        self.output_shapes = [self._shapes[number] for number in schedule.outputs]
        self._is_alone = structure.is_leaf(schedule.graph.outputs)
        if not any(isinstance(part, _Run) and part.builder.ops for part in parts):
            raise NoProgram
        learned = [call.parameters for call in schedule.calls]
        needed = schedule.needed(learned, asked)
        size = schedule.size
        logits: dict[int, int] = {}
        calls: list[Call] = []
        self.why: dict[int, str] = {}
        """Why a call of the schedule, by its place, is no operations."""
        read: set[int] = set(schedule.outputs)
        wanted_of: list[list[int]] = []
        for part in reversed(parts):
            if isinstance(part, _Run):
                wanted_of.append([number for call in part.calls for number in call.outputs if number in read])
                read.update(part.given)
            else:
                read.update(part[0].inputs)
        for part in parts:
            if not isinstance(part, _Run):
                self.why[len(calls)] = part[1]
                calls.append(part[0])
                continue
            outputs = wanted_of.pop()
            here = {number: size + i for i, number in enumerate(part.logits)}
            size += len(here)
            logits |= here
            compiled = Compiled(part, outputs, list(here.values()), needed, self._goes_back, asked)
            compiled = next((old for old in _compiled(earlier) if old.is_same_as(compiled)), compiled)
            calls.append(
                _Compiled(
                    compiled, None, compiled.inputs, compiled.outputs, (), None, (), False  # type: ignore[arg-type]
                )
            )  # fmt: skip
        self.logits = [logits.get(number) if is_fused else None for number, is_fused in
                       zip(schedule.outputs, fused, strict=True)]  # fmt: skip
        self._logits_in_python = [
            is_fused and number is None for is_fused, number in zip(fused, self.logits, strict=True)
        ]
        self.in_python = [call.layer for call in calls if not isinstance(call.layer, Compiled)]
        self._extra = [number for number in self.logits if number is not None]
        self.schedule = schedule.with_calls(calls, schedule.inputs, (*schedule.outputs, *self._extra))
        self.schedule.size = size
        self._outputs = len(schedule.outputs)
        self._answers = len(schedule.graph.output_list)  # behind them come tensors that are tapped
        self._only = self._all_in_one()
        self.heads = self._heads(needed)

    def _all_in_one(self) -> Compiled | None:
        """What the whole schedule is, where that is one call of C from the inputs to the outputs."""
        only = self.schedule.calls[0]
        as_it_is = (only.inputs, only.outputs) == (self.schedule.inputs, self.schedule.outputs)
        return only.layer if len(self.schedule.calls) == 1 and as_it_is else None  # type: ignore[return-value]

    def _heads(self, needed: Sequence[bool]) -> _Heads | None:
        """None where something learns before the last call, or an output with a loss is made elsewhere."""
        last = self.schedule.calls[-1].layer
        if (
            not (self._goes_back and isinstance(last, Compiled))
            or len(set(self._whole.outputs)) < self._outputs
        ):
            return None
        at = [
            number if logits is None else logits
            for number, logits in zip(self._whole.outputs, self.logits, strict=True)
        ]
        at = at[: self._answers]
        made = [last._results[last.outputs.index(n)].is_made if n in last.outputs else False for n in at]
        below = set(last.inputs).difference(self.schedule.inputs)
        if True in self._logits_in_python or not all(made) or any(needed[number] for number in below):
            return None
        before, calls = None, self.schedule.calls[:-1]
        others = [number for number in self._whole.outputs if number not in last.outputs]
        if calls or last.inputs != self.schedule.inputs:
            before = self.schedule.with_calls(calls, self.schedule.inputs, (*last.inputs, *others))
        tensors = [last.tensor_of(number) for number in at]
        places = [
            ~(len(last.inputs) + others.index(number)) if number in others else last.outputs.index(number)
            for number in self._whole.outputs
        ]
        return _Heads(before, last, tensors, places)

    # ---- runs

    def nested(self, outputs: Sequence[Any]) -> Any:
        """The outputs as the network returns them."""
        return outputs[0] if self._is_alone else structure.packed(self._whole.graph.outputs, outputs)

    def blank_outputs(self, images: int) -> list[Array]:
        """Arrays of the outputs' shapes, with anything in them."""
        return [np.empty((images, *shape), np.float32) for shape in self.output_shapes]

    @property
    def is_pure(self) -> bool:
        """Whether all of it is in C, and a run changes nothing but its outputs."""
        return not self.in_python and all(part.is_pure for part in _compiled(self))

    @property
    def at_once(self) -> Callable[[Any], Array | None] | None:
        """A function of an input, where that is all there is to it; it returns None for what is no array that
        C reads as it is."""
        only = self._only
        return only.infer if only is not None and only.takes_one and self._is_alone else None

    def infer(self, inputs: Sequence[Array]) -> list[Array]:
        """The outputs, in order."""
        if self._only is not None:
            return self._only.run(inputs)
        return Pass(self.schedule, self.training).forward(inputs, remember=False)

    def forward(self, inputs: Sequence[Array]) -> tuple[list[Array], Pass]:
        """(outputs, what ``backward`` needs)"""
        going = Pass(self.schedule, self.training)
        return going.forward(inputs)[: self._outputs], going

    def backward(self, going: Pass, gradients: Sequence[Array | None]) -> list[Array | None]:
        """Fill the gradients of all that learns; returns those of the tensors ``asked`` for.

        ``gradients`` are those of the outputs; of an output whose loss begins at its pre-activation, at that.
        """
        at_outputs = list(gradients)
        at_logits = []
        for place, number in enumerate(self.logits):
            if number is not None:
                at_logits.append(at_outputs[place])
                at_outputs[place] = None
        from_logits = [*self._logits_in_python, *(False for _ in at_logits)]
        found = going.backward([*at_outputs, *at_logits], from_logits, self.asked, let_go=True)
        return self.take_gradients(dict(zip(self.asked, found, strict=True))) if found else []

    def take_gradients(self, found: Mapping[int, Array | None]) -> list[Array | None]:
        """Those ``asked`` for, after ``train`` or ``backward``: from ``found``, or from C."""
        all_of_it = dict(found)
        for call in self.schedule.calls:
            if isinstance(call.layer, Compiled):
                all_of_it |= call.layer.take_gradients()
        return [all_of_it.get(number) for number in self.asked]

    def train(self, inputs: Sequence[Array], losses: Sequence[tuple[Any, ...] | None]) -> list[Array]:
        """Forward, losses and backward where there are ``heads``: fills all gradients, returns the outputs.

        ``losses`` : of each output of the network (kind, delta, limits, labels, rows, weights, scale, array
            for the images' losses) as ``_kernels.Program.train`` takes them, None for one that is not judged
        """
        assert self.heads is not None
        before, last, tensors, places = self.heads
        table = [
            (loss[0], tensor, *loss[1:])
            for tensor, loss in zip(tensors, losses, strict=True)
            if loss is not None
        ]
        if before is None:
            made = last.train(inputs, table)
            return [made[place] for place in places]
        given = Pass(before, self.training).forward(inputs, remember=False)
        made = last.train(given[: len(last.inputs)], table)
        return [made[place] if place >= 0 else given[~place] for place in places]

    # ---- for engine.explaining

    def shape_of(self, number: int) -> Shape:
        """Of one example of a tensor of the schedule."""
        return self._shapes[number]

    def tensors_of_losses(self, part: Compiled, judged: Sequence[bool] | None) -> list[int]:
        """Numbers in C, where ``part`` takes the losses of the outputs that are ``judged``."""
        if judged is None or self.heads is None or part is not self.heads.last:
            return []
        return [tensor for tensor, has_loss in zip(self.heads.tensors, judged, strict=True) if has_loss]

    def replace_layers(self, layers: Sequence[Any]) -> None:
        """Others in place of the layers of the schedule's calls, None for the same."""
        calls = [
            call if layer is None else call._replace(layer=layer)
            for call, layer in zip(self.schedule.calls, layers, strict=True)
        ]
        self.schedule = self.schedule.with_calls(calls, self.schedule.inputs, self.schedule.outputs)
        if self.heads is not None and self.heads.before is not None:
            before = self.heads.before
            self.heads = self.heads._replace(
                before=before.with_calls(calls[: len(before.calls)], before.inputs, before.outputs)
            )


def _compiled(program: Program | None) -> list[Compiled]:
    if program is None:
        return []
    return [call.layer for call in program.schedule.calls if isinstance(call.layer, Compiled)]


def _parts(
    schedule: Schedule, training: bool, input_shapes: Sequence[Shape], fused: set[int], asked: set[int]
) -> tuple[list[_Run | tuple[Call, str]], list[Any]]:
    """The calls, those that lower together in runs; and the shape of each tensor."""
    shapes: list[Shape | None] = [None] * schedule.size
    for number, shape in zip(schedule.inputs, input_shapes, strict=True):
        shapes[number] = shape
    parts: list[_Run | tuple[Call, str]] = []
    run: _Run | None = None
    for call in schedule.calls:
        run = run or _Run()
        try:
            made = [tensor.shape for tensor in run.take(call, training, shapes, fused, asked)]
            if run not in parts[-1:]:
                parts.append(run)
        except Cut as cut:
            run = None
            parts.append((call, str(cut)))
            made = _output_shapes(call, shapes)
        for number, shape in zip(call.outputs, made, strict=True):
            shapes[number] = shape
    return parts, shapes


def _output_shapes(call: Call, shapes: Sequence[Any]) -> list[Shape]:
    """What a call makes of inputs of these shapes. Raises NoProgram where that cannot be told."""
    known = [tensor.shape[1:] for tensor in call.node.outputs]
    layer = call.layer
    if all(None not in shape for shape in known) and not layer._shape_in_doubt:
        return known  # type: ignore[return-value]
    handles = call.arguments([None if shape is None else Tensor(0, shape) for shape in shapes])
    nested = structure.mapped(lambda leaf: leaf.shape, handles[0] if len(handles) == 1 else list(handles))
    try:
        told = layer._told_output_shape(nested)
        found = structure.shape_leaves(layer._tried_output_shape(nested) if told is None else told)
    except Exception:
        raise NoProgram from None
    if any(None in shape for shape in found):
        raise NoProgram
    return found  # type: ignore[return-value]
