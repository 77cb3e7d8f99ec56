"""Residual networks in their form for small images.

K. He, X. Zhang, S. Ren, J. Sun, "Deep Residual Learning for Image Recognition", CVPR 2016, section 4.2. The
one of eight layers is that of the benchmark MLPerf Tiny: C. Banbury et al., "MLPerf Tiny Benchmark", NeurIPS
2021, https://github.com/mlcommons/tiny (image classification).
"""

from __future__ import annotations

from typing import Any

from fastconv._core.checks import unknown_name
from fastconv.applications._pretrained import WeightsLike, with_weights
from fastconv.graph import SymbolicTensor
from fastconv.layers import (
    Add,
    AveragePooling2D,
    BatchNormalization,
    Concatenate,
    Conv2D,
    Dense,
    GlobalAveragePooling2D,
    Input,
    ReLU,
    Rescaling,
)
from fastconv.layers._arguments import whole
from fastconv.models import Model
from fastconv.regularizers import L2, RegularizerLike

FILTERS = (16, 32, 64)  # of the three stacks
SHORTCUTS = ("identity", "projection")


def ResNet(
    depth: int = 20,
    input_shape: tuple[int, int, int] = (32, 32, 3),
    classes: int = 10,
    weights: WeightsLike = None,
    name: str | None = None,
    *,
    shortcut: str = "identity",
    use_bias: bool = False,
    kernel_regularizer: RegularizerLike | None = None,
) -> Model:
    """A residual network of ``depth`` layers for images (H, W, C) with values in [0, 1].

    ==========  ===========  ====================================================================
    layers      output       what
    ==========  ===========  ====================================================================
    conv1       32×32×16     16 filters 3×3
    stack 1     32×32×16     n blocks of two convolutions, 16 filters 3×3 each
    stack 2     16×16×32     n blocks, 32 filters; the first convolution has strides of 2
    stack 3     8×8×64       n blocks, 64 filters; the first convolution has strides of 2
    features    64           mean of each map
    output      10           softmax: a probability per class
    ==========  ===========  ====================================================================

    These are depth = 6n + 2 layers with weights: 8, 14, 20, 32, 44, 56, 110 say. Batch normalisation follows
    each convolution, then ReLU; the second ReLU of a block follows the sum, y = relu(F(x) + x). Depths 20 and
    32 have 269,722 and 464,154 parameters that learn, the paper's 0.27 and 0.46 million.

    Parameters
    ----------
    depth : 6n + 2
    name : "resnet20", say, where None
    shortcut : what x becomes where the size of maps and their number change. "identity" (option A of the
        paper) takes every second pixel and adds maps of zeros, without parameters; "projection" (option B) is
        a convolution 1×1 with strides of 2
    use_bias : whether convolutions have a bias. Batch normalisation subtracts it again, except that of a
        projection
    kernel_regularizer : for all convolutions. The paper's weight decay of 1e-4 is ``L2(5e-5)``, whose
        gradient is 1e-4·w

    Raises ValueError for another depth or shortcut.
    """
    blocks, rest = divmod(whole(depth, "ResNet: depth") - 2, 6)
    if blocks < 1 or rest:
        raise ValueError(f"ResNet: depth must be 6n + 2, such as 8, 14, 20, 32, 44, 56 or 110; got {depth}")
    if shortcut not in SHORTCUTS:
        raise unknown_name("shortcut of ResNet", shortcut, SHORTCUTS)
    how = {
        "padding": "same",
        "use_bias": use_bias,
        "kernel_initializer": "he_normal",
        "kernel_regularizer": kernel_regularizer,
    }
    inputs = Input(input_shape)
    x = _convolution(inputs, FILTERS[0], 1, "", "1", how)
    x = ReLU(name="relu1")(x)
    for stack, filters in enumerate(FILTERS, 1):
        for block in range(1, blocks + 1):
            place = f"stack{stack}_block{block}_"
            strides = 2 if stack > 1 and block == 1 else 1
            y = _convolution(x, filters, strides, place, "1", how)
            y = ReLU(name=f"{place}relu1")(y)
            y = _convolution(y, filters, 1, place, "2", how)
            if strides == 2:
                x = _projection(x, filters, place, how) if shortcut == "projection" else _padded(x, place)
            x = ReLU(name=f"{place}relu2")(Add(name=f"{place}add")([x, y]))
    x = GlobalAveragePooling2D(name="features")(x)
    outputs = Dense(classes, activation="softmax", kernel_initializer="he_normal", name="output")(x)
    network = f"resnet{depth}"
    return with_weights(Model(inputs, outputs, name=name or network), network, weights)


def ResNet8(
    input_shape: tuple[int, int, int] = (32, 32, 3),
    classes: int = 10,
    weights: WeightsLike = None,
    name: str | None = "resnet8",
) -> Model:
    """The residual network of MLPerf Tiny's image classification: ``ResNet(8)`` of 78,666 parameters, 78,186
    of which learn, with projections, biases, and L2 penalties of 1e-4 on the kernels of convolutions.
    """
    options: dict[str, Any] = {"shortcut": "projection", "use_bias": True, "kernel_regularizer": L2(1e-4)}
    return ResNet(8, input_shape, classes, weights, name, **options)


def ResNet20(
    input_shape: tuple[int, int, int] = (32, 32, 3),
    classes: int = 10,
    weights: WeightsLike = None,
    name: str | None = "resnet20",
    *,
    shortcut: str = "identity",
) -> Model:
    """``ResNet(20)`` with the paper's weight decay of 1e-4: 269,722 parameters that learn, 272,282 with
    projections.
    """
    return ResNet(20, input_shape, classes, weights, name, shortcut=shortcut, kernel_regularizer=L2(5e-5))


def ResNet32(
    input_shape: tuple[int, int, int] = (32, 32, 3),
    classes: int = 10,
    weights: WeightsLike = None,
    name: str | None = "resnet32",
    *,
    shortcut: str = "identity",
) -> Model:
    """``ResNet(32)`` with the paper's weight decay of 1e-4: 464,154 parameters that learn, 466,714 with
    projections.
    """
    return ResNet(32, input_shape, classes, weights, name, shortcut=shortcut, kernel_regularizer=L2(5e-5))


def _convolution(
    x: SymbolicTensor, filters: int, strides: int, place: str, number: str, how: dict[str, Any]
) -> Any:
    x = Conv2D(filters, 3, strides, name=f"{place}conv{number}", **how)(x)
    return BatchNormalization(name=f"{place}norm{number}")(x)


def _projection(x: SymbolicTensor, filters: int, place: str, how: dict[str, Any]) -> Any:
    return Conv2D(filters, 1, 2, name=f"{place}projection", **how)(x)


def _padded(x: SymbolicTensor, place: str) -> Any:
    """Every second pixel, and as many maps of zeros as there are maps: each stack has twice as many."""
    x = AveragePooling2D(1, 2, name=f"{place}subsample")(x)
    return Concatenate(name=f"{place}pad")([x, Rescaling(0.0, name=f"{place}zeros")(x)])
