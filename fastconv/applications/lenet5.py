"""LeNet-5, in the form taught today and as it was in 1998.

Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-Based Learning Applied to Document Recognition",
Proceedings of the IEEE 86(11), 1998, section II-B.
"""

from __future__ import annotations

from fastconv._core.checks import unknown_name
from fastconv.applications._pretrained import WeightsLike, with_weights
from fastconv.applications.lenet5_1998 import lenet5_1998
from fastconv.layers import AveragePooling2D, Conv2D, Dense, Flatten, Input
from fastconv.models import Sequential

VARIANTS = ("modern", "1998")


def LeNet5(
    input_shape: tuple[int, int, int] = (28, 28, 1),
    classes: int = 10,
    weights: WeightsLike = None,
    name: str | None = "lenet5",
    *,
    variant: str = "modern",
) -> Sequential:
    """A convolutional network for images (H, W, C) with values in [0, 1], 0 being the background.

    ``variant="modern"``, as it is taught today, of 61,706 parameters:

    =======  ==================  ========================================  ==========
    layer    output              what                                      parameters
    =======  ==================  ========================================  ==========
    C1       28×28×6             6 filters 5×5, ReLU                              156
    S2       14×14×6             mean of 2×2
    C3       10×10×16            16 filters 5×5 over all 6 maps                 2,416
    S4       5×5×16              mean of 2×2
    C5       120                 every unit sees all of S4                     48,120
    F6       84                                                                10,164
    output   10                  softmax: a probability per class                 850
    =======  ==================  ========================================  ==========

    ``variant="1998"``, the paper's, of 60,000 parameters that learn and 340,908 connections:

    =======  ==================  ========================================  ==========  ===========
    layer    output              what                                      parameters  connections
    =======  ==================  ========================================  ==========  ===========
    range    32×32×1             0 becomes −0.1 and 1 becomes 1.175
    C1       28×28×6             6 filters 5×5, 1.7159·tanh(⅔a)                   156      122,304
    S2       14×14×6             coefficient · sum of 2×2 + bias                   12        5,880
    C3       10×10×16            16 filters 5×5, each over 3 to 6 maps          1,516      151,600
    S4       5×5×16              coefficient · sum of 2×2 + bias                   32        2,000
    C5       120                 120 filters 5×5 over all of S4                48,120       48,120
    F6       84                                                                10,164       10,164
    output   10                  distance from each digit's 7×12 bitmap                        840
    =======  ==================  ========================================  ==========  ===========

    Its outputs are distances, of which the smallest is the answer. It is trained with the loss
    "maximum_a_posteriori", and ``metrics=["accuracy"]`` knows what to look for. Weights and biases start
    evenly between ±2.4 / (number of the unit's inputs).

    The paper's input is 32×32, a 28×28 digit with a border of two pixels. Smaller images get that border:
    from the zero padding of C1 in the modern form, of background in that of 1998.
    """
    if variant not in VARIANTS:
        raise unknown_name("variant of LeNet5", variant, VARIANTS)
    make = lenet5_1998 if variant == "1998" else _modern
    return with_weights(make(input_shape, classes, name), f"lenet5_{variant}", weights)


def _modern(input_shape: tuple[int, int, int], classes: int, name: str | None) -> Sequential:
    padding = "same" if min(input_shape[:2]) < 32 else "valid"
    return Sequential(
        [
            Input(input_shape),
            Conv2D(6, 5, padding=padding, activation="relu", name="C1"),
            AveragePooling2D(2, name="S2"),
            Conv2D(16, 5, activation="relu", name="C3"),
            AveragePooling2D(2, name="S4"),
            Flatten(),
            Dense(120, activation="relu", name="C5"),
            Dense(84, activation="relu", name="F6"),
            Dense(classes, activation="softmax", name="output"),
        ],
        name=name,
    )
