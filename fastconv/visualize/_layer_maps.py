"""The outputs of layers for one image: which of them to show, and as what tiles."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from fastconv.layers._arguments import whole
from fastconv.models.model import Model
from fastconv.parameter import Array
from fastconv.visualize._figure import enlarged, first_of, mosaic, scaled, show_image
from fastconv.visualize._layers import (
    LayerLike,
    describe,
    find_layer,
    layer_paths,
    shows_nothing_new,
)
from fastconv.visualize.extract_features import extract_features

SQUARE = 8  # pixels from one unit to the next


class Maps(NamedTuple):
    """What one layer makes of an image.

    title     "C1 · Conv2D, relu"
    tiles     (maps, H, W) of a layer of feature maps, (units, 1, 1) of others
    number    how many there are, tiles being the first of them
    """

    title: str
    tiles: Array
    number: int

    @property
    def are_units(self) -> bool:
        return self.tiles.shape[1:] == (1, 1)

    @property
    def how_many(self) -> str:
        """``16 feature maps of 10×10``."""
        _, h, w = self.tiles.shape
        if self.are_units:
            return first_of(len(self.tiles), self.number, "unit")
        return f"{first_of(len(self.tiles), self.number, 'feature map')} of {h}×{w}"


def maps_of(
    model: Model, image: Array, layers: Iterable[LayerLike] | LayerLike | None, max_maps: int, scale: str
) -> list[Maps]:
    """What the layers make of ``image`` (1, H, W, C); by default all that change the picture."""
    paths = layer_paths(model)
    if layers is None:
        chosen = [path for path, layer in paths.items() if not shows_nothing_new(layer)]
        chosen = [path for path in chosen if not isinstance(paths[path], Model)]
    elif isinstance(layers, Iterable) and not isinstance(layers, str):
        chosen = [find_layer(model, which) for which in layers]
    else:
        chosen = [find_layer(model, layers)]
    outputs = extract_features(model, chosen, image)
    max_maps = whole(max_maps, "max_maps")
    found = []
    for path in chosen:
        output = outputs[path][0]
        if output.ndim == 3 and output.shape[:2] != (1, 1):
            tiles, number = scaled(output.transpose(2, 0, 1)[:max_maps], scale), output.shape[-1]
        else:  # units are too small to be spared, or scaled each
            tiles, number = output.reshape(-1, 1, 1), output.size
        found.append(Maps(describe(path, paths[path]), tiles, number))
    return found


def squares(units: Array, columns: int) -> Array:
    """Units (n, 1, 1) in rows of ``columns``, as one image of squares with lines between."""
    return mosaic(enlarged(units, SQUARE - 1), columns)


def show_input(axes: Any, image: Array) -> None:
    """Draw the image (H, W, C) that went in: as it is, or its channels side by side where not 1 or 3."""
    axes.set_anchor("W")
    if image.shape[-1] in (1, 3):
        show_image(axes, image)
    else:
        show_image(axes, mosaic(image.transpose(2, 0, 1), image.shape[-1]))


def probabilities(model: Model, image: Array) -> Any:
    """The model's probability for each class (classes,); None where it does not end in a softmax."""
    if model.output_activation != "softmax" or len(model.output_shape) != 2:
        return None
    return model.predict_on_batch(image)[0]
