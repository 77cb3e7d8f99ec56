"""Layers to and from plain dictionaries, as model files keep them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastconv._registry import Registry
from fastconv.layers.activation import Activation
from fastconv.layers.activity_regularization import ActivityRegularization
from fastconv.layers.alpha_dropout import AlphaDropout
from fastconv.layers.average_pooling2d import AveragePooling2D
from fastconv.layers.batch_normalization import BatchNormalization
from fastconv.layers.center_crop import CenterCrop
from fastconv.layers.conv2d import Conv2D
from fastconv.layers.dense import Dense
from fastconv.layers.dropout import Dropout
from fastconv.layers.elu import ELU
from fastconv.layers.flatten import Flatten
from fastconv.layers.gaussian_dropout import GaussianDropout
from fastconv.layers.gaussian_noise import GaussianNoise
from fastconv.layers.global_pooling2d import GlobalAveragePooling2D, GlobalMaxPooling2D
from fastconv.layers.input_layer import InputLayer
from fastconv.layers.layer import Layer
from fastconv.layers.leaky_relu import LeakyReLU
from fastconv.layers.max_pooling2d import MaxPooling2D
from fastconv.layers.prelu import PReLU
from fastconv.layers.random_brightness import RandomBrightness
from fastconv.layers.random_contrast import RandomContrast
from fastconv.layers.random_crop import RandomCrop
from fastconv.layers.random_flip import RandomFlip
from fastconv.layers.random_rotation import RandomRotation
from fastconv.layers.random_translation import RandomTranslation
from fastconv.layers.random_zoom import RandomZoom
from fastconv.layers.rbf import RBF
from fastconv.layers.relu import ReLU
from fastconv.layers.rescaling import Rescaling
from fastconv.layers.reshape import Reshape
from fastconv.layers.resizing import Resizing
from fastconv.layers.softmax import Softmax
from fastconv.layers.spatial_dropout2d import SpatialDropout2D
from fastconv.layers.subsampling2d import Subsampling2D
from fastconv.layers.zero_padding2d import ZeroPadding2D

_registry: Registry[Layer] = Registry(
    "layer",
    Layer,
    {
        cls.__name__: cls
        for cls in (
            Activation,
            ActivityRegularization,
            AlphaDropout,
            AveragePooling2D,
            BatchNormalization,
            CenterCrop,
            Conv2D,
            Dense,
            Dropout,
            ELU,
            Flatten,
            GaussianDropout,
            GaussianNoise,
            GlobalAveragePooling2D,
            GlobalMaxPooling2D,
            InputLayer,
            LeakyReLU,
            MaxPooling2D,
            PReLU,
            RBF,
            RandomBrightness,
            RandomContrast,
            RandomCrop,
            RandomFlip,
            RandomRotation,
            RandomTranslation,
            RandomZoom,
            ReLU,
            Rescaling,
            Reshape,
            Resizing,
            Softmax,
            SpatialDropout2D,
            Subsampling2D,
            ZeroPadding2D,
        )
    },
)


def add_class(cls: type[Layer]) -> None:
    """Make one more class of layers known by its name."""
    _registry.add(cls)


def serialize(layer: Layer) -> dict[str, Any]:
    """{"class_name": "Conv2D", "config": {...}}: for ``deserialize``; without the weights."""
    return _registry.serialize(layer)


def deserialize(config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Layer:
    """The layer for a configuration; classes of your own come by name in ``custom_objects``.

    Where the configuration says for which shape the layer was built, as Keras' do, it is built.
    """
    layer = _registry.deserialize(config, custom_objects)
    if isinstance(config, Mapping) and config.get("build_config") and not isinstance(layer, InputLayer):
        layer.build_from_config(config["build_config"])
    return layer
