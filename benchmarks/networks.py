"""The networks that are raced, each described once; benchmarks/rivals builds them in every framework.

=============  =================================================================================  ==========
name           what it is                                                                         parameters
=============  =================================================================================  ==========
lenet5         LeNet-5 as it is taught today: average pooling, ReLU, softmax; MNIST                   61,706
cs231n         [conv-relu-conv-relu-pool]x3-fc-softmax, 17 layers, 10 channels throughout; CIFAR-10    6,440
convnetjs      the CIFAR-10 network of ConvNetJS' demo: three 5x5 convolutions, each with a pool      22,466
fashion_cnn    five convolutions of 64 to 256 channels, two dense layers with dropout; Fashion-MNIST 1,413,834
lenet5_paper   LeNet-5 with C5 as the convolution that it is in the paper; tanh; logits               61,706
torch_cifar    the CIFAR-10 network of PyTorch's tutorial; logits                                     62,006
bn_net         five 3x3 convolutions, each with batch norm; global average                            36,282
keras_cifar    the CIFAR-10 network of Keras' first examples: three dropouts                       1,250,858
overlap_pool   two convolutions, each with an overlapping pool; dropout                               13,066
resnet20       the residual network for CIFAR-10, with projections                                   273,658
mobilenet      MobileNet V1, a quarter as wide, for 96x96 images and two classes                     221,794
unet           a small U-Net for 64x64 images: for each pixel the probability of one class           120,681
=============  =================================================================================  ==========

The first four also with logits in place of softmax: lenet5_logits and so on. ``random-7`` is the network that
benchmarks/random_networks.py draws with seed 7.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from benchmarks.description import (
    Activation,
    Batch,
    BatchNorm,
    Chain,
    Concat,
    Conv,
    Dense,
    Depthwise,
    Dropout,
    GlobalPool,
    Network,
    Pool,
    Sum,
    Transposed,
    Upsample,
)
from benchmarks.random_networks import PREFIX, random_network


def _normed(*layers: Conv | Depthwise) -> Chain:
    """Each followed by batch norm and ReLU."""
    return tuple(part for layer in layers for part in (layer, BatchNorm(), Activation("relu")))


def _residual(filters: int, stride: int) -> Chain:
    """A residual block; where it halves the image, the shortcut is a projection."""
    branch = (
        Conv(filters, 3, stride=stride, bias=False), BatchNorm(), Activation("relu"),
        Conv(filters, 3, bias=False), BatchNorm(),
    )  # fmt: skip
    shortcut = (Conv(filters, 1, stride=stride, bias=False),) if stride > 1 else ()
    return (Sum((shortcut, branch)), Activation("relu"))


def _resnet20() -> Iterator[Chain]:
    yield _normed(Conv(16, 3, bias=False))
    for filters in (16, 32, 64):
        for block in range(3):
            yield _residual(filters, stride=2 if filters > 16 and block == 0 else 1)
    yield (GlobalPool("average"), Dense(10, "softmax"))


def _mobilenet() -> Iterator[Chain]:
    """Filters are those of the paper's table 1 divided by 4."""
    yield _normed(Conv(8, 3, stride=2))
    for filters, stride in (
        (16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (128, 2), *5 * ((128, 1),), (256, 2), (256, 1),
    ):  # fmt: skip
        yield _normed(Depthwise(3, stride=stride), Conv(filters, 1))
    yield (GlobalPool("average"), Dense(2, "softmax"))


def _unet(filters: int, depth: int) -> Chain:
    """From the first convolution to the last but one: the deeper levels stand between the two halves."""
    twice = (Conv(filters, 3, "relu"), Conv(filters, 3, "relu"))
    if depth == 0:
        return twice
    deeper = (Pool("max"), *_unet(2 * filters, depth - 1), Transposed(filters, 2))
    return (*twice, Concat(((), deeper)), *twice)


def _join(chains: Iterator[Chain]) -> Chain:
    return tuple(layer for chain in chains for layer in chain)


_LECTURE = (
    Network(
        "lenet5",
        (28, 28, 1),
        (
            Conv(6, 5, "relu"), Pool("average"),
            Conv(16, 5, "relu", "valid"), Pool("average"),
            Dense(120, "relu"), Dense(84, "relu"), Dense(10, "softmax"),
        ),
    ),
    Network(
        "cs231n",
        (32, 32, 3),
        (*(Conv(10, 3, "relu"), Conv(10, 3, "relu"), Pool("max")) * 3, Dense(10, "softmax")),
    ),
    Network(
        "convnetjs",
        (32, 32, 3),
        (
            Conv(16, 5, "relu"), Pool("max"),
            Conv(20, 5, "relu"), Pool("max"),
            Conv(20, 5, "relu"), Pool("max"),
            Dense(10, "softmax"),
        ),
    ),
    Network(
        "fashion_cnn",
        (28, 28, 1),
        (
            Conv(64, 7, "relu"), Pool("max"),
            Conv(128, 3, "relu"), Conv(128, 3, "relu"), Pool("max"),
            Conv(256, 3, "relu"), Conv(256, 3, "relu"), Pool("max"),
            Dense(128, "relu"), Dropout(0.5), Dense(64, "relu"), Dropout(0.5), Dense(10, "softmax"),
        ),
    ),
)  # fmt: skip

NETWORKS = {
    network.name: network
    for network in (
        *_LECTURE,
        Network(
            "lenet5_paper",
            (32, 32, 1),
            (
                Conv(6, 5, "tanh", "valid"), Pool("average"),
                Conv(16, 5, "tanh", "valid"), Pool("average"),
                Conv(120, 5, "tanh", "valid"), Dense(84, "tanh"), Dense(10),
            ),
        ),
        Network(
            "torch_cifar",
            (32, 32, 3),
            (
                Conv(6, 5, "relu", "valid"), Pool("max"),
                Conv(16, 5, "relu", "valid"), Pool("max"),
                Dense(120, "relu"), Dense(84, "relu"), Dense(10),
            ),
        ),
        Network(
            "bn_net",
            (32, 32, 3),
            (
                *2 * _normed(Conv(16, 3, bias=False)), Pool("max"),
                *2 * _normed(Conv(32, 3, bias=False)), Pool("max"),
                *_normed(Conv(64, 3, bias=False)), GlobalPool("average"), Dense(10, "softmax"),
            ),
        ),
        Network(
            "keras_cifar",
            (32, 32, 3),
            (
                Conv(32, 3, "relu"), Conv(32, 3, "relu", "valid"), Pool("max"), Dropout(0.25),
                Conv(64, 3, "relu"), Conv(64, 3, "relu", "valid"), Pool("max"), Dropout(0.25),
                Dense(512, "relu"), Dropout(0.5), Dense(10, "softmax"),
            ),
        ),
        Network(
            "overlap_pool",
            (28, 28, 1),
            (
                Conv(16, 5, "relu", "valid"), Pool("max", 3, 2),
                Conv(32, 3, "relu"), Pool("max", 3, 2),
                Dropout(0.4), Dense(10, "softmax"),
            ),
        ),
        Network("resnet20", (32, 32, 3), _join(_resnet20())),
        Network("mobilenet", (96, 96, 3), _join(_mobilenet())),
        Network("unet", (64, 64, 1), (*_unet(filters=8, depth=3), Conv(1, 1, "sigmoid"))),
        *(
            replace(network, name=f"{network.name}_logits", layers=(*network.layers[:-1], Dense(10)))
            for network in _LECTURE
        ),
    )
}  # fmt: skip

# All that the description can say, in one small graph: not raced, but built in every framework by the tests.
EVERYTHING = Network(
    "everything",
    (12, 12, 2),
    (
        Conv(6, 4, "tanh", stride=2), Dropout(0.5),
        Sum((
            (Conv(4, 3, bias=False), BatchNorm(), Activation("relu"), Conv(6, 1)),
            (Depthwise(3, "relu"), Dropout(0.5)),
            (),
        )),
        Concat(((), (Pool("max"), Transposed(5, 2, "relu")), (Pool("average", 3, 3), Upsample(3)))),
        Depthwise(2, stride=2, bias=False), Activation("tanh"), Conv(8, 2, "relu", "valid"),
        Concat(((GlobalPool("max"),), (GlobalPool("average"),), (Pool("average", 2, 1), Dense(4)))),
        Dense(12, bias=False), Activation("tanh"), Dense(5),
    ),
)  # fmt: skip


def find(name: str) -> Network:
    """The network of that name; raises KeyError where there is none."""
    seed = name.removeprefix(PREFIX)
    if name.startswith(PREFIX) and seed.isdecimal():
        return random_network(int(seed))
    return EVERYTHING if name == EVERYTHING.name else NETWORKS[name]


def batches(network: Network, size: int, count: int = 4, seed: int = 1) -> list[Batch]:
    """``count`` batches of random images, in [0, 1), and random labels."""
    rng = np.random.default_rng(seed)
    return [
        (rng.random((size, *network.input_shape), np.float32), network.labels(rng, size))
        for _ in range(count)
    ]
