"""The small network for CIFAR-10 that runs in the browser on the pages of Stanford's course CS231n.

F.-F. Li, A. Karpathy, J. Johnson, "CS231n: Convolutional Neural Networks for Visual Recognition",
https://cs231n.stanford.edu.
"""

from __future__ import annotations

from fastconv.applications._pretrained import WeightsLike, with_weights
from fastconv.layers import Conv2D, Dense, Flatten, Input, MaxPooling2D, ReLU, Softmax
from fastconv.layers.layer import Layer
from fastconv.models import Sequential


def CS231nNet(
    input_shape: tuple[int, int, int] = (32, 32, 3),
    classes: int = 10,
    weights: WeightsLike = None,
    name: str | None = "cs231n",
) -> Sequential:
    """A convolutional network of 17 layers and 6,440 parameters for images (H, W, C) with values in [0, 1].

    =======================  ==========  ====================================  ==========
    layers                   output      what                                  parameters
    =======================  ==========  ====================================  ==========
    conv1 relu1 conv2 relu2  32×32×10    10 filters 3×3, twice                  280 + 910
    pool1                    16×16×10    maximum of 2×2
    conv3 relu3 conv4 relu4  16×16×10    10 filters 3×3, twice                  910 + 910
    pool2                    8×8×10      maximum of 2×2
    conv5 relu5 conv6 relu6  8×8×10      10 filters 3×3, twice                  910 + 910
    pool3                    4×4×10      maximum of 2×2
    fc                       10          every unit sees all of pool3               1,610
    softmax                  10          a probability per class
    =======================  ==========  ====================================  ==========

    Layers are counted as the course counts them, rectifiers and softmax each for itself, so that
    ``model.layers`` are these 17. ``fc`` is a model of two layers, Flatten and Dense, for a fully connected
    layer sees its input without rows and columns.

    ``weights="cifar10"`` loads trained ones; see ``applications.pretrained_weights``. Random ones are normal
    with variance 2 / fan_in (He), those of fc Glorot's.
    """
    layers: list[Layer] = []
    for block in (1, 2, 3):
        for i in (2 * block - 1, 2 * block):
            layers.append(Conv2D(10, 3, padding="same", kernel_initializer="he_normal", name=f"conv{i}"))
            layers.append(ReLU(name=f"relu{i}"))
        layers.append(MaxPooling2D(2, name=f"pool{block}"))
    fc = Sequential([Flatten(name="flatten"), Dense(classes, name="dense")], name="fc")
    model = Sequential([Input(input_shape), *layers, fc, Softmax(name="softmax")], name=name)
    return with_weights(model, "cs231n", weights)
