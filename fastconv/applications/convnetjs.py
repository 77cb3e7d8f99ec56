"""The network of the CIFAR-10 demonstration of ConvNetJS, which learns in the browser while one looks on.

A. Karpathy, ConvNetJS, https://cs.stanford.edu/people/karpathy/convnetjs/demo/cifar10.html.
"""

from __future__ import annotations

from typing import Any

from fastconv.applications._pretrained import WeightsLike, with_weights
from fastconv.initializers import Constant, VarianceScaling
from fastconv.layers import Conv2D, Dense, Flatten, Input, MaxPooling2D, ReLU, Rescaling, Softmax
from fastconv.layers.layer import Layer
from fastconv.models import Sequential
from fastconv.regularizers import RegularizerLike


def ConvNetJSCifar10(
    input_shape: tuple[int, int, int] = (32, 32, 3),
    classes: int = 10,
    weights: WeightsLike = None,
    kernel_regularizer: RegularizerLike | None = None,
    name: str | None = "convnetjs_cifar10",
) -> Sequential:
    """A convolutional network of 12 layers and 22,466 parameters for images (H, W, C) with values in [0, 1].

    =================  ==========  ======================================  ==========
    layers             output      what                                    parameters
    =================  ==========  ======================================  ==========
    input              32×32×3     x − 0.5, so that grey is 0
    conv1 relu1        32×32×16    16 filters 5×5                               1,216
    pool1              16×16×16    maximum of 2×2
    conv2 relu2        16×16×20    20 filters 5×5                               8,020
    pool2              8×8×20      maximum of 2×2
    conv3 relu3        8×8×20      20 filters 5×5                              10,020
    pool3              4×4×20      maximum of 2×2
    fc                 10          every unit sees all of pool3                 3,210
    softmax            10          a probability per class
    =================  ==========  ======================================  ==========

    These are the layers of ``model.layers``, counted as the demonstration counts them, the input among them.
    ``fc`` is a model of two layers, Flatten and Dense.

    Weights start as ConvNetJS' do: normal with variance 1 / fan_in, biases below a rectifier .1, those of
    fc 0. ``weights="cifar10"`` loads trained ones; see ``applications.pretrained_weights``.

    ``kernel_regularizer`` is for all kernels. The demonstration's ``l2_decay: 0.0001`` adds .0001·w to a
    batch's *sum* of gradients before dividing by its 4 images: dloss/dw has .0001/4·w in it. Keras' L2(λ) is
    λ·Σw², whose gradient is 2λ·w, so the same is ``L2(0.0001 / (2 * 4))``.
    """
    normal = VarianceScaling(1.0, "fan_in", "untruncated_normal")
    kernels: dict[str, Any] = {"kernel_initializer": normal, "kernel_regularizer": kernel_regularizer}
    layers: list[Layer] = [Rescaling(1.0, offset=-0.5, name="input")]
    for i, filters in enumerate((16, 20, 20), 1):
        layers += [
            Conv2D(filters, 5, padding="same", bias_initializer=Constant(0.1), name=f"conv{i}", **kernels),
            ReLU(name=f"relu{i}"),
            MaxPooling2D(2, name=f"pool{i}"),
        ]
    fc = Sequential([Flatten(name="flatten"), Dense(classes, name="dense", **kernels)], name="fc")
    model = Sequential([Input(input_shape), *layers, fc, Softmax(name="softmax")], name=name)
    return with_weights(model, "convnetjs_cifar10", weights)
