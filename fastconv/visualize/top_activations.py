"""The images that activate each feature map of a layer most, and where in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from fastconv.layers._arguments import whole
from fastconv.models import Model
from fastconv.models.receptive_field import receptive_field
from fastconv.models.tapping import inferred
from fastconv.ops import _door
from fastconv.parameter import Array
from fastconv.visualize._layers import LayerLike, find_layer, layer_paths, schedule_of
from fastconv.visualize._maps import as_maps
from fastconv.visualize._way_back import refuse_nan
from fastconv.visualize._way_up import way_up
from fastconv.visualize.patches import cut_patches


@dataclass(frozen=True)
class TopActivations:
    """For each feature map m of a layer its k-th strongest image, k from 0.

    layer      the layer's name
    values     (maps, count): how strong, falling along the row
    images     (maps, count): which images, as indices into x; each once in a row
    positions  (maps, count, 2): row and column of the unit in its feature map; (0, 0) of a layer of units
    boxes      (maps, count, 4): top, left, bottom, right of what the unit can see, bottom and right excluded;
               in pixels of the image, and beyond it where the unit sees padding
    x          the images
    """

    layer: str
    values: Array
    images: Array
    positions: Array
    boxes: Array
    x: Array

    def patches(self, map: int, fill: float = 0.0) -> Array:
        """(count, h, w, C): what the strongest units of a feature map see; see ``cut_patches``."""
        return cut_patches(self.x[self.images[map]], self.boxes[map], fill)

    def strongest_maps(self, count: int) -> Array:
        """The ``count`` feature maps with the largest mean of ``values``, strongest first."""
        return np.argsort(-self.values.mean(axis=1), kind="stable")[: whole(count, "count")]


def top_activations(
    model: Model, layer: LayerLike, x: ArrayLike, count: int = 9, batch_size: int = 128
) -> TopActivations:
    """For each feature map of ``layer`` the ``count`` images of x with the strongest unit, one unit an image.

    A layer of units, (N, units), has feature maps of one pixel. Of equal activations the first one counts, of
    equal images the one that comes first in x. Fewer images than ``count`` give fewer columns. Only the best
    so far and one batch of ``batch_size`` images are in memory, so that x may be of any length, or a
    memory-mapped file.

    Raises ValueError where the model is not built, has no such layer, x is empty, or there is NaN.

    Zeiler & Fergus 2013, "Visualizing and Understanding Convolutional Networks", section 4, takes the top 9.
    """
    top, images = way_up(model, layer).calls[-1], np.asarray(x)
    count, batch_size = whole(count, "count"), whole(batch_size, "batch_size")
    model.check_input(images.shape)
    if not len(images):
        raise ValueError(f"x is empty: it holds no images, its shape is {images.shape}")
    best: list[Array] = []  # values, images and places (row · W' + column), each (at most count, maps)
    for start in range(0, len(images), batch_size):
        part = _door.array(images[start : start + batch_size], "x")
        (y,) = inferred(model, schedule_of(model), [part], top.outputs)
        refuse_nan(top.layer, y, part, start)
        y = as_maps(y, top.layer)
        best = _best([*best, *_strongest_units(y, start)], count)
    values, numbers, places = (np.ascontiguousarray(array.T) for array in best)
    positions = np.stack(np.divmod(places, y.shape[2]), axis=-1)
    field = receptive_field(model, layer_paths(model)[find_layer(model, layer)])
    corners = positions * field.stride + field.offset
    boxes = np.concatenate([corners, corners + field.size], axis=-1)
    return TopActivations(top.layer.name, values, numbers, positions, boxes, images)


def _strongest_units(y: Array, first: int) -> list[Array]:
    """Of maps (N, H, W, C), each map's strongest: value, image's number from ``first`` on, place."""
    units = y.reshape(len(y), -1, y.shape[3])
    places = units.argmax(axis=1)
    values = np.take_along_axis(units, places[:, None], axis=1)[:, 0]
    numbers = np.broadcast_to(np.arange(first, first + len(y))[:, None], places.shape)
    return [values, numbers, places]


def _best(found: Sequence[Array], count: int) -> list[Array]:
    """The rows with the largest values of each column: of values, numbers, places, and perhaps others."""
    columns = [np.concatenate(found[i::3]) for i in range(3)]
    order = np.argsort(-columns[0], axis=0, kind="stable")[:count]
    return [np.take_along_axis(column, order, axis=0) for column in columns]
