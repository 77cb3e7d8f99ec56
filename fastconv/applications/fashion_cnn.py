"""A CNN for Fashion-MNIST: filters double as the maps shrink, two dense layers with dropout on top.

A. Géron, "Hands-On Machine Learning with Scikit-Learn, Keras & TensorFlow", 2nd edition, 2019, chapter 14.
"""

from __future__ import annotations

from fastconv.applications._pretrained import WeightsLike, with_weights
from fastconv.layers import Conv2D, Dense, Dropout, Flatten, Input, MaxPooling2D
from fastconv.models import Sequential


def FashionCNN(
    input_shape: tuple[int, int, int] = (28, 28, 1),
    classes: int = 10,
    weights: WeightsLike = None,
    name: str | None = "fashion_cnn",
) -> Sequential:
    """A convolutional network of 1,413,834 parameters for images (H, W, C) with values in [0, 1]."""
    model = Sequential(
        [
            Input(input_shape),
            Conv2D(64, 7, activation="relu", padding="same"),
            MaxPooling2D(2),
            Conv2D(128, 3, activation="relu", padding="same"),
            Conv2D(128, 3, activation="relu", padding="same"),
            MaxPooling2D(2),
            Conv2D(256, 3, activation="relu", padding="same"),
            Conv2D(256, 3, activation="relu", padding="same"),
            MaxPooling2D(2),
            Flatten(),
            Dense(128, activation="relu"),
            Dropout(0.5),
            Dense(64, activation="relu"),
            Dropout(0.5),
            Dense(classes, activation="softmax"),
        ],
        name=name,
    )
    return with_weights(model, "fashion_cnn", weights)
