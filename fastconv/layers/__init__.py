"""The layers: each a formula, its derivative, and the weights in between."""

from fastconv._public import publish
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
from fastconv.layers.input_layer import Input, InputLayer
from fastconv.layers.layer import Layer
from fastconv.layers.leaky_relu import LeakyReLU
from fastconv.layers.max_pooling2d import MaxPooling2D
from fastconv.layers.prelu import PReLU
from fastconv.layers.random_brightness import RandomBrightness
from fastconv.layers.random_contrast import RandomContrast
from fastconv.layers.random_crop import RandomCrop
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
from fastconv.layers.serialization import deserialize, serialize
from fastconv.layers.softmax import Softmax
from fastconv.layers.spatial_dropout2d import SpatialDropout2D
from fastconv.layers.subsampling2d import Subsampling2D
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
    "AlphaDropout",
    "AveragePooling2D",
    "AvgPool2D",
    "BatchNormalization",
    "CenterCrop",
    "Conv2D",
    "Convolution2D",
    "Dense",
    "Dropout",
    "Flatten",
    "GaussianDropout",
    "GaussianNoise",
    "GlobalAveragePooling2D",
    "GlobalAvgPool2D",
    "GlobalMaxPool2D",
    "GlobalMaxPooling2D",
    "Input",
    "InputLayer",
    "Layer",
    "LeakyReLU",
    "MaxPool2D",
    "MaxPooling2D",
    "PReLU",
    "RandomBrightness",
    "RandomContrast",
    "RandomCrop",
    "RandomFlip",
    "RandomLayer",
    "RandomRotation",
    "RandomTranslation",
    "RandomZoom",
    "ReLU",
    "Rescaling",
    "Reshape",
    "Resizing",
    "Softmax",
    "SpatialDropout2D",
    "Subsampling2D",
    "ZeroPadding2D",
    "deserialize",
    "serialize",
]

publish(__name__)
