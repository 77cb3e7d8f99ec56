"""A diagram for Graphviz: as a graph of pydot, and as a file that the program dot makes of it."""

from __future__ import annotations

from typing import Any

from fastconv.utils._diagram import Diagram


def dot(found: Diagram, rankdir: str, dpi: int, splines: str, function: str) -> Any:
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


def file_of(graph: Any, kind: str) -> bytes:
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
