"""NumPy as its users write a network: im2col and matrix products.

In float64 it is also the answer that everyone is held to. Dropout it leaves out. A stage keeps what its last
forward pass saw, and so can tell how far from falling otherwise each of its decisions was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from benchmarks import numpy_conv
from benchmarks.description import (
    Activation,
    Batch,
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
    Pads,
    Pool,
    Shape,
    Transposed,
    Upsample,
    Weights,
)
from benchmarks.rivals import MOMENTUM, LayerContestant, NetworkContestant

Array = np.ndarray


def im2col(x: Array, f: int, stride: int, pads: Pads) -> Array:
    """(N, H, W, C) -> (N, OH, OW, f f C): what lies under the kernel at each output."""
    windows = np.lib.stride_tricks.sliding_window_view(
        np.pad(x, ((0, 0), *pads, (0, 0))), (f, f), axis=(1, 2)
    )
    windows = windows[:, ::stride, ::stride].transpose(0, 1, 2, 4, 5, 3)
    return windows.reshape(*windows.shape[:3], -1)


def taps(shape: Shape, f: int, stride: int) -> Iterator[tuple[int, int, tuple[slice, ...]]]:
    """For each place (i, j) of a window, the pixels that lie there, one for each of (OH, OW) outputs."""
    OH, OW = shape
    for i in range(f):
        for j in range(f):
            rows, columns = (
                slice(i, i + (OH - 1) * stride + 1, stride),
                slice(j, j + (OW - 1) * stride + 1, stride),
            )
            yield i, j, (slice(None), rows, columns)


def zeros_around(shape: Shape, pads: Pads, dtype: np.dtype) -> tuple[Array, Array]:
    """A padded image of zeros, and the image within it."""
    N, H, W, C = shape
    (above, below), (left, right) = pads
    padded = np.zeros((N, H + above + below, W + left + right, C), dtype)
    return padded, padded[:, above : above + H, left : left + W]


def rms(x: Array) -> float:
    """The root of the mean square."""
    return float(np.sqrt(np.mean(x * x)))


def softmax(z: Array) -> Array:
    powers = np.exp(z - z.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def sigmoid(z: Array) -> Array:
    return 1 / (1 + np.exp(-z))


class Stage:
    """A layer: its weights, of which the first ``learned`` have a gradient (all, where it is None)."""

    learned: int | None = None

    def __init__(self) -> None:
        self.weights: Weights = []

    def forward(self, x: Array, training: bool) -> Array:
        raise NotImplementedError

    def backward(self, dy: Array, wanted: bool) -> tuple[Array | None, Weights]:
        """The gradients of the input (None where it is not ``wanted``) and of the weights."""
        raise NotImplementedError

    def decisions(self) -> Array | None:
        """For each decision of the last forward pass, (N, ...), how far it was from falling otherwise."""
        return None

    def leaves(self) -> Iterator[Stage]:
        yield self


class ConvStage(Stage):
    def __init__(self, layer: Conv, kernel: Array, bias: Array | None):
        self.layer, self.bias = layer, bias is not None
        self.weights = [kernel] if bias is None else [kernel, bias]

    def forward(self, x: Array, training: bool) -> Array:
        self.shape, self.pads = x.shape, self.layer.pads(x.shape[1:])
        self.columns = im2col(x, self.layer.size, self.layer.stride, self.pads)
        kernel = self.weights[0]
        z = self.columns @ kernel.reshape(-1, kernel.shape[3])
        return z + self.weights[1] if self.bias else z

    def backward(self, dy: Array, wanted: bool) -> tuple[Array | None, Weights]:
        kernel, flat = self.weights[0], dy.reshape(-1, dy.shape[3])
        gradients = [(self.columns.reshape(len(flat), -1).T @ flat).reshape(kernel.shape)]
        gradients += [flat.sum(0)] if self.bias else []
        if not wanted:
            return None, gradients
        columns = (flat @ kernel.reshape(-1, dy.shape[3]).T).reshape(*dy.shape[:3], *kernel.shape[:3])
        padded, dx = zeros_around(self.shape, self.pads, dy.dtype)
        for i, j, under in taps(dy.shape[1:3], self.layer.size, self.layer.stride):
            padded[under] += columns[:, :, :, i, j]
        return dx, gradients


class DepthwiseStage(Stage):
    def __init__(self, layer: Depthwise, kernel: Array, bias: Array | None):
        self.layer, self.bias = layer, bias is not None
        self.weights = [kernel] if bias is None else [kernel, bias]

    def forward(self, x: Array, training: bool) -> Array:
        self.shape, self.pads = x.shape, self.layer.pads(x.shape[1:])
        self.padded = np.pad(x, ((0, 0), *self.pads, (0, 0)))
        OH, OW, C = self.layer.output_shape(x.shape[1:])
        z = np.zeros((len(x), OH, OW, C), x.dtype)
        for i, j, under in taps((OH, OW), self.layer.size, self.layer.stride):
            z += self.padded[under] * self.weights[0][i, j, :, 0]
        return z + self.weights[1] if self.bias else z

    def backward(self, dy: Array, wanted: bool) -> tuple[Array | None, Weights]:
        kernel = self.weights[0]
        gradient = np.empty_like(kernel)
        padded, dx = zeros_around(self.shape, self.pads, dy.dtype)
        for i, j, under in taps(dy.shape[1:3], self.layer.size, self.layer.stride):
            gradient[i, j, :, 0] = np.einsum("nhwc,nhwc->c", self.padded[under], dy)
            padded[under] += dy * kernel[i, j, :, 0]
        return dx, [gradient, dy.sum((0, 1, 2))] if self.bias else [gradient]


class TransposedStage(Stage):
    """Windows lie side by side: a matrix product, whose rows are then put in place."""

    def __init__(self, layer: Transposed, kernel: Array, bias: Array | None):
        self.size, self.bias = layer.size, bias is not None
        self.weights = [kernel] if bias is None else [kernel, bias]

    def forward(self, x: Array, training: bool) -> Array:
        self.x, f = x, self.size
        N, H, W, C = x.shape
        windows = (x.reshape(-1, C) @ self.weights[0].reshape(-1, C).T).reshape(N, H, W, f, f, -1)
        z = windows.transpose(0, 1, 3, 2, 4, 5).reshape(N, H * f, W * f, -1)
        return z + self.weights[1] if self.bias else z

    def backward(self, dy: Array, wanted: bool) -> tuple[Array | None, Weights]:
        kernel, f = self.weights[0], self.size
        N, H, W, C = self.x.shape
        windows = dy.reshape(N, H, f, W, f, -1).transpose(0, 1, 3, 2, 4, 5).reshape(N * H * W, -1)
        gradients = [(windows.T @ self.x.reshape(-1, C)).reshape(kernel.shape)]
        gradients += [dy.sum((0, 1, 2))] if self.bias else []
        return (windows @ kernel.reshape(-1, C)).reshape(self.x.shape), gradients


class DenseStage(Stage):
    def __init__(self, layer: Dense, kernel: Array, bias: Array | None):
        self.bias = bias is not None
        self.weights = [kernel] if bias is None else [kernel, bias]

    def forward(self, x: Array, training: bool) -> Array:
        self.shape, self.flat = x.shape, x.reshape(len(x), -1)
        z = self.flat @ self.weights[0]
        return z + self.weights[1] if self.bias else z

    def backward(self, dy: Array, wanted: bool) -> tuple[Array | None, Weights]:
        gradients = [self.flat.T @ dy] + ([dy.sum(0)] if self.bias else [])
        return (dy @ self.weights[0].T).reshape(self.shape), gradients


class BatchNormStage(Stage):
    learned = 2

    def __init__(self, layer: BatchNorm, scale: Array, bias: Array, mean: Array, variance: Array):
        self.layer, self.momentum = layer, layer.momentum
        self.weights = [scale, bias, mean, variance]

    def forward(self, x: Array, training: bool) -> Array:
        scale, bias, mean, variance = self.weights
        if training:
            axes = tuple(range(x.ndim - 1))
            statistics = (x.mean(axes), x.var(axes))
            for moving, now in zip((mean, variance), statistics, strict=True):
                moving *= self.momentum
                moving += (1 - self.momentum) * now
            mean, variance = statistics
        self.deviation = np.sqrt(variance + self.layer.epsilon)
        self.normal = (x - mean) / self.deviation
        return self.normal * scale + bias

    def backward(self, dy: Array, wanted: bool) -> tuple[Array | None, Weights]:
        axes = tuple(range(dy.ndim - 1))
        gradients = [(dy * self.normal).sum(axes), dy.sum(axes)]
        count = dy.size // dy.shape[-1]
        dx = dy - (self.normal * gradients[0] + gradients[1]) / count
        return dx * (self.weights[0] / self.deviation), gradients


class ActivationStage(Stage):
    def __init__(self, function: str):
        super().__init__()
        self.function = function

    def forward(self, x: Array, training: bool) -> Array:
        self.x = x
        functions = {"relu": lambda x: np.maximum(x, 0), "tanh": np.tanh, "sigmoid": sigmoid}
        self.y = functions[self.function](x)
        return self.y

    def decisions(self) -> Array | None:
        return np.abs(self.x) / rms(self.x) if self.function == "relu" else None

    def backward(self, dy: Array, wanted: bool) -> tuple[Array, Weights]:
        slopes = {
            "relu": lambda x, y: x > 0,
            "tanh": lambda x, y: 1 - y * y,
            "sigmoid": lambda x, y: y * (1 - y),
        }
        return dy * slopes[self.function](self.x, self.y), []


class PoolStage(Stage):
    def __init__(self, layer: Pool):
        super().__init__()
        self.layer, self.largest = layer, layer.kind == "max"

    def forward(self, x: Array, training: bool) -> Array:
        self.shape = x.shape
        self.places = list(taps(self.layer.output_shape(x.shape[1:])[:2], self.layer.size, self.layer.step))
        self.values = np.stack([x[under] for _, _, under in self.places])
        return self.values.max(0) if self.largest else self.values.mean(0)

    def decisions(self) -> Array | None:
        return _lead(self.values) if self.largest else None

    def backward(self, dy: Array, wanted: bool) -> tuple[Array, Weights]:
        winner = self.values.argmax(0) if self.largest else None
        dx = np.zeros(self.shape, dy.dtype)
        for tap, (_, _, under) in enumerate(self.places):
            dx[under] += dy / len(self.places) if winner is None else dy * (winner == tap)
        return dx, []


class GlobalPoolStage(Stage):
    def __init__(self, layer: GlobalPool):
        super().__init__()
        self.largest = layer.kind == "max"

    def forward(self, x: Array, training: bool) -> Array:
        self.x = x
        return x.max((1, 2)) if self.largest else x.mean((1, 2))

    def decisions(self) -> Array | None:
        N, H, W, C = self.x.shape
        return _lead(self.x.reshape(N, H * W, C).swapaxes(0, 1)) if self.largest else None

    def backward(self, dy: Array, wanted: bool) -> tuple[Array, Weights]:
        N, H, W, C = self.x.shape
        dx = np.zeros((N, H * W, C), dy.dtype)
        if self.largest:
            winner = self.x.reshape(N, H * W, C).argmax(1)
            np.put_along_axis(dx, winner[:, None], dy[:, None], 1)
        else:
            dx += dy[:, None] / (H * W)
        return dx.reshape(self.x.shape), []


def _lead(values: Array) -> Array:
    """The largest along the first axis over the second; where both are zero it is the rectifier below that
    decided."""
    if len(values) == 1:
        return np.full(values.shape[1:], np.inf)
    second, first = np.partition(values, len(values) - 2, axis=0)[-2:]
    return np.where(first != 0, first - second, np.inf) / rms(first)


class UpsampleStage(Stage):
    def __init__(self, layer: Upsample):
        super().__init__()
        self.size = layer.size

    def forward(self, x: Array, training: bool) -> Array:
        return x.repeat(self.size, 1).repeat(self.size, 2)

    def backward(self, dy: Array, wanted: bool) -> tuple[Array, Weights]:
        (N, H, W, C), f = dy.shape, self.size
        return dy.reshape(N, H // f, f, W // f, f, C).sum((2, 4)), []


class ChainStage(Stage):
    def __init__(self, stages: list[Stage]):
        self.stages = stages

    def forward(self, x: Array, training: bool) -> Array:
        for stage in self.stages:
            x = stage.forward(x, training)
        return x

    def backward(self, dy: Array | None, wanted: bool) -> tuple[Array | None, Weights]:
        gradients: Weights = []
        for stage in reversed(self.stages):
            assert dy is not None
            dy, found = stage.backward(dy, wanted or stage is not self.stages[0])
            gradients = found + gradients
        return dy, gradients

    def leaves(self) -> Iterator[Stage]:
        for stage in self.stages:
            yield from stage.leaves()


class BranchesStage(Stage):
    def __init__(self, chains: list[ChainStage], concat: bool):
        self.chains, self.concat = chains, concat

    def forward(self, x: Array, training: bool) -> Array:
        ends = [chain.forward(x, training) for chain in self.chains]
        self.edges = np.cumsum([end.shape[-1] for end in ends])[:-1]
        return np.concatenate(ends, -1) if self.concat else sum(ends[1:], ends[0])

    def backward(self, dy: Array, wanted: bool) -> tuple[Array | None, Weights]:
        parts = np.split(dy, self.edges, -1) if self.concat else [dy] * len(self.chains)
        found = [chain.backward(part, wanted) for chain, part in zip(self.chains, parts, strict=True)]
        dx = sum(dx for dx, _ in found) if wanted else None  # type: ignore[misc]
        return dx, [gradient for _, gradients in found for gradient in gradients]

    def leaves(self) -> Iterator[Stage]:
        for chain in self.chains:
            yield from chain.leaves()


STAGES: dict[type[Layer], Callable[..., Stage]] = {
    Conv: ConvStage,
    Depthwise: DepthwiseStage,
    Transposed: TransposedStage,
    Dense: DenseStage,
    BatchNorm: BatchNormStage,
    Pool: PoolStage,
    GlobalPool: GlobalPoolStage,
    Upsample: UpsampleStage,
}


class RivalNetwork(NetworkContestant):
    def __init__(
        self,
        network: Network,
        weights: Weights,
        batches: list[Batch],
        learning_rate: float,
        dtype: type = np.float32,
    ):
        values = iter([weight.astype(dtype) for weight in weights])
        self.chain, _ = self._chain(network.layers, network.input_shape, values)
        self.head = network.head
        if self.head != "linear":
            self.chain.stages.pop()  # the loss begins at the logits
        learned = (weight for stage in self.chain.leaves() for weight in stage.weights[: stage.learned])
        self.learned = list(learned)
        self.velocity = [np.zeros_like(weight) for weight in self.learned]
        self.batches = [(x.astype(dtype), y) for x, y in batches]
        self.dtype, self.learning_rate = dtype, learning_rate

    def _chain(self, layers: Chain, shape: Shape, values: Iterator[Array]) -> tuple[ChainStage, Shape]:
        stages: list[Stage] = []
        for layer in layers:
            if isinstance(layer, Branches):
                chains = [self._chain(chain, shape, values)[0] for chain in layer.chains]
                stages.append(BranchesStage(chains, isinstance(layer, Concat)))
            elif isinstance(layer, Activation):
                stages.append(ActivationStage(layer.function))
            elif not isinstance(layer, Dropout):
                own = [next(values) for _ in layer.weights(shape)]
                missing = [None] * (not getattr(layer, "bias", True))
                stages.append(STAGES[type(layer)](layer, *own, *missing))
                if getattr(layer, "activation", "linear") != "linear":
                    stages.append(ActivationStage(layer.activation))  # type: ignore[attr-defined]
            shape = layer.output_shape(shape)
        return ChainStage(stages), shape

    def train(self, i: int) -> float:
        return self.learn(*self.batches[i % len(self.batches)])

    def learn(self, x: Array, labels: Array) -> float:
        """One step; returns the loss before it."""
        loss, gradients = self.gradients(x, labels)
        for value, velocity, gradient in zip(self.learned, self.velocity, gradients, strict=True):
            velocity *= MOMENTUM
            velocity -= self.learning_rate * gradient
            value += MOMENTUM * velocity - self.learning_rate * gradient
        return loss

    def gradients(self, x: Array, labels: Array) -> tuple[float, Weights]:
        """The mean loss, and its gradient for each weight that learns."""
        losses = self.losses(x, labels)
        dy = self.predicted.copy()
        if self.head == "sigmoid":
            dy -= labels.astype(self.dtype)
        else:
            np.put_along_axis(dy, labels[..., None], np.take_along_axis(dy, labels[..., None], -1) - 1, -1)
        _, gradients = self.chain.backward(dy / labels.size, wanted=False)
        return float(losses.mean()), gradients

    def losses(self, x: Array, labels: Array) -> Array:
        """For each image, or each of its pixels, -log of the probability that the label has in training."""
        z = self.chain.forward(x.astype(self.dtype, copy=False), training=True)
        self.predicted = sigmoid(z) if self.head == "sigmoid" else softmax(z)
        if self.head == "sigmoid":
            return -np.log(np.where(labels > 0, self.predicted, 1 - self.predicted))
        return -np.log(np.take_along_axis(self.predicted, labels[..., None], -1))

    def infer(self, i: int) -> Array:
        return self._outputs(self.chain.forward(self.batches[i % len(self.batches)][0], training=False))

    def _outputs(self, z: Array) -> Array:
        return {"softmax": softmax, "sigmoid": sigmoid, "linear": lambda z: z}[self.head](z)

    def outputs(self) -> Array:
        return self.infer(0)

    def weights(self) -> Weights:
        return [weight.copy() for stage in self.chain.leaves() for weight in stage.weights]


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
