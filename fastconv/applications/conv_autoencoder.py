"""A convolutional autoencoder: an image through a narrow place and back.

J. Masci, U. Meier, D. Cireșan, J. Schmidhuber, "Stacked Convolutional Auto-Encoders for Hierarchical Feature
Extraction", ICANN 2011; in the form of Keras' example that removes noise from digits,
https://keras.io/examples/vision/autoencoder.
"""

from __future__ import annotations

from fastconv.applications._pretrained import WeightsLike, with_weights
from fastconv.layers import Conv2D, Conv2DTranspose, Input, MaxPooling2D
from fastconv.models import Sequential


def ConvAutoencoder(
    input_shape: tuple[int, int, int] = (28, 28, 1),
    weights: WeightsLike = None,
    name: str | None = "conv_autoencoder",
    *,
    filters: int = 32,
) -> Sequential:
    """A convolutional autoencoder of 28,353 parameters for images (H, W, C) with values in [0, 1].

    ========  ==========  ==============================================  ==========
    layer     output      what                                            parameters
    ========  ==========  ==============================================  ==========
    encoder1  28×28×32    32 filters 3×3                                         320
    pool1     14×14×32    maximum of 2×2
    encoder2  14×14×32    32 filters 3×3                                       9,248
    code      7×7×32      maximum of 2×2
    decoder2  14×14×32    transposed convolution, 32 filters 3×3               9,248
    decoder1  28×28×32    transposed convolution, 32 filters 3×3               9,248
    output    28×28×1     filters 3×3 and sigmoid: values in [0, 1]              289
    ========  ==========  ==============================================  ==========

    It learns to return what it is given, ``fit(x, x)``, or the clean image of a noisy one, ``fit(noisy, x)``,
    with the loss "binary_crossentropy". ``Model(model.input, model.get_layer("code").output)`` is the
    encoder.

    Raises ValueError unless height and width are multiples of 4.
    """
    if any(size is not None and size % 4 for size in input_shape[:2]):
        raise ValueError(
            "ConvAutoencoder: height and width must be multiples of 4, for they are halved twice and doubled "
            f"twice; got input_shape={tuple(input_shape)}. Pad the images"
        )
    model = Sequential(
        [
            Input(input_shape),
            Conv2D(filters, 3, padding="same", activation="relu", name="encoder1"),
            MaxPooling2D(2, name="pool1"),
            Conv2D(filters, 3, padding="same", activation="relu", name="encoder2"),
            MaxPooling2D(2, name="code"),
            Conv2DTranspose(filters, 3, 2, padding="same", activation="relu", name="decoder2"),
            Conv2DTranspose(filters, 3, 2, padding="same", activation="relu", name="decoder1"),
            Conv2D(input_shape[-1], 3, padding="same", activation="sigmoid", name="output"),
        ],
        name=name,
    )
    return with_weights(model, "conv_autoencoder", weights)
