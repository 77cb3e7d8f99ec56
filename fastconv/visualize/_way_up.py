"""The layers of a model one after the other, up to one of them."""

from __future__ import annotations

from fastconv.layers.layer import Layer
from fastconv.models import Sequential
from fastconv.visualize._layers import LayerLike, check_model, find_layer, layer_paths


def layers_up_to(model: Sequential, layer: LayerLike) -> list[Layer]:
    """The layers from the input up to and with ``layer``; models inside the model are taken apart.

    Raises ValueError where the model is not built or has no such layer.
    """
    last = find_layer(model, layer)
    check_built(model)
    paths = layer_paths(model)
    end = max(n for n, path in enumerate(paths, 1) if f"{path}/".startswith(f"{last}/"))
    return [part for part in list(paths.values())[:end] if not isinstance(part, Sequential)]


def check_built(model: Sequential) -> None:
    """Raise ValueError, or TypeError, for a model that has no weights yet to look at."""
    check_model(model)
    if not model.built:
        raise ValueError(
            f"{model} has no weights yet: build it with build(input_shape), or begin it with an Input"
        )
