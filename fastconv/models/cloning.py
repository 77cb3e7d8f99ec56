"""The same architecture once more, with weights of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeGuard

from fastconv._core.checks import unsupported_argument
from fastconv._core.configuration import copying
from fastconv.layers.layer import Layer
from fastconv.models.model import Model
from fastconv.models.sequential import Sequential


def clone_model(
    model: Model,
    input_tensors: None = None,
    clone_function: Callable[[Layer], Layer] | None = None,
    call_function: None = None,
    recursive: bool = False,
) -> Model:
    """A model like ``model``: new layers with the same names and arguments, and freshly initialized weights.

    Where ``model`` is built or compiled, so is the clone; its optimizer begins anew. Layers that are called
    several times, or stand in several models inside, have one clone. A subclass of Sequential is called as
    Sequential is, with the layers and ``name``, one of Model with ``inputs``, ``outputs`` and ``name``; where
    its constructor takes something else the clone is a Model. To copy the weights as well:
    ``clone.set_weights(model.get_weights())``.

    Parameters
    ----------
    clone_function : makes the new layer for each old one, ``type(layer).from_config(layer.get_config())``
        where None. It may return another kind of layer, or the old one, which is then shared
    recursive : True uses ``clone_function`` on the layers of models inside the model too, rather than on
        these models as a whole
    input_tensors, call_function : for Keras' functional models alone: errors

    Raises TypeError where ``model`` is not made of such a graph or ``clone_function`` does not return a
    layer.
    """
    if input_tensors is not None:
        raise unsupported_argument("clone_model", "input_tensors")
    if call_function is not None:
        raise unsupported_argument("clone_model", "call_function")
    if not _is_graph(model):
        raise TypeError(
            f"clone_model clones Sequential models and Model(inputs, outputs), got {model!r}; make another "
            "one with its class, and copy the weights with set_weights"
        )

    clones: dict[int, Layer] = {}

    def clone(layer: Layer) -> Layer:
        if id(layer) not in clones:
            clones[id(layer)] = new_layer(layer)
        return clones[id(layer)]

    def new_layer(layer: Layer) -> Layer:
        if _is_graph(layer) and (recursive or clone_function is None):
            return cloned(layer)
        if clone_function is None or layer.is_input:
            return type(layer).from_config(layer.get_config())
        new = clone_function(layer)
        if not isinstance(new, Layer):
            raise TypeError(f"clone_function must return a layer; for {layer} it returned {new!r}")
        return new

    def cloned(model: Model) -> Model:
        new: Model
        if isinstance(model, Sequential):
            new = type(model)([clone(layer) for layer in model.layers], name=model.name)
            new.requested_input_shape = model.requested_input_shape
            if model._input_shape is not None and not new.built:
                new.build(model._input_shape)
        else:
            graph = model.graph.rebuilt(clone, owner=f"the clone of {model}")
            own_class = type(model) if type(model)._takes_graph() else Model
            new = own_class(graph.inputs, graph.outputs, name=model.name)
        new._trainable = model.trainable
        if model.compiled:
            new.compile_from_config(model.get_compile_config())
        return new

    with copying():
        return cloned(model)


def _is_graph(layer: object) -> TypeGuard[Model]:
    """Whether this is a model made of layers and their calls, rather than by a class of the user's own."""
    return isinstance(layer, Model) and (isinstance(layer, Sequential) or layer._graph is not None)
