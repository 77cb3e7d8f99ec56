"""A plain stack of 3×3 convolutions with batch normalisation: above 90% of CIFAR-10 in minutes on two cores.

No new idea is in it. 3×3 filters that double in number as the maps shrink: K. Simonyan, A. Zisserman, "Very
Deep Convolutional Networks for Large-Scale Image Recognition", 2014, section 2. Batch normalisation after
every convolution: S. Ioffe, C. Szegedy, "Batch Normalization", 2015, section 3. Global pooling before one
dense layer, in place of several large ones: M. Lin, Q. Chen, S. Yan, "Network In Network", 2013, section 3.2.
"""

from __future__ import annotations

from fastconv.applications._pretrained import WeightsLike, with_weights
from fastconv.layers import (
    BatchNormalization,
    Conv2D,
    Dense,
    Dropout,
    GlobalMaxPooling2D,
    Input,
    Layer,
    MaxPooling2D,
    ReLU,
)
from fastconv.models import Sequential


def Cifar10CNN(
    input_shape: tuple[int, int, int] = (32, 32, 3),
    classes: int = 10,
    weights: WeightsLike = None,
    name: str | None = "cifar10_cnn",
) -> Sequential:
    """A convolutional network of 1,722,096 parameters for images (H, W, C) with values in [0, 1].

    ==========  ===========  ==============================================  ==========
    block       output       what                                            parameters
    ==========  ===========  ==============================================  ==========
    input       32×32×3      each channel to mean 0 and variance 1                    6
    block 1     32×32×32     32 filters 3×3                                         992
    block 2     16×16×64     64 filters 3×3, maximum of 2×2                      18,688
    block 3     16×16×128    128 filters 3×3                                     74,240
    block 4     8×8×128      128 filters 3×3, maximum of 2×2                    147,968
    block 5     8×8×256      256 filters 3×3                                    295,936
    block 6     4×4×256      256 filters 3×3, maximum of 2×2                    590,848
    block 7     4×4×256      256 filters 3×3                                    590,848
    features    256          the maximum of each map, a few switched off
    output      10           softmax: a probability per class                     2,570
    ==========  ===========  ==============================================  ==========

    A block is a convolution without bias, the pooling if it has one, batch normalisation and ReLU: what comes
    after a pooling has four times less to do.
    """
    model = Sequential(
        [
            Input(input_shape),
            BatchNormalization(center=False, scale=False, name="standardize"),
            *_block(32, "block1"),
            *_block(64, "block2", pool=True),
            *_block(128, "block3"),
            *_block(128, "block4", pool=True),
            *_block(256, "block5"),
            *_block(256, "block6", pool=True),
            *_block(256, "block7"),
            GlobalMaxPooling2D(name="features"),
            Dropout(0.2, name="dropout"),
            Dense(classes, activation="softmax", name="output"),
        ],
        name=name,
    )
    return with_weights(model, "cifar10_cnn", weights)


def _block(filters: int, name: str, pool: bool = False) -> list[Layer]:
    return [
        Conv2D(
            filters, 3, padding="same", use_bias=False, kernel_initializer="he_normal", name=f"{name}_conv"
        ),
        *([MaxPooling2D(2, name=f"{name}_pool")] if pool else []),
        BatchNormalization(momentum=0.9, name=f"{name}_norm"),
        ReLU(name=f"{name}_relu"),
    ]
