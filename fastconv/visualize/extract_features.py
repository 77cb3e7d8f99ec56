"""What layers inside a model put out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastconv.layers._arguments import whole
from fastconv.layers.layer import Layer
from fastconv.models.sequential import Sequential
from fastconv.ops._door import array as floats
from fastconv.parameter import Array
from fastconv.visualize._layers import LayerLike, check_model, find_layer, layer_paths


def extract_features(
    model: Sequential,
    layers: LayerLike | Iterable[LayerLike] | None,
    x: ArrayLike,
    batch_size: int = 32,
) -> Any:
    """The outputs of some layers for the examples x (N, ...), as in ``predict``: dropout is off, and so on.

    Parameters
    ----------
    layers : a layer by name, place or itself; or several in a list; or None for all. Layers of a model
        inside the model are found by their name too, or by both: "block/conv1"
    batch_size : so many examples at a time

    Returns one array (N, ...) for one layer, {name: array} for several or all of them. A dictionary's names
    are those asked for, else the layers' paths.

    Raises ValueError for an unknown layer, a model without layers, or x of a shape the model does not take.

    >>> features = extract_features(model, "C5", images)  # (N, 120), to train another classifier on
    >>> maps = extract_features(model, ["C1", "C3"], images)["C1"]  # (N, 28, 28, 6)
    """
    check_model(model)
    one = isinstance(layers, (str, Layer)) or hasattr(layers, "__index__")
    asked: Any = [layers] if one else layer_paths(model) if layers is None else layers
    if not isinstance(asked, Iterable):
        raise TypeError(f"layers must be a layer, several in a list, or None for all; got {layers!r}")
    wanted: dict[str, str] = {}  # {what the user will look for: path}
    for which in asked:
        path = find_layer(model, which)
        wanted[which if isinstance(which, str) else path] = path
    inputs = floats(x, f"the input of {model}")
    model.check_input(inputs.shape)
    batch_size = whole(batch_size, "batch_size")
    pieces: dict[str, list[Array]] = {path: [] for path in wanted.values()}
    try:
        for start in range(0, max(len(inputs), 1), batch_size):
            _run(model, inputs[start : start + batch_size], pieces)
    finally:
        model.forget()
    found = {name: np.concatenate(pieces[path]) for name, path in wanted.items()}
    return next(iter(found.values())) if one else found


def _run(model: Sequential, x: Array, pieces: dict[str, list[Array]], prefix: str = "") -> Array:
    """Take a batch through the layers one by one, and into the models among them that are asked about."""
    for layer in model.layers:
        path = prefix + layer.name
        asked_about = any(other.startswith(f"{path}/") for other in pieces)
        if isinstance(layer, Sequential) and asked_about:
            x = _run(layer, x, pieces, f"{path}/")
        else:
            x = layer.forward(x, training=False)
        if path in pieces:
            pieces[path].append(x)
    return x
