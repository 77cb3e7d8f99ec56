"""fastconv, through its public API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import fastconv
from benchmarks.description import Network, Weights
from benchmarks.rivals import MOMENTUM, LayerContestant, NetworkContestant
from benchmarks.rivals.keras_style import KerasModel
from fastconv import ops


class RivalNetwork(NetworkContestant):
    def __init__(self, network: Network, weights: Weights, batches: list, learning_rate: float):
        self.built = KerasModel(fastconv, network)
        self.built.set_weights(weights)
        self.built.compile(network, learning_rate, MOMENTUM)
        self.model, self.batches = self.built.model, batches

    def train(self, i: int) -> float:
        return self.model.train_on_batch(*self.batches[i % len(self.batches)])

    def infer(self, i: int) -> np.ndarray:
        return self.model.predict_on_batch(self.batches[i % len(self.batches)][0])

    def outputs(self) -> np.ndarray:
        return self.infer(0).copy()

    def weights(self) -> Weights:
        return self.built.get_weights()


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
