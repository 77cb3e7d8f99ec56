"""A network of depthwise separable convolutions that recognises spoken words.

Y. Zhang, N. Suda, L. Lai, V. Chandra, "Hello Edge: Keyword Spotting on Microcontrollers", 2017, section 3.5;
in the form of the benchmark MLPerf Tiny: C. Banbury et al., "MLPerf Tiny Benchmark", NeurIPS 2021,
https://github.com/mlcommons/tiny (keyword spotting).
"""

from __future__ import annotations

from typing import Any

from fastconv.applications._pretrained import WeightsLike, with_weights
from fastconv.graph import SymbolicTensor
from fastconv.layers import (
    AveragePooling2D,
    BatchNormalization,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Dropout,
    Flatten,
    Input,
    ReLU,
)
from fastconv.models import Model
from fastconv.regularizers import L2

FILTERS, PAIRS = 64, 4


def DSCNN(
    input_shape: tuple[int, int, int] = (49, 10, 1),
    classes: int = 12,
    weights: WeightsLike = None,
    name: str | None = "ds_cnn",
) -> Model:
    """MLPerf Tiny's network for keywords, of 24,908 parameters, 23,756 of which learn.

    Its input is a second of sound: 49 moments in time, of each 10 coefficients (MFCC). A convolution of 64
    filters 10×4 with strides of 2 is followed by four pairs: a depthwise convolution 3×3, then a convolution
    1×1. A dense layer with softmax takes the means of the maps. Batch normalisation and ReLU follow each
    convolution, and dropout the first and the last of them. Kernels of convolutions have L2 penalties of
    1e-4.
    """
    inputs = Input(input_shape)
    penalty = L2(1e-4)
    x = Conv2D(FILTERS, (10, 4), 2, padding="same", kernel_regularizer=penalty, name="conv1")(inputs)
    x = Dropout(0.2, name="conv1_dropout")(_activated(x, "conv1"))
    for number in range(1, PAIRS + 1):
        place = f"depthwise{number}"
        x = DepthwiseConv2D(3, padding="same", depthwise_regularizer=penalty, name=place)(x)
        x = _activated(x, place)
        place = f"pointwise{number}"
        x = Conv2D(FILTERS, 1, padding="same", kernel_regularizer=penalty, name=place)(x)
        x = _activated(x, place)
    x = Dropout(0.4, name="dropout")(x)
    height, width, _ = input_shape
    # As in the benchmark: of the 25 rows that 49 leave, 24 count.
    x = AveragePooling2D((max(height // 2, 1), max(width // 2, 1)), name="pool")(x)
    outputs = Dense(classes, activation="softmax", name="output")(Flatten(name="features")(x))
    return with_weights(Model(inputs, outputs, name=name), "ds_cnn", weights)


def _activated(x: SymbolicTensor, place: str) -> Any:
    return ReLU(name=f"{place}_relu")(BatchNormalization(name=f"{place}_norm")(x))
