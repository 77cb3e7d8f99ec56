"""MobileNet, whose convolutions treat each map by itself and then mix the maps.

A. Howard et al., "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications", 2017,
table 1; in the form of the benchmark MLPerf Tiny: C. Banbury et al., "MLPerf Tiny Benchmark", NeurIPS 2021,
https://github.com/mlcommons/tiny (visual wake words).
"""

from __future__ import annotations

from typing import Any

from fastconv.applications._pretrained import WeightsLike, with_weights
from fastconv.graph import SymbolicTensor
from fastconv.layers import (
    BatchNormalization,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    GlobalAveragePooling2D,
    Input,
    ReLU,
)
from fastconv.models import Model
from fastconv.regularizers import L2

# (filters at alpha=1, strides) of each pair of convolutions
PAIRS = (
    (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2),
    (512, 1), (512, 1), (512, 1), (512, 1), (512, 1), (1024, 2), (1024, 1),
)  # fmt: skip


def MobileNetV1(
    input_shape: tuple[int, int, int] = (96, 96, 3),
    classes: int = 2,
    weights: WeightsLike = None,
    name: str | None = "mobilenet_v1",
    *,
    alpha: float = 0.25,
) -> Model:
    """MLPerf Tiny's network for visual wake words, of 221,794 parameters, 216,322 of which learn, for images
    (H, W, C) with values in [0, 1]: is there a person in the picture?

    A convolution of 8 filters 3×3 with strides of 2 is followed by thirteen pairs: a depthwise convolution
    3×3, then a convolution 1×1. Four of the depthwise ones have strides of 2. The maps are 16 after the first
    pair and double with each of these four, up to 256 of 3×3. A dense layer with softmax takes their means.
    Batch normalisation and ReLU follow each convolution. Kernels are He-initialised, with L2 penalties of
    1e-4.

    ``alpha`` multiplies the number of filters: 1 is the paper's network. Raises ValueError where it is not
    above 0.
    """
    if not alpha > 0:
        raise ValueError(f"MobileNetV1: alpha must be above 0, the paper's values are 0.25 to 1; got {alpha}")
    inputs = Input(input_shape)
    x = Conv2D(_filters(32, alpha), 3, 2, padding="same", name="conv1", **_kernels("kernel"))(inputs)
    x = _activated(x, "conv1")
    for number, (filters, strides) in enumerate(PAIRS, 1):
        place = f"depthwise{number}"
        x = DepthwiseConv2D(3, strides, padding="same", name=place, **_kernels("depthwise"))(x)
        x = _activated(x, place)
        place = f"pointwise{number}"
        x = Conv2D(_filters(filters, alpha), 1, padding="same", name=place, **_kernels("kernel"))(x)
        x = _activated(x, place)
    x = GlobalAveragePooling2D(name="features")(x)
    outputs = Dense(classes, activation="softmax", name="output")(x)
    return with_weights(Model(inputs, outputs, name=name), "mobilenet_v1", weights)


def _filters(filters: int, alpha: float) -> int:
    return max(1, int(filters * alpha))


def _kernels(kind: str) -> dict[str, Any]:
    return {f"{kind}_initializer": "he_normal", f"{kind}_regularizer": L2(1e-4)}


def _activated(x: SymbolicTensor, place: str) -> Any:
    return ReLU(name=f"{place}_relu")(BatchNormalization(name=f"{place}_norm")(x))
