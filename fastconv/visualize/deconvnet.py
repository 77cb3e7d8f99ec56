"""What in an image has excited a unit: its activation, projected back to the pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from fastconv.layers._arguments import whole
from fastconv.models import Model
from fastconv.ops import _door
from fastconv.parameter import Array
from fastconv.visualize._layers import LayerLike
from fastconv.visualize._maps import as_maps
from fastconv.visualize._per_image import per_image
from fastconv.visualize._way_back import WayBack


def deconvnet(
    model: Model,
    layer: LayerLike,
    x: ArrayLike,
    map: int | ArrayLike | None = None,
    unit: tuple[int, int] | ArrayLike | None = None,
    mode: str = "deconvnet",
    batch_size: int = 32,
) -> Array:
    """One unit of ``layer`` for each image, projected back to the pixels: (N, H, W, C), signed.

    All other units of the layer are set to zero; then max pooling is undone with the switches it left on the
    way forward (average pooling: each gets its share), ReLU rectifies what comes back, and filters are
    applied transposed, layer by layer down to the image. What remains is the pattern that the unit sees in
    this image, and its support lies in the unit's receptive field.

    The signal begins with 1, where Zeiler & Fergus begin with the activation: all that follows keeps the
    ratio, so that only the scale of the picture differs. (A unit that is silent, 0, has nothing to show in
    either.) Without this rectification, ``mode="gradient"``, the very same walk is ∂ unit / ∂ x.

    Parameters
    ----------
    layer : a name, the layer itself, or its place in ``model.layers``; its output is (N, H', W', maps) or
        (N, units), a unit being a feature map of one pixel
    x : images (N, H, W, C), as the model takes them
    map : which feature map, one number or one for each image; None for the one with the strongest unit
    unit : (row, column) in that feature map, once or for each image, (N, 2); None for its strongest unit (the
        first of equal ones)
    mode : what a rectifier y = max(z, 0) does to the signal: "deconvnet" passes what is positive of it;
        "gradient" passes it where z > 0; "guided" passes it where both are positive
    batch_size : how many images go through the network at a time

    Batch normalisation and dropout are as in inference. No gradient of a weight is computed or changed.
    Raises ValueError where the model is not built, the layer, the map or the unit does not exist, there is
    NaN, or a layer is neither linear nor a rectifier, which only ``mode="gradient"`` can pass.

    M. D. Zeiler, R. Fergus, "Visualizing and Understanding Convolutional Networks", 2013 (ECCV 2014),
    section 2.1; "guided": J. T. Springenberg et al., "Striving for Simplicity", 2015, section 3.4.
    """
    way, images = WayBack(model, layer, mode), np.asarray(x)
    model.check_input(images.shape)
    batch_size = whole(batch_size, "batch_size")
    maps, units = per_image(map, "map", (len(images),)), per_image(unit, "unit", (len(images), 2))
    projections = np.empty(images.shape, _door.dtype())
    for start in range(0, len(images), batch_size):
        part = slice(start, start + batch_size)
        y = way.forward(_door.array(images[part], "x"), first=start)
        activations, signal = as_maps(y, way.top), np.zeros_like(y)
        chosen = _choose(
            activations,
            None if maps is None else maps[part],
            None if units is None else units[part],
            str(way.top),
        )
        as_maps(signal, way.top)[chosen] = 1 if mode == "gradient" else activations[chosen] != 0
        projections[part] = way.back(signal)
    return projections


def _choose(y: Array, maps: Array | None, units: Array | None, layer: str) -> tuple[Array, ...]:
    """Indices of one unit for each image of y (N, H, W, C)."""
    N, H, W, C = y.shape
    image = np.arange(N)
    if maps is not None and not ((maps >= 0) & (maps < C)).all():
        raise ValueError(f"{layer} has the feature maps 0 to {C - 1}, got map={maps.tolist()}")
    if units is not None and not ((units >= 0) & (units < (H, W))).all():
        raise ValueError(f"the feature maps of {layer} have {H}x{W} units, got unit={units.tolist()}")
    if maps is None:
        at = y if units is None else y[image, units[:, 0], units[:, 1]]
        maps = at.reshape(N, -1, C).max(axis=1).argmax(axis=1)
    if units is None:
        units = np.stack(np.divmod(y[image, :, :, maps].reshape(N, -1).argmax(axis=1), W), axis=1)
    return image, units[:, 0], units[:, 1], maps
