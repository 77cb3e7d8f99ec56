"""The receptive field: which pixels of the image one unit of a network sees.

A window of k taps that moves s at a time, over units that see r pixels and lie j pixels apart, makes units
with

    r_l = r_{l-1} + (k - 1) d j_{l-1}        (d: dilation)
    j_l = j_{l-1} s

beginning with r = j = 1, a pixel. Hubel & Wiesel (1959) found it in cats: a cell of the visual cortex answers
to a small part of what the eye sees, and its neighbour to the part beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from fastconv._errors import unknown_name
from fastconv._geometry import Axis, Pair, Window, image_size
from fastconv.layers.layer import Layer


@dataclass(frozen=True)
class ReceptiveField:
    """What the units of one layer see of the model's input, in pixels, (vertical, horizontal).

    size      how much one unit sees, were the image without end
    stride    how far apart the fields of two neighbours lie
    offset    the first row and column that unit (0, 0) sees: negative where that is in the padding

    ``image`` is the (H, W) of the input, ``map_size`` that of the layer's output. The outputs of a layer that
    has no map, such as ``Dense``, count as one unit (0, 0), which sees what they see together.
    """

    size: Pair
    stride: Pair
    offset: Pair
    image: Pair
    map_size: Pair
    _windows: tuple[Window, ...] = field(default=(), repr=False)

    def box(self, i: int = 0, j: int = 0) -> tuple[int, int, int, int]:
        """(top, left, bottom, right) of what unit (i, j) sees: ``image[top:bottom, left:right]``.

        It ends where the image ends. Where dilation or long strides leave gaps it is the smallest box around
        the pixels.
        """
        for place, count, axis in ((i, self.map_size[0], "rows"), (j, self.map_size[1], "columns")):
            if not 0 <= place < count:
                raise IndexError(f"the layer has {count} {axis} of units, from 0; got {place}")
        rows, columns = _seen(self._windows, 0, self.image[0], i), _seen(self._windows, 1, self.image[1], j)
        return rows.start, columns.start, rows.stop, columns.stop


def receptive_field(model: Any, layer: Layer | str) -> ReceptiveField:
    """What one unit of a layer sees of the input of a built model of images.

    ``layer`` is one of the model's, or of the models inside it, or the name of one. Random layers are taken
    at rest, as in ``predict``. Raises ValueError where there is no image, or where a layer on the way cannot
    tell which pixels it combines (``Resizing``).

    >>> receptive_field(model, "conv2d_2").size
    (14, 14)
    """
    input_shape, _ = model.shapes()
    image = image_size(input_shape)
    if image is None:
        raise ValueError(f"{model} has inputs {input_shape}; only images (H, W, C) have receptive fields")
    found, path = _find(model, layer)
    return field_through([window for step in path for window in step.windows()], image, found)


def field_through(windows: Iterable[Window], image: Pair, layer: Layer) -> ReceptiveField:
    """The field of ``layer``, whose units see an image of this size through ``windows``."""
    windows = tuple(windows)
    _, output_shape = layer.shapes()
    map_size = windows[-1].output_size if windows else image
    fields = [_along(windows, axis) for axis in (0, 1)]
    if image_size(output_shape) is None:  # no map: what all of it sees together
        seen = [_seen(windows, axis, image[axis], 0) for axis in (0, 1)]
        fields = [(len(pixels), len(pixels), pixels.start) for pixels in seen]
    size, stride, offset = zip(*fields, strict=True)
    return ReceptiveField(size, stride, offset, image, map_size, windows)


def paths(model: Any, below: tuple[Layer, ...] = ()) -> Iterator[tuple[Layer, tuple[Layer, ...]]]:
    """Each layer of a model, and of the models inside it, with the layers from the input up to it."""
    for layer in model.layers:
        yield layer, (*below, layer)
        if hasattr(layer, "layers"):
            yield from paths(layer, below)
        below = (*below, layer)


def _find(model: Any, wanted: Layer | str) -> tuple[Layer, tuple[Layer, ...]]:
    for layer, path in paths(model):
        if layer is wanted or layer.name == wanted:
            return layer, path
    if isinstance(wanted, Layer):
        raise ValueError(f"{wanted} is not in {model}")
    raise unknown_name("layer", wanted, [layer.name for layer, _ in paths(model)])


def _axis(window: Window, axis: int) -> tuple[Axis, int, int, int]:
    """(axis, taps, stride, dilation)"""
    edges = window.rows if axis == 0 else window.columns
    return edges, window.size[axis], window.strides[axis], window.dilation[axis]


def _along(windows: tuple[Window, ...], axis: int) -> tuple[int, int, int]:
    """(size, stride, offset) along one axis: the two equations."""
    size, stride, offset = 1, 1, 0
    for window in windows:
        edges, taps, step, dilation = _axis(window, axis)
        size += (taps - 1) * dilation * stride
        offset -= edges.before * stride
        stride *= step
    return size, stride, offset


def _seen(windows: tuple[Window, ...], axis: int, pixels: int, unit: int) -> range:
    """The first to the last pixel along one axis that reach the unit: down from window to window."""
    lengths = [pixels, *(_axis(window, axis)[0].output for window in windows)]
    places = {unit}
    for window, length in zip(reversed(windows), reversed(lengths[:-1]), strict=True):
        edges, taps, step, dilation = _axis(window, axis)
        starts = (place * step - edges.before for place in places)
        places = {start + tap * dilation for start in starts for tap in range(taps)} & set(range(length))
    return range(min(places), max(places) + 1) if places else range(0)
