"""What a layer is to a graph: it may be called on tensors without numbers, run any number of times before the
way back, and be made of other layers.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from threading import get_ident
from typing import TYPE_CHECKING, Any, cast

from fastconv._core.versions import unnoticed, version
from fastconv.graph import structure
from fastconv.graph.graph import Graph
from fastconv.graph.schedule import Pass, Schedule
from fastconv.graph.symbolic import (
    Node,
    SymbolicTensor,
    Untraceable,
    holds_symbolic,
    input_tensors,
    shapes_of,
)
from fastconv.graph.tracing import trace
from fastconv.parameter import Array

_MOST = 32  # graphs of a layer, for training and inference and the shapes it is called on


class Graphed:
    """Base of ``Layer``. The stateless pair is

        outputs, saved = layer.compute(*inputs, training=True)
        dx = layer.gradient(saved, dy)

    where ``saved`` is whatever ``call`` handed to ``remember``, so that a layer may run several times before
    its gradients are asked for. ``forward`` and ``backward`` are the same with one slot for ``saved``.

    A layer whose ``call`` does nothing but call other layers, its attributes, needs no ``backward``: ``call``
    is run once on symbolic tensors, and what it did is its ``composition``.
    """

    training_by_itself = False
    """What ``training`` is in ``layer(x)``, where it is not given."""

    is_input = False
    """True for ``Input``, where a graph begins."""

    takes_several = False
    """Whether a list or dictionary of arrays is several inputs, rather than one array."""

    _is_of_the_user = False  # whether it is a class from outside of this package
    _has_parts = False  # whether layers among the attributes are looked for

    _needs_numbers: TypeError | None = None  # why ``call`` could not be traced

    _moves_in_call = False  # whether ``call`` changes its weights in training, by itself

    _lets_go = False  # whether what was remembered is let go on the way back

    name: str
    _memory: tuple[int | None, tuple[Any, ...] | None]
    _input_shape: Any
    _output_shape: Any

    if TYPE_CHECKING:  # what ``Layer`` has of its own
        forward: Any
        backward: Any
        backward_from_logits: Any
        to_logits: Any
        build: Any
        check_inputs: Any
        compute_output_shape: Any
        recall: Any
        activity_regularizer: Any
        _call: Any
        _activity_losses: Any
        _tracks: Any
        _compositions: Any
        _schedules: Any
        _untraced_output_shape: Any
        _tried_output_shape: Any

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if not cls.__module__.startswith("fastconv."):  # a layer of the user's own may do all of it
            cls._has_parts = cls._is_of_the_user = True
            if "call" in vars(cls) and "takes_several" not in vars(cls):
                cls.takes_several = True

    # ---- calls

    def __call__(self, x: Any, *more: Any, training: bool | None = None) -> Any:
        """The layer's output for a batch; for symbolic tensors, a symbolic tensor."""
        if len(more) == 1 and isinstance(more[0], bool):  # layer(x, True)
            training, more = more[0], ()
        if holds_symbolic(x) or (more and holds_symbolic(more)):
            return self._called_on_tensors((x, *more), training)
        from fastconv.layers.layer import apart_from

        training = self.training_by_itself if training is None else bool(training)
        return apart_from(self.forward(x, training, *more), [x, *more])

    def _called_on_tensors(self, inputs: tuple[Any, ...], training: bool | None) -> Any:
        shapes = self._shapes_of(inputs)
        if self._input_shape is None:
            self.build(structure.map_shapes(lambda shape: (None, *shape), shapes))
        else:
            self.check_inputs(shapes)
        arguments = {} if training is None else {"training": bool(training)}
        return self.called(inputs, arguments, self.compute_output_shape(shapes)).result

    def called(self, args: tuple[Any, ...], kwargs: dict[str, Any], output_shapes: Any) -> Node:
        """Note a call of the layer on symbolic tensors."""
        node = Node(cast(Any, self), args, kwargs, output_shapes)
        if self._first_node is None:
            self._first_call = weakref.ref(node)
        return node

    def __getstate__(self) -> dict[str, Any]:
        """Copies belong to no graph before they are called; what follows from ``call`` is found again."""
        return {**vars(self), "_first_call": None, "_compositions": {}, "_schedules": {}}

    def _shapes_of(self, inputs: tuple[Any, ...]) -> Any:
        """The shapes of the inputs, without the batch axis: nested as they are."""

        for leaf in structure.leaves(list(inputs)):
            if not isinstance(leaf, SymbolicTensor):
                raise TypeError(
                    f"{self}: called on symbolic tensors and {type(leaf).__name__} together; a constant "
                    "belongs into a layer (Rescaling, Lambda, or one of your own)"
                )
        return shapes_of(inputs)

    # ---- its place in a graph

    _first_call: weakref.ref[Node] | None = None

    @property
    def _first_node(self) -> Node | None:
        return None if self._first_call is None else self._first_call()

    @property
    def input(self) -> Any:
        """The symbolic tensor, or tensors, of the first call. AttributeError where it was called on none."""
        args = self._called_first().args
        return args[0] if len(args) == 1 else list(args)

    @property
    def output(self) -> Any:
        """The symbolic tensor, or tensors, that the first call returned."""
        return self._called_first().result

    def _called_first(self) -> Node:
        node = self._first_node
        if node is None:
            raise AttributeError(
                f"{self} has no input and output yet: it was not called on a symbolic tensor, as in "
                "layer(Input(shape))"
            )
        return node

    @contextmanager
    def at(self, node: Node) -> Iterator[None]:
        """Meanwhile the shapes of the layer are those of one of its calls."""
        before = self._input_shape, self._output_shape
        with unnoticed():
            self._input_shape, self._output_shape = node.input_shapes, node.output_shapes
        try:
            yield
        finally:
            with unnoticed():
                self._input_shape, self._output_shape = before

    # ---- the stateless pair

    def compute(self, *inputs: Any, training: bool = False) -> tuple[Any, Any]:
        """(outputs, what the gradient needs): ``call``, with what it remembered."""
        schedule = None
        if self._has_parts:
            schedule = self.schedule(training, shapes_of(inputs) if self._traces_call else None)
        if schedule is not None:
            going = Pass(schedule, training)
            outputs = going.forward(structure.leaves(list(inputs)))
            return structure.packed(schedule.graph.outputs, outputs), (going,)
        me = get_ident()
        object.__setattr__(self, "_memory", (me, None))  # past __setattr__: it is no change of the layer
        y = self._call(*inputs, training=training)
        if self.activity_regularizer is not None:
            self._activity_losses.append(float(self.activity_regularizer(y)) / max(len(y), 1))
        thread, saved = self._memory
        if thread != me:  # a layer shared by two models, of which another thread runs the other
            saved = None
        return y, saved

    def gradient(self, saved: Any, dy: Any, input_gradient: bool = True) -> Any:
        """The chain rule for one ``compute``: fills ``parameter.grad`` and returns dx, nested as the inputs
        were."""
        return self._gradient(saved, dy, input_gradient, self.backward)

    def gradient_from_logits(self, saved: Any, dz: Array, input_gradient: bool = True) -> Any:
        """As ``gradient``, from the gradient with respect to the layer's pre-activation."""
        return self._gradient(saved, dz, input_gradient, self.backward_from_logits)

    def gradient_at_logits(self, saved: Any, dy: Array) -> Any:
        """The gradient with respect to the layer's pre-activation, from the one at its output."""
        return self._gradient(saved, dy, True, lambda dy, input_gradient: self.to_logits(dy))

    def back_through(
        self, gradients: Any, input_gradient: bool, from_logits: Sequence[bool] | None = None
    ) -> Any:
        """``backward`` of a layer that composes others: through all of these."""
        if self._needs_numbers is not None and self.composition(training=True) is None:
            raise TypeError(
                f"{self} has no derivative: its call does more than call layers. {self._needs_numbers}"
            ) from self._needs_numbers
        (going,) = self.recall()
        asked = going.schedule.inputs if input_gradient else ()
        dx = going.backward(structure.leaves(gradients), from_logits, asked, let_go=self._lets_go)
        return structure.packed(going.schedule.graph.inputs, dx) if input_gradient else None

    def _gradient(self, saved: Any, dy: Any, input_gradient: bool, backward: Any) -> Any:
        before = self._memory
        object.__setattr__(self, "_memory", (get_ident(), saved))
        try:
            return backward(dy, input_gradient=input_gradient)
        finally:
            object.__setattr__(self, "_memory", before)

    # ---- layers made of layers

    def parts(self) -> list[Any]:
        """The layers among the attributes, also in lists, tuples and dictionaries, each once."""
        if not self._has_parts:
            return []
        from fastconv.layers.layer import layers_and_weights

        values = [value for name, value in vars(self).items() if not self._tracks(name)]
        return distinct(part for part in layers_and_weights(values) if isinstance(part, Graphed))

    @property
    def composes(self) -> bool:
        """Whether ``call`` only composes other layers, so that its derivative follows from theirs."""
        from fastconv.layers.layer import Layer

        if not self._has_parts:
            return False
        cls: Any = type(self)
        own_way = cls.backward is not Layer.backward or cls.call is Layer.call or "call" in vars(self)
        return not own_way and bool(self.parts())

    @property
    def _traces_call(self) -> bool:
        """Whether the composition is found by running ``call``, which may do otherwise for other shapes."""
        return True

    def composition(self, training: bool, shapes: Any = None) -> Graph | None:
        """The graph of a layer that only composes others; None for a layer that computes by itself.

        ``shapes`` are those of the inputs, None for those that the layer was built for. A graph for sizes
        that are left open is the one for all sizes.
        """
        if not self.composes:
            return None
        if self._input_shape is None:
            raise ValueError(f"{self} has no shape yet: build it first, or call it on a batch")
        if shapes is None or _fits(shapes, self._input_shape):
            shapes = self._input_shape
        key = training, repr(shapes)
        found = self._compositions.get(key)
        if found is None or found[0] is not version():
            graph = None
            try:
                with unnoticed():
                    graph = trace(cast(Any, self), input_tensors(shapes), training)
            except Untraceable as error:  # then it has no derivative, but may be called all the same
                self._needs_numbers = error
            found = version(), graph
            _keep(self._compositions, key, found)
        return found[1]

    def _build_composition(self, shapes: Any) -> Any:
        """Build the parts, by calling ``call`` once for training and once for inference; returns the output
        shape."""
        self._input_shape = shapes
        try:
            if any(self.composition(training) is None for training in (True, False)):
                return self._untraced_output_shape(shapes)
            return self.composed_output_shape(shapes)
        except BaseException:
            self._input_shape = None
            self._compositions.clear()
            raise

    def composed_output_shape(self, input_shapes: Any) -> Any:
        """The shapes of the outputs of a layer that composes others, for inputs of these shapes."""
        graph = self.composition(training=False, shapes=input_shapes)
        if graph is None:  # its call needs numbers
            return (
                self._output_shape
                if input_shapes == self._input_shape
                else self._tried_output_shape(input_shapes)
            )
        if [tensor.shape[1:] for tensor in graph.input_list] == structure.shape_leaves(input_shapes):
            return structure.mapped(lambda tensor: tensor.shape[1:], graph.outputs)
        return graph.output_shapes(input_shapes)

    def compose(self, *inputs: Any, training: bool) -> Any:
        """``call`` on symbolic tensors."""
        return self._call(*inputs, training=training)

    def schedule(self, training: bool, shapes: Any = None) -> Schedule | None:
        """The composition, ready to run; None for a layer that computes by itself."""
        graph = self.composition(training, shapes)
        if graph is None:
            return None
        key = training, repr([tensor.shape for tensor in graph.input_list]) if self._traces_call else ""
        made = self._schedules.get(key)
        if made is None or made.graph is not graph or not made.is_current():
            made = Schedule(graph, cast(Any, self), training, composition_of)
            _keep(self._schedules, key, made)
        return made

    def schedule_for(self, training: bool, shapes: Sequence[tuple[int, ...]]) -> Schedule | None:
        """``schedule`` for inputs whose examples have these shapes."""
        nested = shapes[0] if len(shapes) == 1 else shapes
        return self.schedule(training, nested if self._traces_call else None)


def composition_of(layer: Graphed, training: bool, shapes: Any) -> Graph | None:
    """``layer.composition(training, shapes)``"""
    return layer.composition(training, shapes)


def _fits(shapes: Any, built_for: Any) -> bool:
    """Whether these are the shapes that a layer is built for, with any size where that is left open."""
    if shapes == built_for:
        return True
    given, expected = structure.shape_leaves(shapes), structure.shape_leaves(built_for)
    return len(given) == len(expected) and all(
        len(one) == len(other) and all(m is None or n == m for n, m in zip(one, other, strict=True))
        for one, other in zip(given, expected, strict=True)
    )


def _keep(kept: dict[Any, Any], key: Any, value: Any) -> None:
    """Put a value into a dictionary of no more than ``_MOST``, from which the oldest is dropped."""
    kept.pop(key, None)
    while len(kept) >= _MOST:
        kept.pop(next(iter(kept)))
    kept[key] = value


def distinct(items: Iterable[Any]) -> list[Any]:
    """Each object once, at its first place."""
    return list({id(item): item for item in items}.values())
