"""The networks that are raced, each described once; benchmarks/rivals builds them in every framework.

===========  ===================================================================================  ==========
name         what it is                                                                           parameters
===========  ===================================================================================  ==========
lenet5       LeNet-5 as it is taught today: average pooling, ReLU, softmax; MNIST                     61,706
cs231n       [conv-relu-conv-relu-pool]x3-fc-softmax, 17 layers, 10 maps throughout; CIFAR-10          6,440
convnetjs    the CIFAR-10 network of ConvNetJS' demo: three 5x5 convolutions, each with a pool        22,466
fashion_cnn  five convolutions of 64 to 256 channels, two dense layers with dropout; Fashion-MNIST 1,413,834
===========  ===================================================================================  ==========

Images are (H, W, C), kernels (KH, KW, C_in, C_out), dense kernels (in, out), a dense layer sees pixels in the
order of NHWC: the common layout of weights. ``channels_first`` converts it for frameworks that want that.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod, sqrt
from typing import NamedTuple

import numpy as np

Shape = tuple[int, ...]
Weights = list[np.ndarray]  # kernel, bias, kernel, bias, ...
Batch = tuple[np.ndarray, np.ndarray]  # images (N, H, W, C), labels (N,)


class Conv(NamedTuple):
    """``filters`` kernels of size x size at stride 1, ``padding`` zeros on each side, then ReLU."""

    filters: int
    size: int
    padding: int


class Pool(NamedTuple):
    """Windows of 2x2 side by side; a last odd row or column is left out."""

    kind: str  # "max" or "average"


class Dense(NamedTuple):
    """Every unit sees everything below it."""

    units: int
    activation: str  # "relu" or "softmax"


class Dropout(NamedTuple):
    rate: float


Layer = Conv | Pool | Dense | Dropout


@dataclass(frozen=True)
class Network:
    name: str
    input_shape: tuple[int, int, int]
    layers: tuple[Layer, ...]
    parameters: int

    @property
    def classes(self) -> int:
        return self.shapes()[-1][2][0]

    def shapes(self) -> list[tuple[Layer, Shape, Shape]]:
        """Each layer with the shape of its input and of its output, for one image."""
        rows: list[tuple[Layer, Shape, Shape]] = []
        shape: Shape = self.input_shape
        for layer in self.layers:
            rows.append((layer, shape, shape := _output_shape(layer, shape)))
        return rows

    def initial_weights(self, seed: int = 0) -> Weights:
        """Glorot's uniform distribution, and biases that are not zero, so that forgetting one shows."""
        rng = np.random.default_rng(seed)
        weights = []
        for layer, below, _ in self.shapes():
            shape = kernel_shape(layer, below)
            if shape:
                field = prod(shape[:-2])
                limit = sqrt(6 / (field * (shape[-2] + shape[-1])))
                weights.append(rng.uniform(-limit, limit, shape).astype(np.float32))
                weights.append(rng.uniform(-0.05, 0.05, shape[-1:]).astype(np.float32))
        return weights

    def operations(self, training: bool) -> int:
        """Multiplications and additions for one image, of convolutions and dense layers.

        A training step does each layer's three times: forward, back to the kernel, and (but for the first
        layer) back to the data. Taps that fall into the padding count, as is the custom.
        """
        passes = [
            2 * prod(kernel_shape(layer, below)) * (prod(above[:2]) if isinstance(layer, Conv) else 1)
            for layer, below, above in self.shapes()
            if kernel_shape(layer, below)
        ]
        return 3 * sum(passes) - passes[0] if training else sum(passes)

    def without_dropout(self) -> Network:
        """The same network with nothing random in it: for comparing results."""
        return replace(self, layers=tuple(layer for layer in self.layers if not isinstance(layer, Dropout)))


def kernel_shape(layer: Layer, below: Shape) -> Shape:
    """The shape of the layer's kernel on an input of shape ``below``; () where it has none."""
    if isinstance(layer, Conv):
        return (layer.size, layer.size, below[2], layer.filters)
    if isinstance(layer, Dense):
        return (prod(below), layer.units)
    return ()


def _output_shape(layer: Layer, below: Shape) -> Shape:
    if isinstance(layer, Conv):
        lost = layer.size - 1 - 2 * layer.padding
        return (below[0] - lost, below[1] - lost, layer.filters)
    if isinstance(layer, Pool):
        return (below[0] // 2, below[1] // 2, below[2])
    if isinstance(layer, Dense):
        return (layer.units,)
    return below


def channels_first(network: Network, weights: Weights) -> Weights:
    """The common layout as (C_out, C_in, KH, KW) and (out, in), the dense layer seeing NCHW pixels."""
    converted = []
    for (below, shape), kernel, bias in zip(_kernels(network), weights[::2], weights[1::2], strict=True):
        if len(shape) == 4:
            kernel = kernel.transpose(3, 2, 0, 1)
        elif len(below) == 3:
            kernel = kernel.reshape(*below, -1).transpose(3, 2, 0, 1).reshape(shape[1], shape[0])
        else:
            kernel = kernel.T
        converted += [np.ascontiguousarray(kernel), bias]
    return converted


def channels_last(network: Network, weights: Weights) -> Weights:
    """The way back from ``channels_first``."""
    converted = []
    for (below, shape), kernel, bias in zip(_kernels(network), weights[::2], weights[1::2], strict=True):
        if len(shape) == 4:
            kernel = kernel.transpose(2, 3, 1, 0)
        elif len(below) == 3:
            H, W, C = below
            kernel = kernel.reshape(-1, C, H, W).transpose(2, 3, 1, 0).reshape(shape)
        else:
            kernel = kernel.T
        converted += [np.ascontiguousarray(kernel), bias]
    return converted


def _kernels(network: Network) -> list[tuple[Shape, Shape]]:
    rows = [(below, kernel_shape(layer, below)) for layer, below, _ in network.shapes()]
    return [(below, shape) for below, shape in rows if shape]


NETWORKS = {
    network.name: network
    for network in (
        Network(
            "lenet5",
            (28, 28, 1),
            (
                Conv(6, 5, padding=2), Pool("average"),
                Conv(16, 5, padding=0), Pool("average"),
                Dense(120, "relu"), Dense(84, "relu"), Dense(10, "softmax"),
            ),
            parameters=61_706,
        ),
        Network(
            "cs231n",
            (32, 32, 3),
            (*(Conv(10, 3, padding=1), Conv(10, 3, padding=1), Pool("max")) * 3, Dense(10, "softmax")),
            parameters=6_440,
        ),
        Network(
            "convnetjs",
            (32, 32, 3),
            (
                Conv(16, 5, padding=2), Pool("max"),
                Conv(20, 5, padding=2), Pool("max"),
                Conv(20, 5, padding=2), Pool("max"),
                Dense(10, "softmax"),
            ),
            parameters=22_466,
        ),
        Network(
            "fashion_cnn",
            (28, 28, 1),
            (
                Conv(64, 7, padding=3), Pool("max"),
                Conv(128, 3, padding=1), Conv(128, 3, padding=1), Pool("max"),
                Conv(256, 3, padding=1), Conv(256, 3, padding=1), Pool("max"),
                Dense(128, "relu"), Dropout(0.5), Dense(64, "relu"), Dropout(0.5), Dense(10, "softmax"),
            ),
            parameters=1_413_834,
        ),
    )
}  # fmt: skip


def batches(network: Network, size: int, count: int = 4, seed: int = 1) -> list[Batch]:
    """``count`` batches of random images, in [0, 1), and random labels."""
    rng = np.random.default_rng(seed)
    return [
        (rng.random((size, *network.input_shape), np.float32), rng.integers(0, network.classes, size))
        for _ in range(count)
    ]
