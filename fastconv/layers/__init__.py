"""The layers: each a formula, its derivative, and the weights in between."""

from fastconv._core.names import publish
from fastconv.layers.activation import Activation
from fastconv.layers.activity_regularization import ActivityRegularization
from fastconv.layers.adaptive_pooling import (
    AdaptiveAveragePooling1D,
    AdaptiveAveragePooling2D,
    AdaptiveMaxPooling1D,
    AdaptiveMaxPooling2D,
)
from fastconv.layers.alpha_dropout import AlphaDropout
from fastconv.layers.arithmetic import WithNumber
from fastconv.layers.arrangement import Permute, RepeatVector
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
from fastconv.layers.identity import Identity
from fastconv.layers.input_layer import Input, InputLayer
from fastconv.layers.lambda_layer import Lambda
from fastconv.layers.layer import Layer
from fastconv.layers.leaky_relu import LeakyReLU
from fastconv.layers.merging import (
    Add,
    Average,
    Concatenate,
    Divide,
    Dot,
    Maximum,
    Minimum,
    Multiply,
    Subtract,
    add,
    average,
    concatenate,
    dot,
    maximum,
    minimum,
    multiply,
    subtract,
)
from fastconv.layers.normalization import Normalization
from fastconv.layers.padding import Cropping1D, Cropping2D, ZeroPadding1D, ZeroPadding2D
from fastconv.layers.pipeline import Pipeline
from fastconv.layers.pooling import (
    AveragePooling1D,
    AveragePooling2D,
    GlobalAveragePooling1D,
    GlobalAveragePooling2D,
    GlobalMaxPooling1D,
    GlobalMaxPooling2D,
    MaxPooling1D,
    MaxPooling2D,
)
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
from fastconv.layers.upsampling import UpSampling1D, UpSampling2D

# Keras' other names.
MaxPool1D = MaxPooling1D
MaxPool2D = MaxPooling2D
AvgPool1D = AveragePooling1D
AvgPool2D = AveragePooling2D
GlobalAvgPool1D = GlobalAveragePooling1D
GlobalAvgPool2D = GlobalAveragePooling2D
GlobalMaxPool1D = GlobalMaxPooling1D
GlobalMaxPool2D = GlobalMaxPooling2D
Convolution1D = Conv1D
Convolution1DTranspose = Conv1DTranspose
Convolution2D = Conv2D
Convolution2DTranspose = Conv2DTranspose
SeparableConvolution1D = SeparableConv1D
SeparableConvolution2D = SeparableConv2D

__all__ = [
    "ELU",
    "RBF",
    "Activation",
    "ActivityRegularization",
    "AdaptiveAveragePooling1D",
    "AdaptiveAveragePooling2D",
    "AdaptiveMaxPooling1D",
    "AdaptiveMaxPooling2D",
    "Add",
    "AlphaDropout",
    "Average",
    "AveragePooling1D",
    "AveragePooling2D",
    "AvgPool1D",
    "AvgPool2D",
    "BatchNormalization",
    "CenterCrop",
    "Concatenate",
    "Conv1D",
    "Conv1DTranspose",
    "Conv2D",
    "Conv2DTranspose",
    "Convolution1D",
    "Convolution1DTranspose",
    "Convolution2D",
    "Convolution2DTranspose",
    "Cropping1D",
    "Cropping2D",
    "Dense",
    "DepthwiseConv1D",
    "DepthwiseConv2D",
    "Dot",
    "Dropout",
    "Flatten",
    "GaussianDropout",
    "GaussianNoise",
    "GlobalAveragePooling1D",
    "GlobalAveragePooling2D",
    "GlobalAvgPool1D",
    "GlobalAvgPool2D",
    "GlobalMaxPool1D",
    "GlobalMaxPool2D",
    "GlobalMaxPooling1D",
    "GlobalMaxPooling2D",
    "GroupNormalization",
    "Identity",
    "Input",
    "InputLayer",
    "Lambda",
    "Layer",
    "LayerNormalization",
    "LeakyReLU",
    "MaxPool1D",
    "MaxPool2D",
    "MaxPooling1D",
    "MaxPooling2D",
    "Maximum",
    "Minimum",
    "Multiply",
    "Normalization",
    "PReLU",
    "Permute",
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
    "RepeatVector",
    "Rescaling",
    "Reshape",
    "Resizing",
    "SeparableConv1D",
    "SeparableConv2D",
    "SeparableConvolution1D",
    "SeparableConvolution2D",
    "Softmax",
    "SpatialDropout2D",
    "SpectralNormalization",
    "Subsampling2D",
    "Subtract",
    "UnitNormalization",
    "UpSampling1D",
    "UpSampling2D",
    "ZeroPadding1D",
    "ZeroPadding2D",
    "add",
    "average",
    "concatenate",
    "deserialize",
    "dot",
    "maximum",
    "minimum",
    "multiply",
    "serialize",
    "subtract",
]

publish(__name__)

# Every layer but the bases is known to files by its class's name; Divide and WithNumber are made by operators
# on symbolic tensors.
for _layer in {*(globals()[_name] for _name in __all__), Divide, WithNumber} - {Layer, RandomLayer}:
    if isinstance(_layer, type) and issubclass(_layer, Layer):
        add_class(_layer)
