"""Models as files that other programs run, without Python: docs/program-file.md."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import numpy as np
from numpy.typing import ArrayLike

from fastconv import _kernels, optimizers
from fastconv._core.files import check_readable, write_atomically
from fastconv._core.randomness import drawn_seed
from fastconv._core.versions import is_exactly
from fastconv.engine.heads import has_head, head_of
from fastconv.engine.lower import Op, Shape
from fastconv.engine.program import Compiled, Program
from fastconv.engine.programs import Programs
from fastconv.graph import structure
from fastconv.models.executor import fuses, why_no_program
from fastconv.models.objective import Term
from fastconv.ops import _door
from fastconv.optimizers import Optimizer
from fastconv.parameter import Array, Parameter
from fastconv.regularizers import L1, L1L2, L2

if TYPE_CHECKING:
    from fastconv.models.model import Model

PathLike = str | os.PathLike[str]
SUFFIX = ".fcp"


def export_model(
    model: Model, filepath: PathLike, *, training: bool = False, input_shape: Any = None
) -> None:
    """Write the operations that the model is compiled to, with its weights, for programs without Python.

    The file is written beside its place and then renamed: a crash leaves the old file whole.

    Parameters
    ----------
    filepath : ends in ".fcp": a program file, for ``fc_network_load`` of csrc/fastconv.h and for
        ``load_program``
    training : write with it what a step of training needs: the operations of training, the losses, the
        optimizer with what it remembers, and where dropout is in its random numbers
    input_shape : shapes of one example, nested as the inputs, for a model with sizes that are left open

    Raises ValueError that names it for a layer, a loss or an optimizer that C does not know, for another
    suffix, a model that is not built, with ``training`` one that is not compiled, and a size that is left
    open; and the errors of ``save_model`` about the place.
    """
    suffix = Path(filepath).suffix
    if suffix != SUFFIX:
        raise ValueError(f"{filepath}: the format is not known by its end, {suffix!r}: it can be {SUFFIX!r}")
    with model._turns.lock:
        data = _program_file(model, _shapes(model, input_shape), training)
    write_atomically(filepath, data)


def _refuse(model: Model, reason: str) -> NoReturn:
    raise ValueError(f"{model} cannot be exported: {reason}")


def _shapes(model: Model, input_shape: Any) -> list[Shape]:
    if not model.built:
        _refuse(model, "it is not built: give it Input(shape), build(shape), or train it first")
    shapes = structure.shape_leaves(model._input_shape if input_shape is None else input_shape)
    if any(None in shape for shape in shapes):
        _refuse(model, f"the sizes of its inputs {shapes} are left open: give input_shape=")
    return shapes  # type: ignore[return-value]


# ---- operations ---------------------------------------------------------------------------------


class _Table(NamedTuple):
    """The operations of inference or training; ``draws`` has how often each draws in a run."""

    program: _kernels.Program
    input_axes: list[int]
    output_axes: list[int]
    draws: list[int]


def _program(model: Model, shapes: Sequence[Shape], training: bool, fused: Sequence[bool] = ()) -> Program:
    """The model as one call of C. Raises ValueError that names a layer which is none."""
    if (reason := why_no_program(model)) is not None:
        _refuse(model, reason)
    inputs = [np.broadcast_to(np.float32(0), (1, *shape)) for shape in shapes]
    program = Programs().find(model, inputs, training, fused)
    if program is None:
        _refuse(model, "none of its layers is made of operations that C knows")
    for place, why in program.why.items():
        layer = program.schedule.calls[place].layer
        _refuse(model, f"{layer} runs in Python: {why}")
    return program


def _table(program: Program, shapes: Sequence[Shape], training: bool) -> _Table:
    compiled: Compiled = program.schedule.calls[0].layer  # type: ignore[assignment]
    sizes = list(compiled.sizes)
    known = dict(zip(compiled.inputs, compiled.input_tensors, strict=True))
    inputs = []
    for number, shape in zip(program.schedule.inputs, shapes, strict=True):
        if number not in known:  # nobody reads it
            known[number] = len(sizes)
            sizes.append((*(1,) * (3 - len(shape)), *shape))  # type: ignore[arg-type]
        inputs.append(known[number])
    outputs_of = program.schedule.outputs[: len(program.output_shapes)]  # besides them there are logits
    outputs = [_output_tensor(compiled, number, known) for number in outputs_of]
    ops = compiled.ops if training else [_at_rest(op) for op in compiled.ops]
    table = _kernels.Program(ops, sizes, inputs, [False] * len(inputs), outputs)
    draws = _draws_to_come(compiled)
    return _Table(
        table,
        [len(shape) for shape in shapes],
        [len(shape) for shape in program.output_shapes],
        [draws.get(id(op.get("random")), 0) for op in ops],
    )


def _output_tensor(compiled: Compiled, number: int, inputs: dict[int, int]) -> int:
    if number in compiled.outputs:
        return compiled.output_tensors[compiled.outputs.index(number)]
    return inputs[number]


def _at_rest(op: Op) -> Op:
    """The operation without what learns of it."""
    return {name: value for name, value in op.items() if name not in ("gradients", "adds")}


def _draws_to_come(compiled: Compiled) -> dict[int, int]:
    """Set all streams to what the layers will draw; how often each stream's layer draws in a run."""
    layers: dict[int, list[Any]] = {}
    for layer, stream in compiled.draws:
        layers.setdefault(id(layer), [layer]).append(stream)
    often = {}
    for layer, *streams in layers.values():
        state = layer.random_state()
        if state["seed"] is None:
            state["seed"] = drawn_seed()
            layer.set_random_state(state)
        for i, stream in enumerate(streams):
            stream.seed, stream.call = state["seed"], (state["draws"] + i) % 2**32
            often[id(stream)] = len(streams)
    return often


# ---- weights ------------------------------------------------------------------------------------


def _address(array: Array) -> int:
    address: int = array.__array_interface__["data"][0]
    return address


def _weights(programs: Sequence[Program]) -> dict[int, Array]:
    """The arrays of all operations, by their addresses."""
    return {
        _address(array): array
        for program in programs
        for op in program.schedule.calls[0].layer.ops  # type: ignore[attr-defined]
        for array in op.get("weights", ())
        if array is not None and array.size
    }


def _program_file(model: Model, shapes: Sequence[Shape], training: bool) -> bytes:
    inference = _program(model, shapes, training=False)
    tables: list[_Table | None] = [_table(inference, shapes, training=False), None]
    programs, learned, rule, terms = [inference], [], None, []
    if training:
        optimizer, judged, fused = _how_trained(model)
        learning = _program(model, shapes, True, fused)
        programs.append(learning)
        tables[1] = _table(learning, shapes, training=True)
        rule, terms = _rule(model, optimizer), _terms(model, learning, judged)
        learned = _learned(model, optimizer)
    weights = _weights(programs)
    rows, penalties = [], []
    for parameter, row in learned:
        if weights.pop(_address(parameter.value), None) is not None:
            rows.append(row)
            penalties.append(_penalty(model, parameter))
    rows += [(array, array, (), None, None, False) for array in weights.values()]
    return _kernels.network_bytes(_kernels.Parameters(rows), penalties, *tables, rule, terms)


# ---- training -----------------------------------------------------------------------------------


def _how_trained(model: Model) -> tuple[Optimizer, list[Term], list[bool]]:
    """(optimizer, the outputs' losses, whether each begins at what its last activation is applied to)"""
    compiled = model._compiled
    if compiled is None:
        _refuse(model, "it is not compiled, which training=True needs: compile(optimizer, loss)")
    if compiled.objective is None or model._overrides("train_step") or model._has_own_loss():
        _refuse(model, "it has a train_step or a loss of its own: export it with training=False")
    terms = compiled.objective.terms(model._ports.outputs)
    last = model._last_layers()
    fused = [
        term.loss is not None and fuses(term.loss, layer) for term, layer in zip(terms, last, strict=True)
    ]
    for term, is_fused in zip(terms, fused, strict=True):
        if term.loss is None:
            continue
        if not has_head(term.loss, is_fused) or getattr(term.loss, "label_smoothing", False):
            _refuse(model, f"the loss {term.loss} of the output {term.name!r} is not taken in C")
    return compiled.optimizer, terms, fused


def _terms(model: Model, program: Program, judged: Sequence[Term]) -> list[dict[str, Any]]:
    if program.heads is None:
        _refuse(model, "its losses begin at outputs that are no operations' own")
    terms: list[dict[str, Any]] = []
    for i, (term, tensor) in enumerate(zip(judged, program.heads.tensors, strict=True)):
        if term.loss is not None:
            head = head_of(term.loss)
            about: dict[str, Any] = {
                "output": i,
                "tensor": tensor,
                "labels": head.sparse,
                "weight": term.weight,
            }
            about |= {"kind": head.kind, "delta": head.delta, "limits": head.limits}
            terms.append(about | {"sum": term.loss.reduction == "sum"})
    return terms


_RULES: dict[type[Optimizer], str] = {
    optimizers.SGD: "sgd",
    optimizers.Adagrad: "adagrad",
    optimizers.RMSprop: "rmsprop",
    optimizers.Adam: "adam",
    optimizers.AdamW: "adam",
    optimizers.Adamax: "adamax",
    optimizers.Nadam: "nadam",
    optimizers.Adadelta: "adadelta",
}
_OF_RULES = ("momentum", "nesterov", "rho", "beta_1", "beta_2", "epsilon", "momentum_product")


def _rule(model: Model, optimizer: Optimizer) -> dict[str, Any]:
    if not is_exactly(optimizer, *_RULES):
        _refuse(model, f"the rule of its optimizer {optimizer} is in Python")
    for option in ("use_ema", "gradient_accumulation_steps"):
        if getattr(optimizer, option):
            _refuse(model, f"a program file has no {option} of an optimizer")
    return {
        "kind": _RULES[type(optimizer)],
        "learning_rate": optimizer.learning_rate,
        "steps": optimizer.iterations,
        "options": optimizer._options_now(),
        **{name: getattr(optimizer, name, 0) for name in _OF_RULES},
    }


def _learned(model: Model, optimizer: Optimizer) -> list[tuple[Parameter, tuple[Any, ...]]]:
    """What the optimizer steps, in its order, with the rows that _kernels.Parameters takes."""
    optimizer.build(model.parameters)
    arrays = optimizer._arrays_to_update()
    parameters = {_address(parameter.value): parameter for parameter in model.parameters}
    return [
        (parameters[_address(value)], (value, grad, states, None, None, kept.decays))
        for (value, grad, *states), kept in zip(arrays.rows, arrays.kept, strict=True)
        if value.size
    ]


def _penalty(model: Model, parameter: Parameter) -> tuple[float, float]:
    """(l1, l2)"""
    if parameter.constraint is not None:
        _refuse(model, f"{parameter.path} has a constraint, which is in Python")
    regularizer: Any = parameter.regularizer
    if regularizer is None:
        return 0.0, 0.0
    if not is_exactly(regularizer, L1, L2, L1L2):
        _refuse(model, f"the regularizer {regularizer} of {parameter.path} is in Python")
    return regularizer.l1, regularizer.l2


# ---- program files in Python --------------------------------------------------------------------


class LoadedProgram:
    """A network from a program file. It has no layers: it predicts, and learns if it was exported so.

    input_shapes, output_shapes   of one example of each input and output, in the model's order
    learning_rate, momentum       of the optimizer, as the model was compiled; of the next steps, if they are
        assigned to. Of the optimizers SGD and RMSprop have a momentum
    """

    def __init__(self, data: bytes) -> None:
        self._network = _kernels.Network(data)
        self.input_shapes: list[Shape] = self._network.inputs
        self.output_shapes: list[Shape] = self._network.outputs
        self.learning_rate, self.momentum = self._network.training()

    @property
    def can_learn(self) -> bool:
        """Whether it was exported with ``training=True``."""
        return bool(self._network.losses)

    def predict(self, x: Any) -> Any:
        """The outputs for x (N, ...), in one batch; of several inputs a list. Several outputs are a list."""
        inputs = _arrays(x, self.input_shapes, "x")
        outputs = self._blank(len(inputs[0]))
        self._network.predict(inputs, outputs)
        return outputs[0] if len(outputs) == 1 else outputs

    def train_step(self, x: Any, y: Any, sample_weight: ArrayLike | None = None, l2: float = 0.0) -> float:
        """Learn from a batch; returns its loss before the step, penalties included.

        The weights move as those of the model would, to the bit.

        Parameters
        ----------
        x : as in ``predict``
        y : class numbers (N, ...) for sparse categorical cross-entropy, else an array of the output's shape;
            a list where several outputs are judged
        sample_weight : (N,), for all outputs
        l2 : adds l2 · Σ w² over the kernels of convolutions and dense layers to the loss

        Raises ValueError for a program that was exported for inference, and for arrays of other shapes.
        """
        if not self.can_learn:
            raise ValueError("this program was exported for inference: export the model with training=True")
        inputs = _arrays(x, self.input_shapes, "x")
        outputs = self._blank(len(inputs[0]))
        weights = None if sample_weight is None else _door.laid_out(np.asarray(sample_weight), np.float32)
        targets = self._targets(y, weights)
        rates = self.learning_rate, self.momentum, l2
        loss: float = self._network.train_step(inputs, outputs, targets, *rates)
        return loss

    def save(self, filepath: PathLike) -> None:
        """Write it again, with the weights of now."""
        write_atomically(filepath, self._network.packed())

    def _blank(self, images: int) -> list[Array]:
        return [np.empty((images, *shape), np.float32) for shape in self.output_shapes]

    def _targets(self, y: Any, weights: Array | None) -> list[tuple[Any, ...]]:
        losses = self._network.losses
        given = list(y) if len(losses) > 1 else [y]
        if len(given) != len(losses):
            raise ValueError(f"y must be a list of {len(losses)} arrays, got {len(given)}")
        targets: list[tuple[Any, ...]] = []
        for (_, output, takes_labels), target in zip(losses, given, strict=True):
            shape = self.output_shapes[output]
            if takes_labels:
                targets.append((_door.laid_out(np.asarray(target), np.int64), None, weights))
            else:
                (rows,) = _arrays(target, [shape], "y")
                targets.append((None, rows, weights))
        return targets


def _arrays(given: Any, shapes: Sequence[Shape], name: str) -> list[Array]:
    """Floats of these shapes, as many examples of each."""
    arrays = list(given) if len(shapes) > 1 else [given]
    if len(arrays) != len(shapes):
        raise ValueError(f"{name} must be a list of {len(shapes)} arrays, got {len(arrays)}")
    ready = [_door.array(array, name) for array in arrays]
    for array, shape in zip(ready, shapes, strict=True):
        if array.shape[1:] != shape or len(array) != len(ready[0]) or not len(array):
            expected = ", ".join(map(str, ("N", *shape)))
            raise ValueError(f"{name} must have the shape ({expected}), got {array.shape}")
    return ready


def load_program(filepath: PathLike) -> LoadedProgram:
    """The network in a program file that ``Model.export`` or a C program wrote.

    Raises ValueError that says what is wrong with the file, FileNotFoundError, IsADirectoryError or
    PermissionError about the path. Nothing in a file is executed.
    """
    check_readable(filepath, "program file")
    try:
        return LoadedProgram(Path(filepath).read_bytes())
    except ValueError as error:
        raise ValueError(f"{os.fspath(filepath)}: {error}") from None
