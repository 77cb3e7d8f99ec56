"""The receptive field: which pixels of the image one unit of a network sees.

A window of k taps that moves s at a time, over units that see r pixels and lie j pixels apart, makes units
with

    r_l = r_{l-1} + (k - 1) d j_{l-1}        (d: dilation)
    j_l = j_{l-1} s

beginning with r = j = 1, a pixel. Where feature maps are added or put behind one another, a unit sees what it
sees through any of them. Hubel & Wiesel (1959) found it in cats: a cell of the visual cortex answers to a
small part of what the eye sees, and its neighbour to the part beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

from fastconv._core.geometry import Axis, Pair, Window, image_size
from fastconv.graph.schedule import Call, Schedule
from fastconv.layers.layer import Layer
from fastconv.layers.spatial import Spatial


class _Step(NamedTuple):
    """One layer on the way from the image: the numbers of the tensors it reads and makes, and through which
    windows."""

    reads: tuple[int, ...]
    makes: int
    windows: tuple[Window, ...]


@dataclass(frozen=True)
class ReceptiveField:
    """What the units of one layer see of the model's input, in pixels, (vertical, horizontal).

    size      how much one unit sees, were the image without end
    stride    how far apart the fields of two neighbours lie
    offset    the first row and column that unit (0, 0) sees: negative where that is in the padding

    ``image`` is the (H, W) of the input, ``map_size`` that of the layer's output. The outputs of a layer that
    has no feature map, such as ``Dense``, count as one unit (0, 0), which sees what they see together.
    """

    size: Pair
    stride: Pair
    offset: Pair
    image: Pair
    map_size: Pair
    _steps: tuple[_Step, ...] = field(default=(), repr=False)
    _from: int = field(default=0, repr=False)
    _to: int = field(default=0, repr=False)

    def box(self, i: int = 0, j: int = 0) -> tuple[int, int, int, int]:
        """(top, left, bottom, right) of what unit (i, j) sees: ``image[top:bottom, left:right]``.

        It ends where the image ends. Where dilation or long strides leave gaps it is the smallest box around
        the pixels.
        """
        for place, count, axis in ((i, self.map_size[0], "rows"), (j, self.map_size[1], "columns")):
            if not 0 <= place < count:
                raise IndexError(f"the layer has {count} {axis} of units, from 0; got {place}")
        rows, columns = (
            _seen(self._steps, axis, self.image[axis], place, self._from, self._to)
            for axis, place in enumerate((i, j))
        )
        return rows.start, columns.start, rows.stop, columns.stop


def receptive_field(model: Any, layer: Layer | str) -> ReceptiveField:
    """What one unit of a layer sees of the input of a built model of images.

    ``layer`` is one of the model's, or of the models inside it, or the name of one. Random layers are taken
    at rest, as in ``predict``; of a layer that is called several times the first call counts. Raises
    ValueError where there is no image or more than one, where a layer on the way looks along a sequence, or
    where it cannot tell which pixels it combines: ``Resizing``, and layers that add feature maps whose units
    lie differently far apart.

    >>> receptive_field(model, "conv2d_2").size
    (14, 14)
    """
    model.shapes()
    schedule: Schedule | None = model.schedule(False)
    if schedule is None:
        raise ValueError(
            f"{model} computes by a call of its own: which pixels its outputs see cannot be told"
        )
    begin, image = _image(model, schedule)
    found, made = schedule.find(layer)
    calls = _calls_between(schedule, begin, made[0])
    steps: list[_Step] = []
    fields: dict[int, tuple[_Along, _Along]] = {begin: (_PIXEL, _PIXEL)}
    sizes: dict[int, Pair] = {begin: image}
    for call in calls:
        if isinstance(call.layer, Spatial) and call.layer.rank == 1:
            raise ValueError(
                f"{call.layer} looks along a sequence; only units of images have receptive fields"
            )
        with call.layer.at(call.node):
            step = _Step(tuple(n for n in call.inputs if n in fields), call.outputs[0], call.layer.windows())
        read = {sizes[number] for number in step.reads}
        if len(read) > 1:
            raise ValueError(f"{call.layer} combines feature maps of the sizes {sorted(read)}")
        for number in call.outputs:
            own = step._replace(makes=number)
            steps.append(own)
            fields[number] = _both(
                _through(call, own, [fields[n][axis] for n in own.reads], axis) for axis in (0, 1)
            )
            sizes[number] = step.windows[-1].output_size if step.windows else read.pop() if read else image
    if made[0] not in fields:
        raise ValueError(f"{found} does not depend on the image that {model} is given")
    along = fields[made[0]]
    if image_size(_output_shape(schedule, made[0], model)) is None:  # no feature map: all of it together
        seen = [_seen(steps, axis, image[axis], 0, begin, made[0]) for axis in (0, 1)]
        along = _both(_Along(len(pixels), len(pixels), pixels.start) for pixels in seen)
    size, stride, offset = zip(*along, strict=True)
    return ReceptiveField(size, stride, offset, image, sizes[made[0]], tuple(steps), begin, made[0])


class _Along(NamedTuple):
    """The field along one axis."""

    size: int
    stride: int
    offset: int


def _both(along: Iterable[_Along]) -> tuple[_Along, _Along]:
    rows, columns = along
    return rows, columns


_PIXEL = _Along(1, 1, 0)


def _image(model: Any, schedule: Schedule) -> tuple[int, Pair]:
    """The number of the input that is an image, and its size."""
    shapes = [tensor.shape[1:] for tensor in schedule.graph.input_list]
    images = [
        (number, image_size(cast(Any, shape))) for number, shape in zip(schedule.inputs, shapes, strict=True)
    ]
    found = [(number, size) for number, size in images if size is not None]
    if not found:
        raise ValueError(
            f"{model} has inputs {', '.join(map(str, shapes))}; only images (H, W, C) have receptive fields"
        )
    if len(found) > 1:
        raise ValueError(
            f"{model} has {len(found)} images as inputs: ask a Model that begins with one of them"
        )
    return found[0]


def _calls_between(schedule: Schedule, begin: int, end: int) -> list[Call]:
    """The calls on all ways from the image to a tensor."""
    wanted, needed = {end}, []
    for call in reversed(schedule.calls):
        if wanted & set(call.outputs):
            wanted |= set(call.inputs)
            needed.append(call)
    reached, between = {begin}, []
    for call in reversed(needed):
        if reached & set(call.inputs):
            reached |= set(call.outputs)
            between.append(call)
    return between


def _output_shape(schedule: Schedule, number: int, model: Any) -> Any:
    for call in schedule.calls:
        if number in call.outputs:
            return call.node.outputs[call.outputs.index(number)].shape[1:]
    return model.shapes()[0]


def _axis(window: Window, axis: int) -> tuple[Axis, int, int, int]:
    """(axis, taps, stride, dilation)"""
    edges = window.rows if axis == 0 else window.columns
    return edges, window.size[axis], window.strides[axis], window.dilation[axis]


def _through(call: Call, step: _Step, below: Sequence[_Along], axis: int) -> _Along:
    """The field along one axis, from those of what the layer reads: the two equations, and the union."""
    strides = {one.stride for one in below}
    if len(strides) > 1:
        raise ValueError(
            f"{call.layer} combines feature maps whose units lie {sorted(strides)} pixels apart: which "
            "pixels an output "
            "sees depends on its place"
        )
    offset = min(one.offset for one in below)
    size, stride = max(one.offset + one.size for one in below) - offset, strides.pop()
    for window in step.windows:
        edges, taps, pace, dilation = _axis(window, axis)
        size += (taps - 1) * dilation * stride
        offset -= edges.before * stride
        stride *= pace
    return _Along(size, stride, offset)


def _seen(steps: Sequence[_Step], axis: int, pixels: int, unit: int, begin: int, end: int) -> range:
    """The first to the last pixel along one axis that reach the unit: down from layer to layer."""
    lengths = {begin: pixels}
    for step in steps:
        below = lengths[step.reads[0]]
        lengths[step.makes] = _axis(step.windows[-1], axis)[0].output if step.windows else below
    places: dict[int, set[int]] = {end: {unit}}
    for step in reversed(steps):
        reached = places.pop(step.makes, set())
        below = lengths[step.reads[0]]
        inner = [below, *(_axis(window, axis)[0].output for window in step.windows)]
        for window, length in zip(reversed(step.windows), reversed(inner[:-1]), strict=True):
            edges, taps, pace, dilation = _axis(window, axis)
            starts = (place * pace - edges.before for place in reached)
            reached = {start + tap * dilation for start in starts for tap in range(taps)} & set(range(length))
        for number in step.reads:
            places[number] = places.get(number, set()) | reached
    found = places.get(begin, set())
    return range(min(found), max(found) + 1) if found else range(0)
