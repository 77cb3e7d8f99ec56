"""Networks to start from: each function returns a new model, not yet compiled.

They take images (H, W, C) with values in [0, 1], unless they say otherwise. ``weights=None`` makes random
weights; a name loads trained ones that come with the package (``pretrained_weights`` lists them, and how they
were made); a path those of a file.
"""

from __future__ import annotations

from fastconv._core.names import publish
from fastconv.applications._pretrained import PretrainedWeights, pretrained_weights
from fastconv.applications.cifar10_cnn import Cifar10CNN
from fastconv.applications.cifar_resnet import ResNet, ResNet8, ResNet20, ResNet32
from fastconv.applications.conv_autoencoder import ConvAutoencoder
from fastconv.applications.convnetjs import ConvNetJSCifar10
from fastconv.applications.cs231n import CS231nNet
from fastconv.applications.ds_cnn import DSCNN
from fastconv.applications.fashion_cnn import FashionCNN
from fastconv.applications.lenet5 import LeNet5
from fastconv.applications.mobilenet_v1 import MobileNetV1
from fastconv.applications.unet import UNet

__all__ = [
    "DSCNN",
    "CS231nNet",
    "Cifar10CNN",
    "ConvAutoencoder",
    "ConvNetJSCifar10",
    "FashionCNN",
    "LeNet5",
    "MobileNetV1",
    "PretrainedWeights",
    "ResNet",
    "ResNet8",
    "ResNet20",
    "ResNet32",
    "UNet",
    "pretrained_weights",
]

publish(__name__)
