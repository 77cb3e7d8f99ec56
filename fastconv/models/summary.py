"""What ``model.summary()`` says of each layer: its shape, its weights, its work, and what it sees."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from math import prod
from typing import Any, NamedTuple

from fastconv._core.geometry import image_size
from fastconv.engine.explaining import Explanation
from fastconv.graph import Node
from fastconv.graph.serialization import tensor_places
from fastconv.graph.structure import shape_leaves
from fastconv.layers.layer import Layer
from fastconv.models.receptive_field import ReceptiveField, receptive_field
from fastconv.models.summary_table import Row, SummaryTable
from fastconv.parameter import Parameter


class Entry(NamedTuple):
    """A layer, how deep it is inside models, its receptive field, None where it cannot be told, its calls in
    the graph that it is in, and what they are called on.
    """

    layer: Layer
    depth: int
    field: ReceptiveField | None
    calls: Sequence[Node]
    reads: Sequence[str]


class Column(NamedTuple):
    header: str
    cell: Callable[[Entry], str]


def summary_table(
    model: Any, *, expand_nested: bool = False, show_trainable: bool = False, show_dense: bool = False
) -> SummaryTable:
    """The model, a row for each layer, and its totals.

    ``expand_nested`` shows the layers of models inside the model too, ``show_trainable`` whether they learn,
    and ``show_dense`` how many parameters a fully connected layer has in place of a convolution.
    """
    columns = [OUTPUT_SHAPE, PARAMS]
    columns += [DENSE] if show_dense else []
    columns += [MULTIPLY_ADDS] if model.built else []
    columns += [FIELD, STRIDE] if _sees_one_image(model) else []
    columns += [TRAINABLE] if show_trainable else []
    columns += [CONNECTED] if _has_branches(model, expand_nested) else []
    entries = list(_entries(model, model, expand_nested))
    return SummaryTable(
        title=f'Model: "{model.name}"',
        headers=["Layer (type)", *(column.header for column in columns)],
        rows=[
            Row(
                entry.layer.name,
                type(entry.layer).__name__,
                entry.depth,
                [column.cell(entry) for column in columns],
            )
            for entry in entries
        ],
        footer=list(_totals(model, show_dense)),
        left_aligned=[0, 1, *(place for place, column in enumerate(columns, 1) if column is CONNECTED)],
    )


def explanation_table(model: Any, explanation: Explanation) -> SummaryTable:
    """The rows of an explanation, each an operation, or a layer that runs in Python; and what all takes."""
    measured = explanation.measured is not None
    return SummaryTable(
        title=f'Program of "{model.name}"',
        headers=[
            "Layers (operation)",
            "Output",
            "Way",
            "Stage",
            "At best",
            *(["Measured"] if measured else []),
        ],
        rows=[
            Row(
                row.layers,
                row.operation,
                0,
                [
                    "\n".join([_times(row.size), *([_amount(row.bytes)] if row.bytes else [])]),
                    f"{_way(row)}\n{row.why}",
                    "\n".join(row.stages) or "-",
                    "\n".join(_microseconds(row.at_best)),
                    *(["\n".join(_microseconds(row.measured))] if measured else []),
                ],
            )
            for row in explanation.rows
        ],
        footer=list(_costs(explanation)),
        left_aligned=[0, 1, 2],
    )


def _costs(explanation: Explanation) -> Iterator[str]:
    if explanation.why_not:
        yield f"no program: {explanation.why_not}"
        return
    in_python = sum(row.way == "python" for row in explanation.rows)
    yield f"Operations in C: {len(explanation.rows) - in_python}; layers in Python: {in_python}"
    needed = explanation.footprint
    assert needed is not None
    yield (
        f"Memory: {_amount(needed['batch'])} for tensors of the batch, {_amount(needed['workspace'])} of "
        f"each thread, {_amount(needed['fixed'])} of packed weights and what is kept, "
        f"{_amount(needed['sums'])} of sums"
    )
    best = " + ".join(_microseconds(_total(row.at_best for row in explanation.rows)))
    rates = f"{explanation.flops / 1e9:.0f} GFLOP/s and {explanation.bandwidth / 1e9:.0f} GB/s"
    yield f"At best {best} microseconds, at {rates}"
    if explanation.measured is not None:
        run, layouts, losses = explanation.measured
        each = _total(row.measured for row in explanation.rows)
        rest = max(0.0, run - sum(each) - layouts - losses)
        told = [_microseconds((seconds,))[0] for seconds in (run, layouts, losses, rest)]
        yield (
            f"Measured {told[0]} microseconds: {' + '.join(_microseconds(each))} above, {told[1]} for "
            f"changes of layout and sums of gradients, {told[2]} for losses, {told[3]} for packing weights, "
            "sums over the batch, waiting for threads, and Python"
        )


def _way(row: Any) -> str:
    algorithms = row.algorithms[:1] if len(set(row.algorithms)) == 1 else row.algorithms
    return ", ".join([row.way, *algorithms])


def _total(times: Iterable[tuple[float, float] | None]) -> tuple[float, float]:
    known = [pair for pair in times if pair is not None]
    return sum(forward for forward, _ in known), sum(back for _, back in known)


def _microseconds(seconds: tuple[float, ...] | None) -> list[str]:
    """Forward and back; forward alone where there is no way back."""
    shown = [] if seconds is None else [second for i, second in enumerate(seconds) if second or not i]
    return [f"{1e6 * s:.1f}" if s < 1e-5 else f"{1e6 * s:,.0f}" for s in shown] or ["-"]


def _times(size: Sequence[int]) -> str:
    return "x".join(map(str, size))


def show(text: str) -> None:
    """Print, in plain characters where the terminal has no others."""
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        text = text.replace("─", "-").replace("└", "+")
    print(text)


def _sees_one_image(model: Any) -> bool:
    return (
        model.built and sum(image_size(shape) is not None for shape in shape_leaves(model._input_shape)) == 1
    )


def _has_branches(model: Any, expand_nested: bool) -> bool:
    """Whether a model made from tensors, here or among those shown, is no chain."""
    if not hasattr(model, "layers"):
        return False
    if _is_functional(model) and model.graph.chain is None:
        return True
    return expand_nested and any(_has_branches(layer, True) for layer in model.layers)


def _is_functional(model: Any) -> bool:
    """Whether its layers are those of a graph, ``Input`` among them."""
    return model.built and any(layer.is_input for layer in model.layers)


def _entries(model: Any, inside: Any, expand_nested: bool, depth: int = 0) -> Iterator[Entry]:
    graph = inside.composition(training=False) if inside.built else None
    places = {} if graph is None or not _is_functional(inside) else tensor_places(graph)
    for layer in inside.layers:
        calls = [] if graph is None or layer.is_input else graph.calls_of(layer)
        reads = [tensor for call in calls for tensor in call.inputs if id(tensor) in places]
        shown = ["{}[{}][{}]".format(*places[id(tensor)]) for tensor in reads]
        yield Entry(layer, depth, _field(model, layer), calls, shown)
        if expand_nested and hasattr(layer, "layers"):
            yield from _entries(model, layer, True, depth + 1)


def _field(model: Any, layer: Layer) -> ReceptiveField | None:
    try:
        return receptive_field(model, layer)
    except ValueError:
        return None


# ---- columns


def _shape(entry: Entry) -> str:
    shapes = entry.layer._output_shape
    if shapes is None:
        return "?"
    return ", ".join(f"({', '.join(map(str, (None, *shape)))})" for shape in shape_leaves(shapes))


def _params(entry: Entry) -> str:
    return f"{entry.layer.count_params():,}" if entry.layer.built else "0 (unbuilt)"


def _multiply_adds(entry: Entry) -> str:
    if _is_open(entry.layer):
        return "?"
    count = 0 if entry.calls else entry.layer.count_multiply_adds()
    for call in entry.calls:
        with entry.layer.at(call):
            count += entry.layer.count_multiply_adds()
    return f"{count:,}"


def _is_open(layer: Layer) -> bool:
    """Whether sizes of the layer are left open."""
    return any(None in shape for shape in shape_leaves(list(layer.shapes())))


def _dense_params(entry: Entry) -> str:
    count = count_dense_params(entry.layer) if entry.layer.built else None
    return "-" if count is None else f"{count:,}"


def _field_size(entry: Entry) -> str:
    if entry.layer.is_input:
        return "-"
    return "?" if entry.field is None else "x".join(map(str, entry.field.size))


def _field_stride(entry: Entry) -> str:
    if entry.layer.is_input:
        return "-"
    if entry.field is None:
        return "?"
    if image_size(shape_leaves(entry.layer.shapes()[1])[0]) is None:  # no map, no neighbours
        return "-"
    return "x".join(map(str, sorted(set(entry.field.stride), key=entry.field.stride.index)))


def _trainable(entry: Entry) -> str:
    return ("Y" if entry.layer.trainable else "N") if entry.layer.weights else "-"


def _connections(entry: Entry) -> str:
    return "\n".join(entry.reads) or "-"


OUTPUT_SHAPE = Column("Output Shape", _shape)
PARAMS = Column("Param #", _params)
DENSE = Column("As Dense", _dense_params)
MULTIPLY_ADDS = Column("Mult-adds", _multiply_adds)
FIELD = Column("Receptive field", _field_size)
STRIDE = Column("Stride", _field_stride)
TRAINABLE = Column("Trainable", _trainable)
CONNECTED = Column("Connected to", _connections)


def count_dense_params(layer: Layer) -> int | None:
    """Parameters of the fully connected layer with the same inputs and outputs as this one.

    None where that is the layer itself, or where it has no weights that it shares between places. For an
    image of D = 32² pixels and three colors, and one map as large: 3 D² + D = 3,146,752.
    """
    if layer.parts() or not layer.weights or not layer.windows():
        return None
    inputs, outputs = map(prod, layer.shapes())
    return inputs * outputs + (outputs if getattr(layer, "bias", None) is not None else 0)


# ---- totals


def _totals(model: Any, show_dense: bool) -> Iterator[str]:
    yield f"Total params: {_size(model.weights)}"
    yield f"Trainable params: {_size(model.trainable_weights)}"
    yield f"Non-trainable params: {_size(model.non_trainable_weights)}"
    if not model.built or _is_open(model):
        return
    yield f"Multiply-adds: {model.count_multiply_adds():,}"
    yield f"Connections: {model.count_connections():,}"
    if show_dense:
        counts = ((layer, count_dense_params(layer)) for layer in model._leaves())
        more = sum(count - layer.count_params() for layer, count in counts if count is not None)
        yield f"Total params with Dense layers instead: {model.count_params() + more:,}"


def _size(weights: Iterable[Parameter]) -> str:
    """``1,413,834 (5.39 MB)``"""
    weights = list(weights)
    return f"{sum(w.size for w in weights):,} ({_amount(sum(w.value.nbytes for w in weights))})"


def _amount(count: int) -> str:
    """``5.39 MB``"""
    amount = float(count)
    for unit in ("B", "KB", "MB", "GB"):
        if amount < 1024 or unit == "GB":
            break
        amount /= 1024
    return f"{amount:.2f} {unit}"
