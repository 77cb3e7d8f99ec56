"""Networks drawn at random, of the kind that people write for small images: no benchmark is made for them.

Some stages of one or two convolutions, each stage ending in a pool or in a convolution of stride 2, then a
global pool or none, dense layers, and ten classes. Half of the networks have batch norm, half have dropout.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from benchmarks.description import (
    Activation,
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    GlobalPool,
    Layer,
    Network,
    Pool,
)

PREFIX = "random-"  # then the seed

# Multiplications and additions of a forward pass: no larger than twice the largest network of the lecture, or
# a race of forty takes hours.
LARGEST = 3e8
CHANNELS = (6, 8, 10, 12, 16, 20, 24, 32, 48, 64, 96)


def random_network(seed: int) -> Network:
    """The same one for the same seed."""
    rng = np.random.default_rng(seed)
    while True:
        network = _Draw(rng).network(f"{PREFIX}{seed}")
        if network is not None and network.operations(training=False) <= LARGEST:
            return network


class _Draw:
    def __init__(self, rng: np.random.Generator):
        self.rng = rng
        self.layers: list[Layer] = []
        self.shape: tuple[int, ...] = ()
        self.activation = self._one("relu", "relu", "relu", "tanh")
        self.normed = self._chance(0.5)
        self.dropout = self._chance(0.5)

    def network(self, name: str) -> Network | None:
        """None where batch norm would see one pixel, which has no variance."""
        input_shape = self._one((28, 28, 1), (32, 32, 3))
        self.shape = input_shape
        largest = self._one(2, 5, len(CHANNELS) - 1)
        for _ in range(self._one(1, 2, 2, 3, 3)):
            strided = self._chance(0.2)
            for i in range(self._one(1, 2)):
                self._convolution(CHANNELS[self.rng.integers(largest + 1)], 2 if strided and i == 0 else 1)
            if not strided:
                self._pool()
            if self.dropout and self._chance(0.5):
                self._add(Dropout(self._one(0.1, 0.25, 0.5)))
            largest = min(largest + 2, len(CHANNELS) - 1)
        if self._chance(0.3):
            self._add(GlobalPool(self._one("average", "average", "max")))
        for _ in range(self._one(0, 0, 1, 1, 2)):
            self._add(Dense(self._one(32, 64, 100, 128, 256), self.activation))
            if self.dropout:
                self._add(Dropout(0.5))
        self._add(Dense(10, self._one("softmax", "linear")))
        network = Network(name, input_shape, tuple(self.layers))
        single = (isinstance(layer, BatchNorm) and prod(below[:2]) == 1 for layer, below in network.leaves())
        return None if any(single) else network

    def _convolution(self, filters: int, stride: int) -> None:
        size = self._one(1, 2, 3, 3, 3, 3, 4, 5, 5, 6, 7)
        padding = "valid" if self._chance(0.4) and size <= min(self.shape[:2]) else "same"
        conv = Conv(filters, size, self.activation, padding, stride)
        if self.normed:
            self._add(
                replace(conv, activation="linear", bias=False), BatchNorm(), Activation(self.activation)
            )
        else:
            self._add(conv)

    def _pool(self) -> None:
        size, stride = self._one((2, 2), (2, 2), (3, 2), (3, 3))
        if size <= min(self.shape[:2]):
            self._add(Pool(self._one("max", "max", "average"), size, stride))

    def _add(self, *layers: Layer) -> None:
        for layer in layers:
            self.layers.append(layer)
            self.shape = layer.output_shape(self.shape)

    def _one(self, *choices: Any) -> Any:
        """Each as likely as the others; those that stand here twice twice as likely."""
        return choices[self.rng.integers(len(choices))]

    def _chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)
