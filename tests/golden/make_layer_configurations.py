"""How Keras writes layers down: writes layer_configurations.json beside this file.

KERAS_BACKEND=jax python tests/golden/make_layer_configurations.py        (keras 3.15.1, jax)
"""

from __future__ import annotations

import json
from pathlib import Path

import keras
from keras import constraints, initializers, layers, regularizers

LAYERS = [
    layers.Activation("relu"),
    layers.ActivityRegularization(0.1, 0.2),
    layers.AdaptiveAveragePooling1D(3),
    layers.AdaptiveAveragePooling2D(2),
    layers.AdaptiveMaxPooling1D(3),
    layers.AdaptiveMaxPooling2D((2, 3)),
    layers.AlphaDropout(0.1),
    layers.AveragePooling1D(2, padding="same"),
    layers.AveragePooling2D(2),
    layers.BatchNormalization(momentum=0.9),
    layers.CenterCrop(2, 3),
    layers.Conv2D(
        2,
        3,
        activation="elu",
        kernel_regularizer="l2",
        kernel_constraint="max_norm",
        activity_regularizer="l1",
    ),
    layers.Dense(3, activation="softmax", kernel_initializer="he_normal"),
    layers.Cropping1D(1),
    layers.Cropping2D(((1, 2), (3, 4))),
    layers.Dense(2, activation=layers.LeakyReLU(0.1)),
    layers.Dense(2, activation=layers.ReLU(6.0)),
    layers.Dense(2, kernel_initializer=initializers.VarianceScaling(2.0, "fan_avg")),
    layers.Dense(
        2, kernel_initializer=initializers.Orthogonal(), bias_initializer=initializers.Constant(0.5)
    ),
    layers.Dense(2, kernel_regularizer=regularizers.OrthogonalRegularizer(0.1)),
    layers.Dense(2, kernel_constraint=constraints.MinMaxNorm(), bias_constraint="non_neg"),
    layers.Dot((1, 2), normalize=True),
    layers.Dropout(0.1, noise_shape=(None, 1)),
    layers.ELU(0.5),
    layers.Flatten(),
    layers.GaussianDropout(0.1),
    layers.GaussianNoise(0.1),
    layers.GlobalAveragePooling1D(keepdims=True),
    layers.GlobalAveragePooling2D(),
    layers.GlobalMaxPooling1D(),
    layers.GlobalMaxPooling2D(keepdims=True),
    layers.InputLayer((3,), batch_size=4),
    layers.LeakyReLU(0.2),
    layers.MaxPooling1D(3, 2),
    layers.MaxPooling2D((2, 3), 1, "same"),
    layers.PReLU(shared_axes=[1, 2]),
    layers.Permute((2, 1)),
    layers.RandomBrightness(0.1),
    layers.RandomContrast(0.1),
    layers.RandomCrop(2, 3),
    layers.RandomFlip("vertical"),
    layers.RandomRotation(0.1),
    layers.RandomTranslation(0.1, 0.2),
    layers.RandomZoom(0.1),
    layers.ReLU(6.0, 0.1, 0.2),
    layers.RepeatVector(3),
    layers.Rescaling(0.5, 1.0),
    layers.Reshape((2, -1)),
    layers.Resizing(2, 3),
    layers.Softmax(axis=(1, 2)),
    layers.SpatialDropout2D(0.1),
    layers.UpSampling1D(3),
    layers.UpSampling2D((2, 3), interpolation="bilinear"),
    layers.ZeroPadding1D((1, 2)),
    layers.ZeroPadding2D(((1, 2), (3, 4))),
]
MODEL = keras.Sequential(
    [keras.Input((8, 8, 3)), layers.Conv2D(2, 3, activation="relu"), layers.Flatten(), layers.Dense(2)]
)

if __name__ == "__main__":
    found = [keras.saving.serialize_keras_object(thing) for thing in (*LAYERS, MODEL)]
    Path(__file__).with_name("layer_configurations.json").write_text(json.dumps(found, indent=1) + "\n")
