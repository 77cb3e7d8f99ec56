"""The layers: each a formula, its derivative, and the weights in between."""

from fastconv._public import publish
from fastconv.layers.activation import Activation
from fastconv.layers.activity_regularization import ActivityRegularization
from fastconv.layers.alpha_dropout import AlphaDropout
from fastconv.layers.arithmetic import WithNumber
from fastconv.layers.average_pooling2d import AveragePooling2D
from fastconv.layers.batch_normalization import BatchNormalization
from fastconv.layers.center_crop import CenterCrop
from fastconv.layers.convolution import Conv1D, Conv2D
from fastconv.layers.dense import Dense
from fastconv.layers.depthwise_convolution import (
    DepthwiseConv1D,
    DepthwiseConv2D,
    SeparableConv1D,
    SeparableConv2D,
)
from fastconv.layers.dropout import Dropout
from fastconv.layers.elu import ELU
from fastconv.layers.flatten import Flatten
from fastconv.layers.gaussian_dropout import GaussianDropout
from fastconv.layers.gaussian_noise import GaussianNoise
from fastconv.layers.global_pooling2d import GlobalAveragePooling2D, GlobalMaxPooling2D
from fastconv.layers.identity import Identity
from fastconv.layers.input_layer import Input, InputLayer
from fastconv.layers.layer import Layer
from fastconv.layers.leaky_relu import LeakyReLU
from fastconv.layers.max_pooling2d import MaxPooling2D
from fastconv.layers.merging import Add, Average, Concatenate, Divide, Maximum, Minimum, Multiply, Subtract
from fastconv.layers.normalization import Normalization
from fastconv.layers.pipeline import Pipeline
from fastconv.layers.prelu import PReLU
from fastconv.layers.random_brightness import RandomBrightness
from fastconv.layers.random_contrast import RandomContrast
from fastconv.layers.random_crop import RandomCrop
from fastconv.layers.random_erasing import RandomErasing
from fastconv.layers.random_flip import RandomFlip
from fastconv.layers.random_layer import RandomLayer
from fastconv.layers.random_rotation import RandomRotation
from fastconv.layers.random_translation import RandomTranslation
from fastconv.layers.random_zoom import RandomZoom
from fastconv.layers.rbf import RBF
from fastconv.layers.relu import ReLU
from fastconv.layers.rescaling import Rescaling
from fastconv.layers.reshape import Reshape
from fastconv.layers.resizing import Resizing
from fastconv.layers.row_normalization import (
    GroupNormalization,
    LayerNormalization,
    RMSNormalization,
    UnitNormalization,
)
from fastconv.layers.serialization import add_class, deserialize, serialize
from fastconv.layers.softmax import Softmax
from fastconv.layers.spatial_dropout2d import SpatialDropout2D
from fastconv.layers.spectral_normalization import SpectralNormalization
from fastconv.layers.subsampling2d import Subsampling2D
from fastconv.layers.transposed_convolution import Conv1DTranspose, Conv2DTranspose
from fastconv.layers.zero_padding2d import ZeroPadding2D

# Keras' other names.
MaxPool2D = MaxPooling2D
AvgPool2D = AveragePooling2D
GlobalAvgPool2D = GlobalAveragePooling2D
GlobalMaxPool2D = GlobalMaxPooling2D
Convolution2D = Conv2D

__all__ = [
    "ELU",
    "RBF",
    "Activation",
    "ActivityRegularization",
    "Add",
    "AlphaDropout",
    "Average",
    "AveragePooling2D",
    "AvgPool2D",
    "BatchNormalization",
    "CenterCrop",
    "Concatenate",
    "Conv1D",
    "Conv1DTranspose",
    "Conv2D",
    "Conv2DTranspose",
    "Convolution2D",
    "Dense",
    "DepthwiseConv1D",
    "DepthwiseConv2D",
    "Dropout",
    "Flatten",
    "GaussianDropout",
    "GaussianNoise",
    "GlobalAveragePooling2D",
    "GlobalAvgPool2D",
    "GlobalMaxPool2D",
    "GlobalMaxPooling2D",
    "GroupNormalization",
    "Identity",
    "Input",
    "InputLayer",
    "Layer",
    "LayerNormalization",
    "LeakyReLU",
    "MaxPool2D",
    "MaxPooling2D",
    "Maximum",
    "Minimum",
    "Multiply",
    "Normalization",
    "PReLU",
    "Pipeline",
    "RMSNormalization",
    "RandomBrightness",
    "RandomContrast",
    "RandomCrop",
    "RandomErasing",
    "RandomFlip",
    "RandomLayer",
    "RandomRotation",
    "RandomTranslation",
    "RandomZoom",
    "ReLU",
    "Rescaling",
    "Reshape",
    "Resizing",
    "SeparableConv1D",
    "SeparableConv2D",
    "Softmax",
    "SpatialDropout2D",
    "SpectralNormalization",
    "Subsampling2D",
    "Subtract",
    "UnitNormalization",
    "ZeroPadding2D",
    "deserialize",
    "serialize",
]

publish(__name__)

# Every layer is known to files by its class's name; the last two are made by operators on symbolic tensors.
for _layer in {*(globals()[_name] for _name in __all__), Divide, WithNumber}:
    if isinstance(_layer, type) and issubclass(_layer, Layer):
        add_class(_layer)
