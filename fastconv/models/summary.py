"""The table that ``model.summary()`` prints."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from fastconv.layers.layer import Layer
from fastconv.parameter import Parameter


class Column(NamedTuple):
    """One column: its header, what a layer shows in it, and whether to align to the right."""

    header: str
    cell: Callable[[Layer], str]
    right: bool = False


def _shape(layer: Layer) -> str:
    shape = layer._output_shape
    return "?" if shape is None else f"({', '.join(map(str, (None, *shape)))})"


def _count(layer: Layer) -> str:
    return f"{layer.count_params():,}" if layer.built else "0 (unbuilt)"


COLUMNS = (
    Column("Layer (type)", lambda layer: f"{layer.name} ({type(layer).__name__})"),
    Column("Output Shape", _shape),
    Column("Param #", _count, right=True),
)
TRAINABLE = Column("Trainable", lambda layer: ("Y" if layer.trainable else "N") if layer.weights else "-")


def summary(
    model: Any, *, line_length: int | None = None, expand_nested: bool = False, show_trainable: bool = False
) -> str:
    """The model as a table, a line for each layer, and the numbers of its parameters.

    ``line_length`` is the least width; ``expand_nested`` shows the layers of models inside the model too.
    """
    columns = (*COLUMNS, TRAINABLE) if show_trainable else COLUMNS
    rows = [
        [indent + column.cell(layer) if i == 0 else column.cell(layer) for i, column in enumerate(columns)]
        for layer, indent in _rows(model.layers, expand_nested)
    ]
    totals = (
        ("Total params", model.weights),
        ("Trainable params", model.trainable_weights),
        ("Non-trainable params", model.non_trainable_weights),
    )
    lines = [f'Model: "{model.name}"', *_table(columns, rows, line_length or 0)]
    lines += [f" {title}: {_size(weights)}" for title, weights in totals]
    return "\n".join(lines)


def show(text: str) -> None:
    """Print, in plain characters where the terminal has no others."""
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        text = text.replace("─", "-").replace("└", "+")
    print(text)


def _rows(layers: Iterable[Any], expand_nested: bool, indent: str = "") -> Iterable[tuple[Layer, str]]:
    for layer in layers:
        yield layer, indent
        if expand_nested and hasattr(layer, "layers"):
            yield from _rows(layer.layers, True, indent.replace("└", " ") + " └ ")


def _table(columns: Sequence[Column], rows: list[list[str]], line_length: int) -> list[str]:
    cells = [[column.header for column in columns], *rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(columns))]
    gap = 3
    widths[0] += max(0, line_length - sum(widths) - gap * len(widths) + 1)

    def line(row: list[str]) -> str:
        aligned = (
            text.rjust(width) if column.right else text.ljust(width)
            for text, width, column in zip(row, widths, columns, strict=True)
        )
        return (" " + (" " * gap).join(aligned)).rstrip()

    rule = "─" * (sum(widths) + gap * (len(widths) - 1) + 2)
    return [rule, line(cells[0]), rule, *map(line, rows), rule]


def _size(weights: Iterable[Parameter]) -> str:
    """``1,413,834 (5.39 MB)``"""
    weights = list(weights)
    numbers, amount = sum(w.size for w in weights), float(sum(w.value.nbytes for w in weights))
    for unit in ("B", "KB", "MB", "GB"):
        if amount < 1024 or unit == "GB":
            break
        amount /= 1024
    return f"{numbers:,} ({amount:.2f} {unit})"
