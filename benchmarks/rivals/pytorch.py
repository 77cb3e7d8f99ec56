"""PyTorch: eager or compiled, its arrays NCHW in memory or channels last."""

from __future__ import annotations

import os
from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.description import (
    Activation,
    BatchNorm,
    Branches,
    Chain,
    Concat,
    Conv,
    Dense,
    Depthwise,
    Dropout,
    GlobalPool,
    Layer,
    Network,
    Pool,
    Shape,
    Transposed,
    Upsample,
    Weights,
    channels_first,
    channels_last,
)
from benchmarks.rivals import MOMENTUM, LayerContestant, NetworkContestant

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)

torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))


class Joined(nn.Module):
    """The ends of several chains, added or one after another along the channels."""

    def __init__(self, chains: list[nn.Module], concat: bool):
        super().__init__()
        self.chains, self.concat = nn.ModuleList(chains), concat

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        ends = [chain(x) for chain in self.chains]
        if self.concat:
            return torch.cat(ends, 1)
        y = ends[0]
        for end in ends[1:]:
            y = y + end
        return y


class Builder:
    """The network up to its logits, and its modules with weights in the order of the description."""

    def __init__(self, network: Network):
        self.weighted: list[tuple[nn.Module, Shape]] = []  # with the shape of its input
        self.model = self._chain(network.layers, network.input_shape)
        if network.head != "linear":
            self.model = self.model[:-1]  # the loss begins at the logits

    def _chain(self, chain: Chain, below: Shape) -> nn.Sequential:
        modules: list[nn.Module] = []
        for layer in chain:
            if isinstance(layer, Branches):
                chains = [self._chain(branch, below) for branch in layer.chains]
                modules.append(Joined(chains, isinstance(layer, Concat)))
            elif isinstance(layer, Activation):
                # In place, but never on what another chain has as its input too.
                modules.append(_activation(layer.function, in_place=bool(modules)))
            else:
                modules += self._modules(layer, below)
            below = layer.output_shape(below)
        return nn.Sequential(*modules)

    def _modules(self, layer: Layer, below: Shape) -> list[nn.Module]:
        before: list[nn.Module] = []
        if isinstance(layer, (Conv, Depthwise)):
            channels = layer.output_shape(below)[2]
            groups = below[2] if isinstance(layer, Depthwise) else 1
            (above, under), (left, right) = layer.pads(below)
            even = above == under and left == right
            how: dict[str, Any] = {"stride": layer.stride, "groups": groups, "bias": layer.bias}
            how |= {"padding": (above, left)} if even else {}
            before = [] if even else [nn.ZeroPad2d((left, right, above, under))]
            module: nn.Module = nn.Conv2d(below[2], channels, layer.size, **how)
        elif isinstance(layer, Transposed):
            module = nn.ConvTranspose2d(below[2], layer.filters, layer.size, layer.size, bias=layer.bias)
        elif isinstance(layer, Dense):
            before = [nn.Flatten()] if len(below) == 3 else []
            module = nn.Linear(prod(below), layer.units, bias=layer.bias)
        elif isinstance(layer, BatchNorm):
            kind = nn.BatchNorm2d if len(below) == 3 else nn.BatchNorm1d
            module = kind(below[-1], layer.epsilon, 1 - layer.momentum)
        elif isinstance(layer, Pool):
            module = (nn.MaxPool2d if layer.kind == "max" else nn.AvgPool2d)(layer.size, layer.step)
        elif isinstance(layer, GlobalPool):
            kinds = {"max": nn.AdaptiveMaxPool2d, "average": nn.AdaptiveAvgPool2d}
            return [kinds[layer.kind](1), nn.Flatten()]
        elif isinstance(layer, Upsample):
            return [nn.Upsample(scale_factor=layer.size)]
        else:
            assert isinstance(layer, Dropout)
            return [nn.Dropout(layer.rate)]
        if layer.weights(below):
            self.weighted.append((module, below))
        activation = getattr(layer, "activation", "linear")
        return [*before, module, *([] if activation == "linear" else [_activation(activation, True)])]

    def weights(self) -> list[torch.Tensor]:
        """Parameters and moving statistics."""
        return [weight for module, _ in self.weighted for weight in _weights(module)]


def _weights(module: nn.Module) -> list[torch.Tensor]:
    names = ("weight", "bias", "running_mean", "running_var")
    found = (getattr(module, name, None) for name in names)
    return [weight for weight in found if weight is not None]


def _activation(function: str, in_place: bool) -> nn.Module:
    if function == "relu":
        return nn.ReLU(in_place)
    return {"tanh": nn.Tanh(), "sigmoid": nn.Sigmoid(), "softmax": nn.Softmax(1)}[function]


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
        self.builder = Builder(network)
        with torch.no_grad():
            for weight, value in zip(self.builder.weights(), channels_first(network, weights), strict=True):
                weight.copy_(torch.from_numpy(value))
        self.model = self.builder.model.to(memory_format=memory)
        self.start = {
            module: module.running_var.clone()
            for module, _ in self.builder.weighted
            if isinstance(module, NORMS)
        }

        def tensor(array: np.ndarray) -> torch.Tensor:
            found = torch.from_numpy(array)
            return found.permute(0, 3, 1, 2).contiguous(memory_format=memory) if found.ndim == 4 else found

        self.batches = [(tensor(x), tensor(y)) for x, y in batches]
        # One kernel for all parameters: the fewest calls of the implementations PyTorch has.
        self.optimizer = torch.optim.SGD(
            self.model.parameters(), lr=learning_rate, momentum=MOMENTUM, nesterov=True, fused=True
        )
        self._loss, self._outputs = self._loss_of_batch, self._outputs_of_batch
        if compiled:
            torch.compiler.reset()  # after some recompilations of one function it would be left uncompiled
            self._loss = torch.compile(self._loss, dynamic=False)
            self._outputs = torch.compile(self._outputs, dynamic=False)

    def _loss_of_batch(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        if self.network.head == "sigmoid":
            return nn.functional.binary_cross_entropy_with_logits(self.model(x), y)
        return nn.functional.cross_entropy(self.model(x), y)

    def _outputs_of_batch(self, x: torch.Tensor) -> torch.Tensor:
        logits = self.model(x)
        if self.network.head == "linear":
            return logits
        return torch.sigmoid(logits) if self.network.head == "sigmoid" else torch.softmax(logits, 1)

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
            return self._outputs(self.batches[i % len(self.batches)][0])

    def outputs(self) -> np.ndarray:
        return np.moveaxis(self.infer(0).numpy(), 1, -1).copy()

    def weights(self) -> Weights:
        arrays = []
        for module, below in self.builder.weighted:
            arrays += [weight.detach().numpy().copy() for weight in _weights(module)]
            if isinstance(module, NORMS):
                arrays[-1] = self._moving_variance(module, len(self.batches[0][0]) * prod(below[:-1]))
        return channels_last(self.network, arrays)

    def _moving_variance(self, module: Any, count: int) -> np.ndarray:
        """As Keras has it: PyTorch moves it by each batch's sum of squares over count - 1, Keras by that over
        count. The rest of the start is taken off before that is corrected.
        """
        rest = self.start[module] * (1 - module.momentum) ** module.num_batches_tracked
        return (rest + (module.running_var - rest) * (count - 1) / count).numpy()


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
