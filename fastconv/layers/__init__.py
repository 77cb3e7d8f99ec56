"""The layers: each a formula, its derivative, and the weights in between."""

from fastconv._core.names import publish
from fastconv.layers.activations import ELU, Activation, LeakyReLU, PReLU, ReLU, Softmax
from fastconv.layers.adaptive_pooling import (
    AdaptiveAveragePooling1D,
    AdaptiveAveragePooling2D,
    AdaptiveMaxPooling1D,
    AdaptiveMaxPooling2D,
)
from fastconv.layers.arithmetic import WithNumber
from fastconv.layers.arrangement import Flatten, Permute, RepeatVector, Reshape
from fastconv.layers.augmentation import RandomBrightness, RandomContrast, RandomErasing, RandomFlip
from fastconv.layers.batch_normalization import BatchNormalization
from fastconv.layers.convolution import Conv1D, Conv2D
from fastconv.layers.dense import RBF, Dense
from fastconv.layers.depthwise_convolution import (
    DepthwiseConv1D,
    DepthwiseConv2D,
    SeparableConv1D,
    SeparableConv2D,
)
from fastconv.layers.dropout import AlphaDropout, Dropout, GaussianDropout, GaussianNoise, SpatialDropout2D
from fastconv.layers.identity import ActivityRegularization, Identity
from fastconv.layers.input_layer import Input, InputLayer
from fastconv.layers.lambda_layer import Lambda
from fastconv.layers.layer import Layer
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
from fastconv.layers.normalization import Normalization, Rescaling
from fastconv.layers.padding import Cropping1D, Cropping2D, ZeroPadding1D, ZeroPadding2D
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
from fastconv.layers.random_affine import RandomRotation, RandomTranslation, RandomZoom
from fastconv.layers.random_layer import RandomLayer
from fastconv.layers.resizing import CenterCrop, RandomCrop, Resizing
from fastconv.layers.row_normalization import (
    GroupNormalization,
    LayerNormalization,
    RMSNormalization,
    UnitNormalization,
)
from fastconv.layers.serialization import add_class, deserialize, serialize
from fastconv.layers.subsampling2d import Subsampling2D
from fastconv.layers.transposed_convolution import Conv1DTranspose, Conv2DTranspose
from fastconv.layers.upsampling import UpSampling1D, UpSampling2D
from fastconv.layers.wrappers import Pipeline, SpectralNormalization

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
