"""The same architecture once more, with weights of its own."""

from __future__ import annotations

from collections.abc import Callable

from fastconv._errors import unsupported_argument
from fastconv._registry import copying
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

    Where ``model`` is built or compiled, so is the clone; its optimizer begins anew. A subclass of Sequential
    is called as Sequential is, with the layers and ``name``. To copy the weights as well:
    ``clone.set_weights(model.get_weights())``.

    Parameters
    ----------
    clone_function : makes the new layer for each old one, ``type(layer).from_config(layer.get_config())``
        where None. It may return another kind of layer, or the old one, which is then shared
    recursive : True uses ``clone_function`` on the layers of models inside the model too, rather than on
        these models as a whole
    input_tensors, call_function : for Keras' functional models alone: errors

    Raises TypeError where ``model`` is no Sequential model or ``clone_function`` does not return a layer.
    """
    if input_tensors is not None:
        raise unsupported_argument("clone_model", "input_tensors")
    if call_function is not None:
        raise unsupported_argument("clone_model", "call_function")
    if not isinstance(model, Model) or not (isinstance(model, Sequential) or model._graph is not None):
        raise TypeError(
            f"clone_model clones Sequential models and Model(inputs, outputs), got {model!r}; make another "
            "one with its "
            "class, and copy the weights with set_weights"
        )

    def clone(layer: Layer) -> Layer:
        if isinstance(layer, Model) and (recursive or clone_function is None):
            return clone_model(layer, clone_function=clone_function, recursive=recursive)
        if clone_function is None or layer.is_input:
            return type(layer).from_config(layer.get_config())
        new = clone_function(layer)
        if not isinstance(new, Layer):
            raise TypeError(f"clone_function must return a layer; for {layer} it returned {new!r}")
        return new

    with copying():
        cloned: Model
        if isinstance(model, Sequential):
            cloned = type(model)([clone(layer) for layer in model.layers], name=model.name)
            cloned.requested_input_shape = model.requested_input_shape
            if model._input_shape is not None and not cloned.built:
                cloned.build(model._input_shape)
        else:
            graph = model.graph.rebuilt(clone, owner=f"the clone of {model}")
            cloned = Model(graph.inputs, graph.outputs, name=model.name)
        cloned._trainable = model.trainable
        if model.compiled:
            cloned.compile_from_config(model.get_compile_config())
    return cloned
