"""LeNet-5 in the form taught today: plain average pooling, ReLU, softmax.

Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-Based Learning Applied to Document Recognition",
Proceedings of the IEEE 86(11), 1998, section II-B, is where the sizes of the layers come from.
"""

from __future__ import annotations

from fastconv.applications._pretrained import WeightsLike, with_weights
from fastconv.layers import AveragePooling2D, Conv2D, Dense, Flatten, Input
from fastconv.models import Sequential


def LeNet5(
    input_shape: tuple[int, int, int] = (28, 28, 1),
    classes: int = 10,
    weights: WeightsLike = None,
    name: str | None = "lenet5",
) -> Sequential:
    """A convolutional network of 61,706 parameters for images (H, W, C) with values in [0, 1].

    =======  ==================  ========================================  ==========
    layer    output              what                                      parameters
    =======  ==================  ========================================  ==========
    C1       28×28×6             6 filters 5×5                                    156
    S2       14×14×6             mean of 2×2
    C3       10×10×16            16 filters 5×5 over all 6 maps                 2,416
    S4       5×5×16              mean of 2×2
    C5       120                 every unit sees all of S4                     48,120
    F6       84                                                                10,164
    output   10                  softmax: a probability per class                 850
    =======  ==================  ========================================  ==========

    The paper's input is 32×32, a 28×28 digit with a border of two pixels; images smaller than 32×32 get that
    border from C1's zero padding, so that C1 is 28×28 either way.
    """
    padding = "same" if min(input_shape[:2]) < 32 else "valid"
    model = Sequential(
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
    return with_weights(model, "lenet5_modern", weights)
