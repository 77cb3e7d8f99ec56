"""NumPy as its users write a network: im2col and matrix products.

In float64 it is also the answer that everyone is held to. Dropout it leaves out. A stage remembers what its
last forward pass met, and so can tell how far from falling otherwise each of its decisions was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks import numpy_conv
from benchmarks.networks import Batch, Conv, Dense, Network, Pool, Weights
from benchmarks.rivals import MOMENTUM, LayerContestant, NetworkContestant

Array = np.ndarray


def im2col(x: Array, f: int, padding: int) -> Array:
    """(N, H, W, C) -> (N, OH, OW, f f C): what lies under the kernel at each output."""
    padded = np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (f, f), axis=(1, 2))
    return windows.transpose(0, 1, 2, 4, 5, 3).reshape(*windows.shape[:3], -1)


def rms(x: Array) -> float:
    """The root of the mean square."""
    return float(np.sqrt(np.mean(x * x)))


class ConvStage:
    def __init__(self, layer: Conv, kernel: Array, bias: Array):
        self.layer, self.weights = layer, [kernel, bias]

    def forward(self, x: Array, training: bool) -> Array:
        kernel, bias = self.weights
        columns = im2col(x, self.layer.size, self.layer.padding)
        z = columns @ kernel.reshape(-1, kernel.shape[3]) + bias
        self.memory = (columns, z)
        return np.maximum(z, 0)

    def decisions(self) -> Array:
        z = self.memory[1]
        return np.abs(z) / rms(z)

    def backward(self, dy: Array, first: bool) -> tuple[Array | None, Weights]:
        kernel, (columns, z) = self.weights[0], self.memory
        dz = dy * (z > 0)
        flat = dz.reshape(-1, dz.shape[3])
        gradients = [(columns.reshape(len(flat), -1).T @ flat).reshape(kernel.shape), flat.sum(0)]
        if first:
            return None, gradients
        turned = kernel[::-1, ::-1].transpose(0, 1, 3, 2).reshape(-1, kernel.shape[2])
        return im2col(dz, self.layer.size, self.layer.size - 1 - self.layer.padding) @ turned, gradients


class PoolStage:
    weights: tuple[()] = ()

    def __init__(self, layer: Pool):
        self.largest = layer.kind == "max"

    def forward(self, x: Array, training: bool) -> Array:
        H, W = x.shape[1] // 2 * 2, x.shape[2] // 2 * 2
        taps = np.stack([x[:, i:H:2, j:W:2] for i in (0, 1) for j in (0, 1)])
        self.memory = (x.shape, taps)
        return taps.max(0) if self.largest else taps.mean(0)

    def decisions(self) -> Array | None:
        """The largest over the second; where all are zero it is the rectifier below that decided."""
        if not self.largest:
            return None
        second, first = np.sort(self.memory[1], axis=0)[2:]
        gap = np.where(first > 0, first - second, np.inf)
        return gap / rms(first)

    def backward(self, dy: Array, first: bool) -> tuple[Array, Weights]:
        shape, taps = self.memory
        winner = taps.argmax(0) if self.largest else None
        dx = np.zeros(shape, dy.dtype)
        H, W = shape[1] // 2 * 2, shape[2] // 2 * 2
        for tap in range(4):
            dx[:, tap // 2 : H : 2, tap % 2 : W : 2] = dy / 4 if winner is None else dy * (winner == tap)
        return dx, []


class DenseStage:
    def __init__(self, layer: Dense, kernel: Array, bias: Array):
        self.relu, self.weights = layer.activation == "relu", [kernel, bias]

    def forward(self, x: Array, training: bool) -> Array:
        flat = x.reshape(len(x), -1)
        z = flat @ self.weights[0] + self.weights[1]
        self.memory = (x.shape, flat, z)
        if self.relu:
            return np.maximum(z, 0)
        powers = np.exp(z - z.max(1, keepdims=True))
        return powers / powers.sum(1, keepdims=True)

    def decisions(self) -> Array | None:
        z = self.memory[2]
        return np.abs(z) / rms(z) if self.relu else None

    def backward(self, dy: Array, first: bool) -> tuple[Array, Weights]:
        """Through the softmax ``dy`` comes already as the gradient at the logits."""
        shape, flat, z = self.memory
        dz = dy * (z > 0) if self.relu else dy
        return (dz @ self.weights[0].T).reshape(shape), [flat.T @ dz, dz.sum(0)]


class RivalNetwork(NetworkContestant):
    def __init__(
        self,
        network: Network,
        weights: Weights,
        batches: list[Batch],
        learning_rate: float,
        dtype: type = np.float32,
    ):
        values: Iterator[Array] = iter([weight.astype(dtype) for weight in weights])
        self.stages: list[Any] = []
        for layer in network.layers:
            if isinstance(layer, Conv):
                self.stages.append(ConvStage(layer, next(values), next(values)))
            elif isinstance(layer, Pool):
                self.stages.append(PoolStage(layer))
            elif isinstance(layer, Dense):
                self.stages.append(DenseStage(layer, next(values), next(values)))
        self.velocity = [np.zeros_like(weight) for stage in self.stages for weight in stage.weights]
        self.batches = [(x.astype(dtype), y) for x, y in batches]
        self.dtype, self.learning_rate = dtype, learning_rate

    def train(self, i: int) -> float:
        return self.learn(*self.batches[i % len(self.batches)])

    def learn(self, x: Array, labels: Array) -> float:
        """One step; returns the loss before it."""
        loss, gradients = self.gradients(x.astype(self.dtype, copy=False), labels)
        values = [weight for stage in self.stages for weight in stage.weights]
        for value, velocity, gradient in zip(values, self.velocity, gradients, strict=True):
            velocity *= MOMENTUM
            velocity -= self.learning_rate * gradient
            value += MOMENTUM * velocity - self.learning_rate * gradient
        return loss

    def gradients(self, x: Array, labels: Array) -> tuple[float, Weights]:
        """The mean loss, and its gradient for each weight."""
        probabilities = self._forward(x, training=True)
        rows = np.arange(len(labels))
        loss = -np.log(probabilities[rows, labels]).mean()
        dy = probabilities / len(labels)
        dy[rows, labels] -= 1 / len(labels)
        gradients: Weights = []
        for stage in reversed(self.stages):
            dy, found = stage.backward(dy, first=stage is self.stages[0])
            gradients = found + gradients
        return float(loss), gradients

    def infer(self, i: int) -> Array:
        return self._forward(self.batches[i % len(self.batches)][0], training=False)

    def _forward(self, x: Array, training: bool) -> Array:
        for stage in self.stages:
            x = stage.forward(x, training)
        return x

    def probabilities(self) -> Array:
        return self.infer(0)

    def weights(self) -> Weights:
        return [weight.copy() for stage in self.stages for weight in stage.weights]


class RivalLayer(LayerContestant):
    def __init__(self, x: Array, kernel: Array, bias: Array, dy: Array):
        self.operands = x, kernel, bias, dy

    def steps(self) -> dict[str, Callable[[int], object]]:
        x, kernel, bias, dy = self.operands
        return {
            "forward": lambda i: numpy_conv.forward(x, kernel, bias),
            "backward-data": lambda i: numpy_conv.backward_data(dy, kernel),
            "backward-kernel": lambda i: numpy_conv.backward_kernel(x, dy, len(kernel)),
        }

    def to_numpy(self, mode: str, result: Array) -> Array:
        return result


def version() -> str:
    return f"numpy {np.__version__}"
