"""A model as a picture: a box for each call of a layer, an arrow for each tensor between them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from fastconv._core.checks import unknown_name, unsupported_argument
from fastconv._core.files import writable_place, write_atomically

# What draws is imported when something is drawn.

RANKDIRS = ("TB", "BT", "LR", "RL")


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
    from fastconv.utils._diagram import Shown, diagram
    from fastconv.utils._svg import svg

    _check(model, rankdir, "plot_model")
    shown = Shown(show_shapes, show_dtype, show_layer_names, show_layer_activations, show_trainable)
    found = diagram(model, shown, expand_nested)
    drawing = Drawing(svg(found, rankdir))
    if to_file is not None:
        place = writable_place(to_file)
        kind = Path(to_file).suffix[1:].lower() or "png"
        if kind == "svg":
            data = str(drawing).encode()
        else:
            from fastconv.utils._graphviz import dot, file_of

            graph = dot(found, rankdir, dpi, splines, f'plot_model(model, "model.{kind}")')
            data = file_of(graph, kind)
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
    from fastconv.utils._diagram import Shown, diagram
    from fastconv.utils._graphviz import dot

    _check(model, rankdir, "model_to_dot")
    if subgraph:
        raise unsupported_argument("model_to_dot", "subgraph")
    shown = Shown(show_shapes, show_dtype, show_layer_names, show_layer_activations, show_trainable)
    return dot(diagram(model, shown, expand_nested), rankdir, dpi, splines, "model_to_dot")


def _check(model: Any, rankdir: str, function: str) -> None:
    from fastconv.models import Model

    if not isinstance(model, Model):
        raise TypeError(f"{function}: model must be a Model or Sequential, got {model!r}")
    if rankdir not in RANKDIRS:
        raise unknown_name(f"rankdir of {function}", rankdir, RANKDIRS)
