"""fastconv, through its public API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import fastconv
from benchmarks.networks import Conv, Dense, Layer, Network, Pool, Weights
from benchmarks.rivals import MOMENTUM, LayerContestant, NetworkContestant
from fastconv import layers, ops
from fastconv.models import Sequential
from fastconv.optimizers import SGD


def sequential(network: Network) -> Sequential:
    """The network as a fastconv model, its weights fastconv's own."""
    model = Sequential([layers.Input(network.input_shape)], name=network.name)
    for layer, below, _ in network.shapes():
        if isinstance(layer, Dense) and len(below) == 3:
            model.add(layers.Flatten())
        model.add(_layer(layer))
    return model


def _layer(layer: Layer) -> layers.Layer:
    if isinstance(layer, Conv):
        return layers.Conv2D(layer.filters, layer.size, padding=layer.padding, activation="relu")
    if isinstance(layer, Pool):
        return layers.MaxPooling2D(2) if layer.kind == "max" else layers.AveragePooling2D(2)
    if isinstance(layer, Dense):
        return layers.Dense(layer.units, activation=layer.activation)
    return layers.Dropout(layer.rate)


class RivalNetwork(NetworkContestant):
    def __init__(self, network: Network, weights: Weights, batches: list, learning_rate: float):
        self.model = sequential(network)
        self.model.set_weights(weights)
        optimizer = SGD(learning_rate, momentum=MOMENTUM, nesterov=True)
        self.model.compile(optimizer, "sparse_categorical_crossentropy")
        self.batches = batches

    def train(self, i: int) -> float:
        return self.model.train_on_batch(*self.batches[i % len(self.batches)])

    def infer(self, i: int) -> np.ndarray:
        return self.model.predict_on_batch(self.batches[i % len(self.batches)][0])

    def probabilities(self) -> np.ndarray:
        return self.infer(0).copy()

    def weights(self) -> Weights:
        return self.model.get_weights()


class RivalLayer(LayerContestant):
    def __init__(self, x: np.ndarray, kernel: np.ndarray, bias: np.ndarray, dy: np.ndarray):
        self.x, self.kernel, self.bias, self.dy = x, kernel, bias, dy

    def steps(self) -> dict[str, Callable[[int], object]]:
        x, kernel, bias, dy = self.x, self.kernel, self.bias, self.dy
        return {
            "forward": lambda i: ops.conv2d(x, kernel, bias, padding="same"),
            "backward-data": lambda i: ops.conv2d_backward_data(dy, kernel, x.shape, padding="same"),
            "backward-kernel": lambda i: ops.conv2d_backward_kernel(x, dy, kernel.shape[:2], padding="same"),
        }

    def to_numpy(self, mode: str, result: Any) -> np.ndarray:
        return result[0] if mode == "backward-kernel" else result


def version() -> str:
    return f"fastconv {fastconv.__version__} ({fastconv.get_isa()})"
