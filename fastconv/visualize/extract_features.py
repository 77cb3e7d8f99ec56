"""What layers inside a model put out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastconv.graph.ports import each, length, listed, taken
from fastconv.layers._arguments import whole
from fastconv.layers.layer import Layer
from fastconv.models.model import Model
from fastconv.models.tapping import inferred
from fastconv.ops._door import array as floats
from fastconv.parameter import Array
from fastconv.visualize._layers import LayerLike, check_model, find_layer, layer_paths, schedule_of


def extract_features(
    model: Model,
    layers: LayerLike | Iterable[LayerLike] | None,
    x: ArrayLike,
    batch_size: int = 32,
) -> Any:
    """The outputs of some layers for the examples x (N, ...), as in ``predict``: dropout is off, and so on.

    Of a layer that is called several times it is the output of its first call; of one that has several
    outputs, a list.

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
    paths = layer_paths(model)
    asked: Any = [layers] if one else paths if layers is None else layers
    if not isinstance(asked, Iterable):
        raise TypeError(f"layers must be a layer, several in a list, or None for all; got {layers!r}")
    wanted: dict[str, str] = {}  # {what the user will look for: path}
    for which in asked:
        path = find_layer(model, which)
        wanted[which if isinstance(which, str) else path] = path
    inputs = each(model._inputs(x), lambda array: floats(array, f"the input of {model}"))
    batch_size = whole(batch_size, "batch_size")
    schedule = schedule_of(model)
    made = {path: schedule.find(paths[path])[1] for path in wanted.values()}
    wanted_numbers = [*dict.fromkeys(number for numbers in made.values() for number in numbers)]
    pieces: dict[int, list[Array]] = {number: [] for number in wanted_numbers}
    with model._turns.lock:
        for start in range(0, max(length(inputs), 1), batch_size):
            batch = taken(inputs, slice(start, start + batch_size))
            outputs = inferred(model, schedule, listed(batch), wanted_numbers)
            for number, output in zip(wanted_numbers, outputs, strict=True):
                pieces[number].append(output)

    def whole_of(path: str) -> Any:
        arrays = [np.concatenate(pieces[number]) for number in made[path]]
        return arrays[0] if len(arrays) == 1 else arrays

    found = {name: whole_of(path) for name, path in wanted.items()}
    return next(iter(found.values())) if one else found
