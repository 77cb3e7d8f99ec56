"""PyTorch: eager or compiled, its arrays NCHW in memory or channels last."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.networks import Conv, Dense, Dropout, Network, Pool, Weights, channels_first, channels_last
from benchmarks.rivals import MOMENTUM, LayerContestant, NetworkContestant

torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))


def sequential(network: Network) -> nn.Sequential:
    """The network up to its logits."""
    modules: list[nn.Module] = []
    for layer, below, _ in network.shapes():
        if isinstance(layer, Conv):
            modules += [nn.Conv2d(below[2], layer.filters, layer.size, padding=layer.padding), nn.ReLU(True)]
        elif isinstance(layer, Pool):
            modules.append(nn.MaxPool2d(2) if layer.kind == "max" else nn.AvgPool2d(2))
        elif isinstance(layer, Dense):
            modules += [nn.Flatten()] if len(below) == 3 else []
            modules.append(nn.Linear(int(np.prod(below)), layer.units))
            modules += [nn.ReLU(True)] if layer.activation == "relu" else []
        elif isinstance(layer, Dropout):
            modules.append(nn.Dropout(layer.rate))
    return nn.Sequential(*modules)


class RivalNetwork(NetworkContestant):
    def __init__(
        self,
        network: Network,
        weights: Weights,
        batches: list,
        learning_rate: float,
        channels_last: bool = False,
        compiled: bool = False,
    ):
        self.network = network
        memory = torch.channels_last if channels_last else torch.contiguous_format
        self.model = sequential(network)
        with torch.no_grad():
            for parameter, value in zip(
                self.model.parameters(), channels_first(network, weights), strict=True
            ):
                parameter.copy_(torch.from_numpy(value))
        self.model = self.model.to(memory_format=memory)
        self.batches = [
            (torch.from_numpy(x).permute(0, 3, 1, 2).contiguous(memory_format=memory), torch.from_numpy(y))
            for x, y in batches
        ]
        # One kernel for all parameters: the fewest calls of the implementations PyTorch has.
        self.optimizer = torch.optim.SGD(
            self.model.parameters(), lr=learning_rate, momentum=MOMENTUM, nesterov=True, fused=True
        )
        self._loss, self._probabilities = self._loss_of_batch, self._probabilities_of_batch
        if compiled:
            self._loss = torch.compile(self._loss, dynamic=False)
            self._probabilities = torch.compile(self._probabilities, dynamic=False)

    def _loss_of_batch(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return nn.functional.cross_entropy(self.model(x), y)

    def _probabilities_of_batch(self, x: torch.Tensor) -> torch.Tensor:
        return torch.softmax(self.model(x), 1)

    def train(self, i: int) -> float:
        self.model.train()
        self.optimizer.zero_grad()
        loss = self._loss(*self.batches[i % len(self.batches)])
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def infer(self, i: int) -> torch.Tensor:
        self.model.eval()
        with torch.inference_mode():
            return self._probabilities(self.batches[i % len(self.batches)][0])

    def probabilities(self) -> np.ndarray:
        return self.infer(0).numpy().copy()

    def weights(self) -> Weights:
        arrays = [parameter.detach().numpy().copy() for parameter in self.model.parameters()]
        return channels_last(self.network, arrays)


class RivalLayer(LayerContestant):
    def __init__(self, x: Any, kernel: Any, bias: Any, dy: Any, channels_last: bool = False):
        memory = torch.channels_last if channels_last else torch.contiguous_format

        def tensor(array: np.ndarray, *axes: int) -> torch.Tensor:
            return torch.from_numpy(array).permute(axes).contiguous(memory_format=memory)

        self.x, self.dy = tensor(x, 0, 3, 1, 2), tensor(dy, 0, 3, 1, 2)
        self.kernel, self.bias = tensor(kernel, 3, 2, 0, 1), torch.from_numpy(bias)

    def steps(self) -> dict[str, Callable[[int], object]]:
        x, kernel, bias, dy = self.x, self.kernel, self.bias, self.dy
        pads, ones, zeros = [kernel.shape[2] // 2] * 2, [1, 1], [0, 0]

        def forward(i: int) -> torch.Tensor:
            with torch.inference_mode():
                return nn.functional.conv2d(x, kernel, bias, padding=pads)

        def backward(want: list[bool]) -> Any:
            # The operation that autograd runs, asked for some of its three results.
            return torch.ops.aten.convolution_backward(
                dy, x, kernel, [len(bias)], ones, pads, ones, False, zeros, 1, want
            )

        return {
            "forward": forward,
            "backward-data": lambda i: backward([True, False, False])[0],
            "backward-kernel": lambda i: backward([False, True, True])[1],
        }

    def to_numpy(self, mode: str, result: Any) -> np.ndarray:
        axes = (2, 3, 1, 0) if mode == "backward-kernel" else (0, 2, 3, 1)
        return np.ascontiguousarray(result.numpy().transpose(axes))


def version() -> str:
    return f"torch {torch.__version__} ({torch.backends.cpu.get_cpu_capability()})"
