"""The part of a network between the image and one layer."""

from __future__ import annotations

from fastconv.graph import Schedule
from fastconv.models import Model
from fastconv.visualize._layers import (
    LayerLike,
    check_model,
    check_single,
    find_layer,
    layer_paths,
    schedule_of,
)


def way_up(model: Model, layer: LayerLike | None) -> Schedule:
    """The calls from the image to what ``layer`` makes, or to the output where None. Models inside the model
    are taken apart; of a layer that is called several times the first call counts.

    Raises ValueError where the model is not built, takes several inputs or has no such layer.
    """
    path = None if layer is None else find_layer(model, layer)
    check_built(model)
    check_single(model, output=path is None)
    schedule = schedule_of(model)
    if path is None:
        return schedule.part(schedule.outputs)
    _, made = schedule.find(layer_paths(model)[path])
    if len(made) > 1:
        raise ValueError(f"{path!r} has {len(made)} outputs: ask for a layer that has one")
    return schedule.part(made)


def check_built(model: Model) -> None:
    """Raise ValueError, or TypeError, for a model that has no weights yet to look at."""
    check_model(model)
    if not model.built:
        raise ValueError(
            f"{model} has no weights yet: build it with build(input_shape), or begin it with an Input"
        )
