"""The graph of a layer or model whose ``call`` only composes other layers, found by calling it once.

``call`` is run on tensors without numbers, so that whatever it does to them is recorded. It runs once for
training and once for inference, and again for inputs of other shapes: a branch on ``training``
or on a shape is fine, a branch on values is a TypeError that says what to write.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from fastconv.graph import structure
from fastconv.graph.graph import Graph
from fastconv.graph.symbolic import SymbolicTensor, Untraceable, holds_symbolic

if TYPE_CHECKING:
    from fastconv.layers.layer import Layer

_state = threading.local()


def is_tracing() -> bool:
    """Whether this thread runs a ``call`` to see which layers it calls, rather than to compute."""
    return bool(getattr(_state, "now", False))


@contextmanager
def tracing(now: bool) -> Iterator[None]:
    """Meanwhile ``is_tracing`` says ``now``."""
    before, _state.now = is_tracing(), now
    try:
        yield
    finally:
        _state.now = before


def trace(layer: Layer, inputs: Any, training: bool) -> Graph:
    """The graph of ``layer.call(*inputs, training)``, from the symbolic tensors in ``inputs``, a tuple.

    Raises TypeError where ``call`` needs numbers, the layer has weights that are none of its parts', or it
    returns something else than tensors that follow from
    these; ValueError where it calls a layer whose weights are not among those of ``layer``.
    """
    _refuse_own_weights(layer)
    with tracing(True):
        result = layer.compose(*inputs, training=training)
    where = f"{layer}: call()"
    if not holds_symbolic(result) or not all(isinstance(t, SymbolicTensor) for t in structure.leaves(result)):
        raise TypeError(
            f"{where} must return the tensors that its layers return; got {result!r}. A layer that computes "
            "numbers itself brings its own backward(dy)"
        )
    given = {id(tensor) for tensor in structure.leaves(list(inputs))}
    if any(id(tensor) in given for tensor in structure.leaves(result)):
        from fastconv.layers.identity import Identity

        result = structure.mapped(lambda t: Identity()(t) if id(t) in given else t, result)
    single = inputs[0] if len(inputs) == 1 else list(inputs)
    graph = Graph(single, result, owner=where)
    _check_weights(graph, layer)
    return graph


def _refuse_own_weights(layer: Layer) -> None:
    """Untraceable for weights that no layer inside has: their numbers would be fixed by the trace."""
    inside = {id(weight) for part in layer.parts() for weight in part.weights}
    own = [weight.name for weight in layer._weights if id(weight) not in inside]
    if own:
        raise Untraceable(
            f"It has weights of its own, {', '.join(own)}, and layers inside: such a layer needs its own "
            "backward(dy), or put the weights into a layer of their own, with call and backward"
        )


def _check_weights(graph: Graph, layer: Layer) -> None:
    """ValueError for weights that nobody would train or save, and that each trace would make anew."""
    own = {id(weight) for weight in layer.weights}
    for part in graph.layers:
        if any(id(weight) not in own for weight in part.weights):
            raise ValueError(
                f"{layer}: call() calls {part}, which has weights and is no part of it: they would be "
                "neither trained nor saved. Make it in __init__, and keep it as an attribute: "
                f"self.layer = {type(part).__name__}(...)"
            )
