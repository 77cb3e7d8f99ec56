"""Networks to start from: each function returns a new ``Sequential`` model, not yet compiled.

All take images (H, W, C) with values in [0, 1]. ``weights=None`` makes random weights; a name loads trained
ones that come with the package (``pretrained_weights`` lists them, and how they were made); a path those of
a file.
"""

from __future__ import annotations

from fastconv._public import publish
from fastconv.applications._pretrained import PretrainedWeights, pretrained_weights
from fastconv.applications.cifar10_cnn import Cifar10CNN
from fastconv.applications.convnetjs import ConvNetJSCifar10
from fastconv.applications.cs231n import CS231nNet
from fastconv.applications.fashion_cnn import FashionCNN
from fastconv.applications.lenet5 import LeNet5

__all__ = [
    "CS231nNet",
    "Cifar10CNN",
    "ConvNetJSCifar10",
    "FashionCNN",
    "LeNet5",
    "PretrainedWeights",
    "pretrained_weights",
]

publish(__name__)
