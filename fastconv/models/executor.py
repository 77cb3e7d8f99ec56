"""What runs a batch of a model. An executor has five methods:

infer(model, x)                                 the outputs
infer_beside(model, x)                          the same where other threads may run the model too, or None
at_once(x)                                      the same for a batch like the last one, or None
loss_and_gradients(model, objective, batch)     the outputs and the loss; fills the gradients
tap(model, schedule, inputs, training, taps,    the outputs, tensors in between, the loss, and gradients
    goal)                                       of tensors; all else stays as it was
explain(model, objective, inputs, training,     what of it runs how
        measured)

``LayerByLayer`` runs any network, and is the reading copy. ``Programmed`` runs it as a program
(``fastconv.engine``). Each model has an executor of its own, in ``_executor``; a copy of the model gets a
copy of it, by ``copy.copy``.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastconv._core import versions
from fastconv._core.versions import knows
from fastconv.engine.explaining import Explanation, explained
from fastconv.engine.heads import Judged, has_head, judged, made_up_targets
from fastconv.engine.program import MOST_LOSSES, Program
from fastconv.engine.programs import Programs, Taps
from fastconv.graph import Pass, Schedule, structure
from fastconv.layers.layer import Layer
from fastconv.layers.random_layer import random_outside_training
from fastconv.losses import Loss
from fastconv.models.batches import Batch
from fastconv.models.moving import unchanged
from fastconv.models.objective import Objective, Term, Value, sum_of, value_of
from fastconv.ops._door import on_reference
from fastconv.parameter import Array

if TYPE_CHECKING:
    from fastconv.models.model import Model


class Goal:
    """What goes back from the outputs when a model is tapped: here nothing.

    fused    of each output, whether its gradient is that of what the last activation is applied to
    """

    def __init__(self, count: int) -> None:
        self.fused = [False] * count

    def in_c(self, program: Program, inputs: list[Array]) -> list[Judged | None] | None:
        """The losses for ``program.train``; None where Python takes them."""
        return None

    def loss(self, outputs: list[Array], losses: list[Judged | None] | None = None) -> float | None:
        """Its value, with what the layers add to it; ``losses`` are those that C took."""
        return None

    def gradients(self, outputs: list[Array]) -> list[Array | None]:
        """At each output."""
        return [None] * len(outputs)

    def past_outputs(self, outputs: list[Array]) -> list[Array | None]:
        """At each output that is ``fused``: what ``gradients`` leaves out there."""
        return [None] * len(outputs)


class LossGoal(Goal):
    """The losses of ``compile`` on a batch."""

    def __init__(self, model: Model, objective: Objective, batch: Batch) -> None:
        self._model, self._batch = model, batch
        self._terms = objective.terms(model._ports.outputs)
        self.fused = [_fuse(*pair) for pair in zip(self._terms, model._last_layers(), strict=True)]

    def _sorted(self, outputs: list[Array]) -> tuple[list[Any], list[Any]]:
        """(targets, weights) of each output."""
        model, batch = self._model, self._batch
        _, y, weights = model._by_output(batch.y, outputs, batch.sample_weight)
        return y, weights

    def in_c(self, program: Program, inputs: list[Array]) -> list[Judged | None] | None:
        if program.heads is None or not _in_c(self._terms, self.fused):
            return None
        blank = program.blank_outputs(len(inputs[0]))[: len(self._terms)]
        y, weights = self._sorted(blank)
        return _judged(self._terms, y, blank, weights)

    def loss(self, outputs: list[Array], losses: list[Judged | None] | None = None) -> float:
        value = None if losses is None else _value_in_c(self._terms, losses)
        if value is None:
            y, weights = self._sorted(outputs)
            value = value_of(self._terms, y, outputs, weights)
        return value.total + sum(self._model.losses)

    def gradients(self, outputs: list[Array]) -> list[Array | None]:
        return _gradients(self._terms, self.fused, *self._given(outputs))

    def past_outputs(self, outputs: list[Array]) -> list[Array | None]:
        terms = [
            term if is_fused else term._replace(loss=None)
            for term, is_fused in zip(self._terms, self.fused, strict=True)
        ]
        return _gradients(terms, [False] * len(terms), *self._given(outputs))

    def _given(self, outputs: list[Array]) -> tuple[list[Any], list[Array], list[Any]]:
        y, weights = self._sorted(outputs)
        return y, outputs, weights


class LayerByLayer:
    """Runs the layers of a model one after the other."""

    def infer(self, model: Model, x: Any) -> Any:
        """The outputs for x, floats of a shape that the model takes; of several inputs a list."""
        return model.forward(x, training=False)

    def infer_beside(self, model: Model, x: Any) -> Any:
        """The outputs where nothing but them changes, so that other threads may run or train the model
        meanwhile; None where the model is to be had alone, and then ``infer``.
        """
        return None

    def at_once(self, x: Any) -> Any:
        """The outputs for x, which nobody has looked at; None where somebody has to, and then ``infer``."""
        return None

    def loss_and_gradients(self, model: Model, objective: Objective, batch: Batch) -> tuple[Any, Value]:
        """(outputs, loss) of a batch; fills the gradients of all parameters.

        Penalties on outputs (``add_loss``, ``activity_regularizer``) are part of the loss and its gradients;
        those on weights are not. Raises ValueError where targets are missing.
        """
        y_pred = model.forward(batch.x, training=True)
        composes = model.composition(training=True) is not None  # else it has a ``backward`` of its own
        outputs, y, weights = model._by_output(batch.y, y_pred, batch.sample_weight)
        terms = objective.terms(model._ports.outputs)
        last = model._last_layers() if composes else [model] * len(outputs)
        fused = [composes and _fuse(*pair) for pair in zip(terms, last, strict=True)]
        value = value_of(terms, y, outputs, weights)
        gradients = _gradients(terms, fused, y, outputs, weights)
        with model._letting_go():
            if composes:
                model.back_through(gradients, input_gradient=False, from_logits=fused)
            else:
                model.backward(structure.packed(y_pred, gradients), input_gradient=False)
        return y_pred, value._replace(total=value.total + sum(model.activity_losses))

    def tap(
        self,
        model: Model,
        schedule: Schedule,
        inputs: list[Array],
        training: bool,
        taps: Taps,
        goal: Goal,
    ) -> tuple[list[Array], float | None, list[Array | None]]:
        """(outputs and behind them the tensors of ``taps.applied_to``, loss, the gradients asked for).

        A gradient is None where nothing that goes back reaches the tensor. The model stays as it was.
        """
        plan = taps.applied_to(schedule)
        going = Pass(plan, training)
        with unchanged(model, model._leaves() if taps.gradients else ()):
            made = going.forward(inputs, remember=bool(taps.gradients))
            outputs = made[: len(schedule.outputs)]
            loss = goal.loss(outputs)
            if not taps.gradients:
                return made, loss, []
            rest = [None] * (len(made) - len(outputs))
            at_outputs = [*goal.gradients(outputs), *rest]
            fused = [*goal.fused, *map(bool, rest)]
            return made, loss, going.backward(at_outputs, fused, taps.gradients, let_go=True)

    def explain(
        self,
        model: Model,
        objective: Objective | None,
        inputs: list[Array],
        training: bool,
        measured: bool = False,
    ) -> Explanation:
        """What of the model runs how, for inputs of these shapes. Where it is measured, the model runs: its
        gradients, moving statistics and random states change.
        """
        return Explanation([], "its executor runs the layers one after the other")


class Programmed(LayerByLayer):
    """Runs a model as a program (``fastconv.engine``), layers that do not lower in Python between its parts.

    Layer by layer where nothing lowers, for empty batches, on the reference backend, and where the model says
    ``jit_compile=False`` or computes by itself.
    """

    def __init__(self) -> None:
        self._programs = Programs()
        self._tapped = Programs()  # which do not push the others out
        self._looked: tuple[object, str | None] = None, None
        self._judging: _Judging | None = None
        self._latest: tuple[object, Any] = None, None

    def infer(self, model: Model, x: Any) -> Any:
        version = versions.version()
        inputs = self._inputs(model, x)
        program = None if inputs is None else self._programs.find(model, inputs, training=False)
        if inputs is None or program is None:
            return super().infer(model, x)
        return self._inferred(program, inputs, version)

    def infer_beside(self, model: Model, x: Any) -> Any:
        version = versions.version()
        inputs = self._inputs(model, x)
        program = None if inputs is None else self._programs.known(inputs)
        if inputs is None or program is None or not program.is_pure:
            return None
        return self._inferred(program, inputs, version)

    def _inferred(self, program: Program, inputs: list[Array], version: object) -> Any:
        """The outputs; and the next batch may run ``at_once``."""
        self._latest = version, program.at_once
        return program.nested(program.infer(inputs))

    def at_once(self, x: Any) -> Any:
        """The outputs for an array of the shape that ``infer`` was given last, as long as the layers stay
        what they are.
        """
        version, infer = self._latest
        if infer is None or version is not versions.version() or on_reference() or random_outside_training():
            return None
        return infer(x)

    def loss_and_gradients(self, model: Model, objective: Objective, batch: Batch) -> tuple[Any, Value]:
        inputs = self._inputs(model, batch.x)
        judging = None if inputs is None else self._how_judged(model, objective)
        program = None
        if inputs is not None and judging is not None:
            program = self._programs.find(model, inputs, True, judging.fused)
        if inputs is None or judging is None or program is None:
            return super().loss_and_gradients(model, objective, batch)
        terms, fused = judging.terms, judging.fused
        y_pred = program.nested(program.blank_outputs(len(inputs[0])))  # their shapes are what is asked for
        outputs, y, weights = model._by_output(batch.y, y_pred, batch.sample_weight)
        losses = None
        if judging.in_c and program.heads is not None:
            losses = _judged(terms, y, outputs, weights)
        if losses is not None:
            outputs = _train(program, inputs, losses)
            value = _value_in_c(terms, losses) or value_of(terms, y, outputs, weights)
        else:
            outputs, going = program.forward(inputs)
            value = value_of(terms, y, outputs, weights)
            program.backward(going, _gradients(terms, fused, y, outputs, weights))
        if program.in_python:
            added = sum(sum(layer.activity_losses) for layer in program.in_python)
            value = value._replace(total=value.total + added)
        return program.nested(outputs), value

    def tap(
        self,
        model: Model,
        schedule: Schedule,
        inputs: list[Array],
        training: bool,
        taps: Taps,
        goal: Goal,
    ) -> tuple[list[Array], float | None, list[Array | None]]:
        program = None
        if len(inputs[0]) and self._why_not(model) is None:
            fused = goal.fused if taps.gradients else ()
            program = self._tapped.find(model, inputs, training, fused, taps)
        if program is None:
            return super().tap(model, schedule, inputs, training, taps, goal)
        count = len(schedule.outputs)
        with unchanged(model, program.in_python if taps.gradients else ()):
            if not taps.gradients:
                made = program.infer(inputs)
                return made, goal.loss(made[:count]), []
            losses = goal.in_c(program, inputs)
            if losses is not None:
                made = _train(program, inputs, losses)
                return made, goal.loss(made[:count], losses), program.take_gradients({})
            made, going = program.forward(inputs)
            loss = goal.loss(made[:count])
            at_outputs = [*goal.gradients(made[:count]), *(None for _ in made[count:])]
            return made, loss, program.backward(going, at_outputs)

    def explain(
        self,
        model: Model,
        objective: Objective | None,
        inputs: list[Array],
        training: bool,
        measured: bool = False,
    ) -> Explanation:
        if (reason := self._why_not(model)) is not None:
            return Explanation([], reason)
        judging = None if objective is None or not training else self._how_judged(model, objective)
        fused = [] if judging is None else judging.fused
        program = self._programs.find(model, inputs, training, fused)
        if program is None:
            return Explanation([], "nothing of it lowers")
        terms = judging.terms if judging is not None and judging.in_c and program.heads is not None else None
        judged = None if terms is None else [term.loss is not None for term in terms]

        def step() -> None:
            _run_once(program, inputs, training, terms)

        return explained(program, len(inputs[0]), judged, step if measured else None)

    def _inputs(self, model: Model, x: Any) -> list[Array] | None:
        """The arrays that a program of the model takes; None where the model has none."""
        if self._why_not(model) is not None:
            return None
        if isinstance(x, np.ndarray):
            inputs = [x]
        else:
            inputs = structure.leaves(list(model._checked_inputs(model._nested_as_inputs(x))))
        return inputs if len(inputs[0]) else None

    def _why_not(self, model: Model) -> str | None:
        """Why the model runs layer by layer; None where it may be a program."""
        if on_reference():
            return "the reference backend runs"
        version = versions.version()
        looked, reason = self._looked
        if looked is not version:
            reason = why_no_program(model)
            self._looked = version, reason
        return reason

    def _how_judged(self, model: Model, objective: Objective) -> _Judging | None:
        """None for a model that has a ``backward`` of its own."""
        version, found = versions.version(), self._judging
        if found is not None and found.version is version and found.is_of(objective):
            return found
        if model.composition(training=True) is None:
            return None
        terms = objective.terms(model._ports.outputs)
        fused = [_fuse(*pair) for pair in zip(terms, model._last_layers(), strict=True)]
        attributes = [(term.loss, list(vars(term.loss).values())) for term in terms if term.loss]
        self._judging = _Judging(version, objective, attributes, terms, fused, _in_c(terms, fused))
        return self._judging

    def __reduce__(self) -> tuple[type[Programmed], tuple[()]]:
        return type(self), ()  # a program works on the arrays of the model that it was made for


class _Judging(NamedTuple):
    """How the losses of a model are taken, as long as layers and losses stay what they are.

    attributes   the values of each loss' attributes, which may be assigned to at any time
    fused        of each output, whether its loss begins at what the last activation is applied to
    in_c         whether C knows all losses
    """

    version: object
    objective: Objective
    attributes: list[tuple[Loss, list[Any]]]
    terms: list[Term]
    fused: list[bool]
    in_c: bool

    def is_of(self, objective: Objective) -> bool:
        if objective is not self.objective:
            return False
        for loss, values in self.attributes:
            now = vars(loss).values()
            if len(now) != len(values) or not all(map(operator.is_, now, values)):
                return False
        return True


def why_no_program(model: Model) -> str | None:
    """What of a model, by itself, keeps it from being a program."""
    if not model.built:
        return "it is not built"
    if model.jit_compile is False:
        return "it was compiled with jit_compile=False"
    hook = own_hook(model)
    return None if hook is None else f"it has a {hook} of its own"


def own_hook(model: Model) -> str | None:
    """What of that which runs its layers the model, or a class of the user's, overrides; None for nothing."""
    hooks = ("forward", "compute", "back_through")
    own = set(hooks).intersection(vars(model))
    cls: Any = type(model)
    own |= {name for name in hooks if getattr(cls, name).__module__.partition(".")[0] != "fastconv"}
    return min(own) if own else None


def _run_once(program: Program, inputs: list[Array], training: bool, terms: list[Term] | None) -> None:
    """As ``infer`` or ``loss_and_gradients``, for targets that are made up. ``terms``: C takes the losses."""
    if not training:
        program.infer(inputs)
    elif terms is None:
        outputs, going = program.forward(inputs)
        program.backward(going, [np.ones_like(output) for output in outputs])
    else:
        blank = program.blank_outputs(len(inputs[0]))
        targets = [
            None if term.loss is None else made_up_targets(term.loss, array.shape)
            for term, array in zip(terms, blank, strict=True)
        ]
        losses = _judged(terms, targets, blank, [None] * len(blank))
        assert losses is not None
        _train(program, inputs, losses)


def _in_c(terms: list[Term], fused: list[bool]) -> bool:
    """Whether C knows all losses."""
    wanted = [(term.loss, is_fused) for term, is_fused in zip(terms, fused, strict=True) if term.loss]
    return len(wanted) <= MOST_LOSSES and all(has_head(*pair) for pair in wanted)


def _judged(terms: list[Term], y: Any, outputs: Any, weights: Any) -> list[Judged | None] | None:
    """The losses of the outputs for C; None where it does not take these targets and weights."""
    losses: list[Judged | None] = []
    for term, target, output, weight in zip(terms, y, outputs, weights, strict=True):
        if term.loss is None:
            losses.append(None)
            continue
        loss = None if target is None else judged(term.loss, target, output, weight, term.weight)
        if loss is None:
            return None
        losses.append(loss)
    return losses


def _train(program: Program, inputs: list[Array], losses: list[Judged | None]) -> list[Array]:
    """``Program.train``, which fills the arrays of ``losses``."""
    return program.train(inputs, [None if loss is None else loss.in_c() for loss in losses])


def _value_in_c(terms: list[Term], losses: list[Judged | None]) -> Value | None:
    """The loss, after ``_train``; None where what C says is not exact."""
    if not all(loss is None or loss.exact for loss in losses):
        return None
    return sum_of(terms, [None if loss is None else loss.value() for loss in losses])


def _gradients(
    terms: list[Term], fused: list[bool], y: Any, outputs: Any, weights: Any
) -> list[Array | None]:
    """Of each output; of what its last activation is applied to where that is ``fused`` with the loss."""
    gradients: list[Array | None] = []
    for term, is_fused, target, output, weight in zip(terms, fused, y, outputs, weights, strict=True):
        gradient = None
        if term.loss is not None:
            derive = term.loss.gradient_at_logits if is_fused else term.loss.gradient
            gradient = derive(target, output, weight)
            if term.weight != 1:
                gradient = gradient * gradient.dtype.type(term.weight)
        gradients.append(gradient)
    return gradients


def _fuse(term: Term, layer: Layer) -> bool:
    return term.loss is not None and fuses(term.loss, layer)


def fuses(loss: Loss, layer: Layer) -> bool:
    """True where loss and last activation have a simpler derivative together: softmax and cross-entropy.

    Not where a subclass has changed one of the two and not their derivative together.
    """
    if loss.fuses_with is None or getattr(loss, "from_logits", False):
        return False
    return (
        loss.fuses_with == layer.output_activation
        and knows(loss, "gradient_at_logits", "__call__", "gradient")
        and knows(loss, "derivative_at_logits", "call", "derivative")
        and layer._skips_activation()
    )
