"""The U-Net: an image in, a map of classes of the same size out.

O. Ronneberger, P. Fischer, T. Brox, "U-Net: Convolutional Networks for Biomedical Image Segmentation", MICCAI
2015, figure 1.
"""

from __future__ import annotations

from typing import Any

from fastconv.applications._pretrained import WeightsLike, with_weights
from fastconv.graph import SymbolicTensor
from fastconv.layers import Concatenate, Conv2D, Conv2DTranspose, Input, MaxPooling2D
from fastconv.layers._arguments import whole
from fastconv.models import Model


def UNet(
    input_shape: tuple[int, int, int] = (64, 64, 1),
    classes: int = 1,
    weights: WeightsLike = None,
    name: str | None = "unet",
    *,
    filters: int = 8,
    depth: int = 3,
) -> Model:
    """A small U-Net, by default of 120,681 parameters, for images (H, W, C) with values in [0, 1].

    ============  ==========  ==============================================================================
    layers        output      what
    ============  ==========  ==============================================================================
    down1         64×64×8     8 filters 3×3, twice
    down2         32×32×16    maximum of 2×2; 16 filters, twice
    down3         16×16×32    maximum of 2×2; 32 filters, twice
    bottom        8×8×64      maximum of 2×2; 64 filters, twice
    up3           16×16×32    transposed convolution, 32 filters 2×2; beside them down3; 32 filters 3×3, twice
    up2           32×32×16    the same with 16 filters and down2
    up1           64×64×8     the same with 8 filters and down1
    output        64×64×1     filters 1×1; for each pixel the probability of the class
    ============  ==========  ==============================================================================

    Unlike the paper's, whose maps lose their borders, convolutions are padded: the output has the size of the
    input. The paper's filters are 64, its depth 4, its classes 2.

    Parameters
    ----------
    classes : 1 for a sigmoid, whose loss is "binary_crossentropy"; more for a softmax over the classes of
        each pixel
    filters : of the first convolutions; they double with each level
    depth : how often maps are halved; height and width must be multiples of 2**depth

    Raises ValueError where height or width is not.
    """
    filters, depth = whole(filters, "UNet: filters"), whole(depth, "UNet: depth")
    multiple = 2**depth
    if any(size is not None and size % multiple for size in input_shape[:2]):
        raise ValueError(
            f"UNet: height and width must be multiples of {multiple}, for depth={depth} halves them; "
            f"got input_shape={tuple(input_shape)}. Pad the images, or choose a smaller depth"
        )
    x = inputs = Input(input_shape)
    skips = []
    for level in range(depth):
        x = _twice(x, filters << level, f"down{level + 1}")
        skips.append(x)
        x = MaxPooling2D(2, name=f"down{level + 1}_pool")(x)
    x = _twice(x, filters << depth, "bottom")
    for level in reversed(range(depth)):
        place = f"up{level + 1}"
        x = Conv2DTranspose(filters << level, 2, 2, kernel_initializer="he_normal", name=f"{place}_enlarge")(
            x
        )
        x = Concatenate(name=f"{place}_skip")([skips[level], x])
        x = _twice(x, filters << level, place)
    activation = "sigmoid" if classes == 1 else "softmax"
    outputs = Conv2D(classes, 1, activation=activation, name="output")(x)
    return with_weights(Model(inputs, outputs, name=name), "unet", weights)


def _twice(x: SymbolicTensor, filters: int, place: str) -> Any:
    for number in (1, 2):
        how: dict[str, Any] = {"padding": "same", "activation": "relu", "kernel_initializer": "he_normal"}
        x = Conv2D(filters, 3, name=f"{place}_conv{number}", **how)(x)
    return x
