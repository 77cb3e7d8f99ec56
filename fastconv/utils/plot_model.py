"""A model as a picture: a box for each call of a layer, an arrow for each tensor between them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from fastconv._atomic_file import writable_place, write_atomically
from fastconv._errors import unknown_name, unsupported_argument
from fastconv.utils._diagram import Box, Diagram, Shown, diagram
from fastconv.utils._layered_drawing import Point, arranged

RANKDIRS = ("TB", "BT", "LR", "RL")
LETTER, LINE, PADDING = 7.3, 17.0, 8.0  # of a monospaced font of 12 pixels

_STYLE = (
    "text{font:12px 'DejaVu Sans Mono',Menlo,Consolas,monospace;fill:#1c2733}"
    ".title{font-weight:bold}"
    "rect{stroke:#3d5a73;stroke-width:1.2}"
    ".frame{fill:#ffffff}.head{fill:#dbe7f1}.inner .head{fill:#e6efd9}"
    ".edge{fill:none;stroke:#3d5a73;stroke-width:1.3}"
)


class Drawing:
    """A picture as SVG; a notebook shows it. ``str(drawing)`` is the text of the file."""

    def __init__(self, svg: str) -> None:
        self._svg = svg

    def _repr_svg_(self) -> str:
        return self._svg

    def __str__(self) -> str:
        return self._svg

    def __repr__(self) -> str:
        return f"<Drawing: SVG, {len(self._svg):,} characters>"


def plot_model(
    model: Any,
    to_file: str | os.PathLike[str] | None = "model.png",
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = False,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: int = 200,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
    splines: str = "ortho",
) -> Drawing:
    """Draw a model into a file, and return the drawing, which a notebook shows.

    A file that ends in ``.svg`` needs nothing beyond fastconv. Other formats (``.png``, ``.pdf``, ...) are
    made by pydot and Graphviz, where these are installed. What is returned is always the SVG.

    There is a box for each call: a layer that is called twice has two.

    Parameters
    ----------
    to_file : where None, nothing is written
    show_shapes, show_dtype : the shapes, and the type of the numbers, that a layer takes and returns
    show_layer_names : names beside the kinds of layers
    rankdir : where arrows point: "TB" from top to bottom, "BT" upwards, "LR" to the right, "RL" to the left
    expand_nested : in the place of a model inside the model, its layers
    dpi, splines : for Graphviz: dots per inch, and the shape of its arrows
    show_layer_activations : the activations of layers that have one
    show_trainable : of layers with weights, whether they learn

    Raises ImportError where a format needs Graphviz and it is not installed, TypeError where ``model`` is no
    model, ValueError where it is not built or its ``call`` is not made of layers, and for a rankdir or format
    that there is not.
    """
    _check(model, rankdir, "plot_model")
    shown = Shown(show_shapes, show_dtype, show_layer_names, show_layer_activations, show_trainable)
    found = diagram(model, shown, expand_nested)
    drawing = Drawing(_svg(found, rankdir))
    if to_file is not None:
        place = writable_place(to_file)
        kind = Path(to_file).suffix[1:].lower() or "png"
        if kind == "svg":
            data = str(drawing).encode()
        else:
            graph = _dot(found, rankdir, dpi, splines, f'plot_model(model, "model.{kind}")')
            data = _drawn_by_graphviz(graph, kind)
        write_atomically(place, data)
    return drawing


def model_to_dot(
    model: Any,
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = True,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: int = 200,
    subgraph: bool = False,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
    splines: str = "ortho",
) -> Any:
    """The boxes and arrows of ``plot_model`` as a ``pydot.Dot``. Arguments and errors are those of
    ``plot_model``.

    Raises ImportError where pydot is not installed, ValueError for ``subgraph``.
    """
    _check(model, rankdir, "model_to_dot")
    if subgraph:
        raise unsupported_argument("model_to_dot", "subgraph")
    shown = Shown(show_shapes, show_dtype, show_layer_names, show_layer_activations, show_trainable)
    return _dot(diagram(model, shown, expand_nested), rankdir, dpi, splines, "model_to_dot")


def _check(model: Any, rankdir: str, function: str) -> None:
    from fastconv.models import Model

    if not isinstance(model, Model):
        raise TypeError(f"{function}: model must be a Model or Sequential, got {model!r}")
    if rankdir not in RANKDIRS:
        raise unknown_name(f"rankdir of {function}", rankdir, RANKDIRS)


# ---- SVG


def _svg(found: Diagram, rankdir: str) -> str:
    sizes = [_size(box) for box in found.boxes]
    sideways = rankdir in ("LR", "RL")
    layout = arranged([size[::-1] for size in sizes] if sideways else sizes, found.edges)

    def at(point: Point) -> Point:
        across, along = point
        if rankdir in ("BT", "RL"):
            along = layout.extent[1] - along
        return (along, across) if sideways else (across, along)

    width, height = layout.extent[::-1] if sideways else layout.extent
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.1f} {height:.1f}">',
        f"<title>{_escaped(found.name)}</title>",
        f"<style>{_STYLE}</style>",
        '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7.5" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto"><path d="M0,0.5 L8,4 L0,7.5 z" fill="#3d5a73"/></marker></defs>',
        '<rect width="100%" height="100%" style="fill:#ffffff;stroke:none"/>',
    ]
    for (tail, head), way in zip(found.edges, layout.ways, strict=True):
        ends = f'data-from="{tail}" data-to="{head}"'
        parts.append(f'<path class="edge" {ends} d="{_path(way, at)}" marker-end="url(#arrow)"/>')
    for number, (box, size, centre) in enumerate(zip(found.boxes, sizes, layout.centres, strict=True)):
        parts.append(_drawn(number, box, size, at(centre)))
    return "\n".join([*parts, "</svg>\n"])


def _size(box: Box) -> Point:
    letters = max(map(len, [box.title, *box.lines]))
    return letters * LETTER + 2 * PADDING, (1 + len(box.lines)) * LINE + PADDING


def _drawn(number: int, box: Box, size: Point, centre: Point) -> str:
    (width, height), (x, y) = size, centre
    left, top = x - width / 2, y - height / 2
    parts = [
        f'<g class="layer{" inner" if box.group else ""}" data-box="{number}">',
        f"<title>{_escaped(box.name)}</title>",
        _rectangle("frame", left, top, width, height),
        _rectangle("head", left, top, width, LINE + PADDING / 2),
    ]
    for line, text in enumerate([box.title, *box.lines]):
        kind = ' class="title"' if not line else ""
        base = top + (line + 0.75) * LINE + (PADDING / 2 if line else PADDING / 4)
        parts.append(f'<text{kind} x="{x:.1f}" y="{base:.1f}" text-anchor="middle">{_escaped(text)}</text>')
    return "".join([*parts, "</g>"])


def _rectangle(kind: str, left: float, top: float, width: float, height: float) -> str:
    sizes = f'width="{width:.1f}" height="{height:.1f}"'
    return f'<rect class="{kind}" x="{left:.1f}" y="{top:.1f}" {sizes}/>'


def _path(way: list[Point], at: Any) -> str:
    """Straight through rows, curved between them."""

    def text(point: Point) -> str:
        return "{:.1f},{:.1f}".format(*at(point))

    parts = [f"M{text(way[0])} L{text(way[1])}"]
    for before, enter, leave in zip(way[1::2], way[2::2], way[3::2], strict=False):
        middle = (before[1] + enter[1]) / 2
        parts.append(f"C{text((before[0], middle))} {text((enter[0], middle))} {text(enter)} L{text(leave)}")
    return " ".join(parts)


def _escaped(text: str) -> str:
    text = "".join(letter if letter.isprintable() else " " for letter in text)
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


# ---- Graphviz


def _dot(found: Diagram, rankdir: str, dpi: int, splines: str, function: str) -> Any:
    """The diagram as a ``pydot.Dot``; ImportError where there is no pydot."""
    try:
        import pydot
    except ImportError as error:
        raise ImportError(
            f"{function} needs pydot and Graphviz: python -m pip install pydot, and the program dot of "
            'https://graphviz.org; plot_model(model, "model.svg") needs neither'
        ) from error
    graph = pydot.Dot(_quoted(found.name), rankdir=rankdir, dpi=str(dpi), splines=_quoted(splines))
    graph.set_node_defaults(
        shape="box", fontname="Helvetica", fontsize="11", style="filled", fillcolor=_quoted("#f2f6fa")
    )
    for number, box in enumerate(found.boxes):
        label = _quoted("\n".join([box.title, *box.lines]))
        graph.add_node(pydot.Node(str(number), label=label, tooltip=_quoted(box.name)))
    for tail, head in found.edges:
        graph.add_edge(pydot.Edge(str(tail), str(head)))
    return graph


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _drawn_by_graphviz(graph: Any, kind: str) -> bytes:
    """A file of that kind. ImportError without the program dot, ValueError for an unknown kind."""
    try:
        made: bytes = graph.create(format=kind)
    except FileNotFoundError as error:
        raise ImportError(
            f"plot_model: a {kind} file needs the program dot of Graphviz, https://graphviz.org; "
            'plot_model(model, "model.svg") needs neither it nor pydot'
        ) from error
    except AssertionError as error:
        raise ValueError(f"plot_model: Graphviz makes no {kind} file; choose svg, png or pdf") from error
    return made
