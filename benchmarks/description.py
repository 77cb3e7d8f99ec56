"""The language in which networks are described: layers, how they are joined, and what their weights are.

A network is a chain of layers. ``Sum`` and ``Concat`` are layers of several chains that start from the same
tensor, the empty one handing it on as it is; so residual blocks, dense blocks, inception and the U-Net are
chains too.

Images are (H, W, C), kernels (KH, KW, C_in, C_out), those of depthwise convolutions (KH, KW, C, 1), those of
transposed ones (KH, KW, C_out, C_in), dense kernels (in, out), a dense layer sees pixels in the order of
NHWC: the common layout of weights, which is that of Keras. ``channels_first`` converts it for frameworks that
want that. Defaults are those of Keras but for ``padding``, which is "same".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import prod, sqrt
from typing import NamedTuple

import numpy as np

Shape = tuple[int, ...]
Weights = list[np.ndarray]  # of each layer in turn, in the order of its ``weights``
Batch = tuple[np.ndarray, np.ndarray]  # images (N, H, W, C), labels (N, ...)
Pads = tuple[tuple[int, int], tuple[int, int]]  # zeros above and below, left and right
Chain = tuple["Layer", ...]

KERNELS = ("kernel", "depthwise", "transposed", "dense")
STATISTICS = ("mean", "variance")  # of batch norm, moving: they have no gradient


class Weight(NamedTuple):
    """One array of a layer's weights, and the shape of the layer's input."""

    kind: str  # one of KERNELS or STATISTICS, "bias" or "scale"
    shape: Shape
    below: Shape


class Layer:
    """Base of the layers; what is here holds for those without weights that keep the shape."""

    def output_shape(self, below: Shape) -> Shape:
        return below

    def weights(self, below: Shape) -> list[Weight]:
        return []

    def products(self, below: Shape) -> int:
        """Multiplications of inputs with weights, for one image."""
        return 0


class _Weighted(Layer):
    """Base of the layers with a kernel, whose result ``activation`` is applied to."""

    activation: str
    bias: bool

    def kernel(self, below: Shape) -> tuple[str, Shape]:
        """Its kind and shape."""
        raise NotImplementedError

    def weights(self, below: Shape) -> list[Weight]:
        kind, shape = self.kernel(below)
        found = [Weight(kind, shape, below)]
        if self.bias:
            found.append(Weight("bias", self.output_shape(below)[-1:], below))
        return found

    def __str__(self) -> str:
        options = [] if self.bias else ["without bias"]
        options += [] if self.activation == "linear" else [self.activation]
        return " ".join([self.title(), *options])

    def title(self) -> str:
        raise NotImplementedError


def _sliding_size(size: int, window: int, stride: int, padding: str) -> int:
    if padding == "same":
        return -(-size // stride)
    if size < window:
        raise ValueError(f"a window of {window} pixels does not fit into {size}; use padding='same'")
    return (size - window) // stride + 1


class _Convolution(_Weighted):
    """Base of the two convolutions: a window of size x size, moved by ``stride`` pixels."""

    size: int
    padding: str
    stride: int

    def pads(self, below: Shape) -> Pads:
        """TensorFlow's: of an odd number of zeros the larger half comes after the image."""
        if self.padding == "valid":
            return (0, 0), (0, 0)
        totals = [max((-(-n // self.stride) - 1) * self.stride + self.size - n, 0) for n in below[:2]]
        above, left = (total // 2 for total in totals)
        return (above, totals[0] - above), (left, totals[1] - left)

    def _pixels(self, below: Shape) -> Shape:
        return tuple(_sliding_size(n, self.size, self.stride, self.padding) for n in below[:2])

    def _sliding(self) -> str:
        """How the window moves, but for what is usual."""
        stride = f" stride {self.stride}" if self.stride > 1 else ""
        return f"{self.size}x{self.size}{stride}" + (" valid" if self.padding == "valid" else "")


@dataclass(frozen=True)
class Conv(_Convolution):
    """``filters`` kernels of size x size."""

    filters: int
    size: int
    activation: str = "linear"
    padding: str = "same"
    stride: int = 1
    bias: bool = True

    def output_shape(self, below: Shape) -> Shape:
        return (*self._pixels(below), self.filters)

    def kernel(self, below: Shape) -> tuple[str, Shape]:
        return "kernel", (self.size, self.size, below[2], self.filters)

    def products(self, below: Shape) -> int:
        return prod(self.output_shape(below)) * self.size**2 * below[2]

    def title(self) -> str:
        return f"conv {self.filters} {self._sliding()}"


@dataclass(frozen=True)
class Depthwise(_Convolution):
    """One kernel of size x size for each channel, which sees that channel alone."""

    size: int
    activation: str = "linear"
    padding: str = "same"
    stride: int = 1
    bias: bool = True

    def output_shape(self, below: Shape) -> Shape:
        return (*self._pixels(below), below[2])

    def kernel(self, below: Shape) -> tuple[str, Shape]:
        return "depthwise", (self.size, self.size, below[2], 1)

    def products(self, below: Shape) -> int:
        return prod(self.output_shape(below)) * self.size**2

    def title(self) -> str:
        return f"depthwise {self._sliding()}"


@dataclass(frozen=True)
class Transposed(_Weighted):
    """A transposed convolution whose windows lie side by side: size x size pixels for each."""

    filters: int
    size: int
    activation: str = "linear"
    bias: bool = True

    def output_shape(self, below: Shape) -> Shape:
        return (below[0] * self.size, below[1] * self.size, self.filters)

    def kernel(self, below: Shape) -> tuple[str, Shape]:
        return "transposed", (self.size, self.size, self.filters, below[2])

    def products(self, below: Shape) -> int:
        return prod(self.output_shape(below)) * below[2]

    def title(self) -> str:
        return f"transposed {self.filters} {self.size}x{self.size}"


@dataclass(frozen=True)
class Dense(_Weighted):
    """Every unit sees everything below it."""

    units: int
    activation: str = "linear"
    bias: bool = True

    def output_shape(self, below: Shape) -> Shape:
        return (self.units,)

    def kernel(self, below: Shape) -> tuple[str, Shape]:
        return "dense", (prod(below), self.units)

    def products(self, below: Shape) -> int:
        return prod(below) * self.units

    def title(self) -> str:
        return f"dense {self.units}"


@dataclass(frozen=True)
class BatchNorm(Layer):
    momentum: float = 0.99
    epsilon: float = 1e-3

    def weights(self, below: Shape) -> list[Weight]:
        return [Weight(kind, below[-1:], below) for kind in ("scale", "bias", "mean", "variance")]

    def __str__(self) -> str:
        return "batch norm"


@dataclass(frozen=True)
class Activation(Layer):
    function: str  # "relu", "tanh", "sigmoid" or "softmax"

    def __str__(self) -> str:
        return self.function


@dataclass(frozen=True)
class Pool(Layer):
    """Windows of size x size within the image; ``stride`` is ``size`` where it is None."""

    kind: str  # "max" or "average"
    size: int = 2
    stride: int | None = None

    @property
    def step(self) -> int:
        return self.stride or self.size

    def output_shape(self, below: Shape) -> Shape:
        H, W = (_sliding_size(n, self.size, self.step, "valid") for n in below[:2])
        return (H, W, below[2])

    def __str__(self) -> str:
        return f"{self.kind} {self.size}" + (f" stride {self.step}" if self.step != self.size else "")


@dataclass(frozen=True)
class GlobalPool(Layer):
    """(H, W, C) -> (C,)"""

    kind: str  # "max" or "average"

    def output_shape(self, below: Shape) -> Shape:
        return below[2:]

    def __str__(self) -> str:
        return f"global {self.kind}"


@dataclass(frozen=True)
class Upsample(Layer):
    """Every pixel size x size times."""

    size: int

    def output_shape(self, below: Shape) -> Shape:
        return (below[0] * self.size, below[1] * self.size, below[2])

    def __str__(self) -> str:
        return f"upsample {self.size}"


@dataclass(frozen=True)
class Dropout(Layer):
    rate: float

    def __str__(self) -> str:
        return f"dropout {self.rate:g}"


@dataclass(frozen=True)
class Branches(Layer):
    """Base of what joins the ends of several chains that all start from the layer's input."""

    chains: tuple[Chain, ...]

    def ends(self, below: Shape) -> list[Shape]:
        """The output shape of each chain."""
        return [_end(chain, below) for chain in self.chains]

    def products(self, below: Shape) -> int:
        return sum(layer.products(shape) for layer, shape in leaves(self.chains, below))

    def __str__(self) -> str:
        return f"{type(self).__name__.lower()}({' | '.join(map(text, self.chains))})"


@dataclass(frozen=True)
class Sum(Branches):
    def output_shape(self, below: Shape) -> Shape:
        first, *others = self.ends(below)
        if any(other != first for other in others):
            raise ValueError(f"Sum: chains must end in one shape; got {[first, *others]}")
        return first


@dataclass(frozen=True)
class Concat(Branches):
    """Along the channels."""

    def output_shape(self, below: Shape) -> Shape:
        first, *others = ends = self.ends(below)
        if any(other[:-1] != first[:-1] for other in others):
            raise ValueError(f"Concat: chains must end in images of one size; got {ends}")
        return (*first[:-1], sum(end[-1] for end in ends))


def _end(chain: Chain, shape: Shape) -> Shape:
    for layer in chain:
        shape = layer.output_shape(shape)
    return shape


def leaves(chains: tuple[Chain, ...], below: Shape) -> Iterator[tuple[Layer, Shape]]:
    """Every layer that is no ``Branches``, with the shape of its input, in the order of the weights."""
    for chain in chains:
        shape = below
        for layer in chain:
            if isinstance(layer, Branches):
                yield from leaves(layer.chains, shape)
            else:
                yield layer, shape
            shape = layer.output_shape(shape)


def text(chain: Chain) -> str:
    return ", ".join(map(str, chain)) or "identity"


@dataclass(frozen=True)
class Network:
    name: str
    input_shape: tuple[int, int, int]
    layers: Chain

    @property
    def output_shape(self) -> Shape:
        return _end(self.layers, self.input_shape)

    @property
    def head(self) -> str:
        """The last layer's activation, which decides the loss.

        "softmax" and "linear", whose results are logits: sparse categorical cross-entropy; "sigmoid": binary
        cross-entropy. Loss is the mean over images and, where the output is an image, over its pixels.
        """
        last = self.layers[-1]
        return last.function if isinstance(last, Activation) else getattr(last, "activation", "linear")

    @property
    def is_chain(self) -> bool:
        return not any(isinstance(layer, Branches) for layer in self.layers)

    @property
    def mixes_images(self) -> bool:
        """Whether in training an image's result depends on the other images of the batch."""
        return any(isinstance(layer, BatchNorm) for layer, _ in self.leaves())

    def leaves(self) -> list[tuple[Layer, Shape]]:
        """Every layer but ``Branches``, with the shape of its input, in the order of the weights."""
        return list(leaves((self.layers,), self.input_shape))

    def weights(self) -> list[Weight]:
        return [weight for layer, below in self.leaves() for weight in layer.weights(below)]

    @property
    def parameters(self) -> int:
        return sum(prod(weight.shape) for weight in self.weights())

    def initial_weights(self, seed: int = 0) -> Weights:
        """He's uniform distribution where a rectifier follows, else LeCun's, so that values keep their size;
        a tenth of its variance for the last layer, so that no class is all but certain.

        Biases are not 0, nor are scales 1, so that forgetting one shows. Those of batch norm are about 1: if
        each rectifier cut off half of the values, rounding errors would grow from layer to layer, a
        thousandfold in a MobileNet.
        """
        rng = np.random.default_rng(seed)
        found = []
        last = [layer for layer, below in self.leaves() if layer.products(below)][-1]
        for layer, below in self.leaves():
            for kind, shape, _ in layer.weights(below):
                if kind in KERNELS:
                    gain = 2.0 if getattr(layer, "activation", "linear") == "relu" else 1.0
                    gain = 0.1 if layer is last else gain
                    limit = sqrt(3 * gain / _fan_in(kind, shape))
                    value = rng.uniform(-limit, limit, shape)
                elif kind == "mean" or (kind == "bias" and not isinstance(layer, BatchNorm)):
                    value = rng.uniform(-0.05, 0.05, shape)
                else:
                    value = rng.uniform(0.5, 1.5, shape)
                found.append(value.astype(np.float32))
        return found

    def labels(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Classes (N, ...), or for a sigmoid 0 and 1 in the shape of the output (N, ..., 1)."""
        *places, channels = self.output_shape
        if self.head == "sigmoid":
            return rng.integers(0, 2, (count, *places, channels)).astype(np.float32)
        return rng.integers(0, channels, (count, *places))

    def operations(self, training: bool) -> int:
        """Multiplications and additions for one image, of convolutions and dense layers.

        A training step does each layer's three times: forward, back to the kernel, and (but for the first
        layer) back to the data. Taps that fall into the padding count, as is the custom.
        """
        passes = [2 * layer.products(below) for layer, below in self.leaves()]
        first = next(count for count in passes if count)
        return 3 * sum(passes) - first if training else sum(passes)

    def without_dropout(self) -> Network:
        """The same network with nothing random in it: for comparing results."""
        return replace(self, layers=_without_dropout(self.layers))

    def __str__(self) -> str:
        return f"{'x'.join(map(str, self.input_shape))}: {text(self.layers)}" + (
            " (logits)" if self.head == "linear" else ""
        )


def _without_dropout(chain: Chain) -> Chain:
    return tuple(
        replace(layer, chains=tuple(map(_without_dropout, layer.chains)))
        if isinstance(layer, Branches)
        else layer
        for layer in chain
        if not isinstance(layer, Dropout)
    )


def _fan_in(kind: str, shape: Shape) -> int:
    """How many products are added for each output."""
    if kind == "transposed":  # whose windows lie side by side
        return shape[3]
    return prod(shape[:2]) if kind == "depthwise" else prod(shape[:-1])


# ---- layouts


def channels_first(network: Network, weights: Weights) -> Weights:
    """The common layout as (C_out, C_in, KH, KW), depthwise (C, 1, KH, KW), transposed (C_in, C_out, KH, KW)
    and dense (out, in), the dense layer seeing NCHW pixels.
    """
    converted = []
    for (kind, shape, below), value in zip(network.weights(), weights, strict=True):
        if kind == "depthwise":
            value = value.transpose(2, 3, 0, 1)
        elif kind in ("kernel", "transposed"):
            value = value.transpose(3, 2, 0, 1)
        elif kind == "dense" and len(below) == 3:
            value = value.reshape(*below, -1).transpose(3, 2, 0, 1).reshape(shape[1], shape[0])
        elif kind == "dense":
            value = value.T
        converted.append(np.ascontiguousarray(value))
    return converted


def channels_last(network: Network, weights: Weights) -> Weights:
    """The way back from ``channels_first``."""
    converted = []
    for (kind, shape, below), value in zip(network.weights(), weights, strict=True):
        if kind == "depthwise":
            value = value.transpose(2, 3, 0, 1)
        elif kind in ("kernel", "transposed"):
            value = value.transpose(2, 3, 1, 0)
        elif kind == "dense" and len(below) == 3:
            H, W, C = below
            value = value.reshape(-1, C, H, W).transpose(2, 3, 1, 0).reshape(shape)
        elif kind == "dense":
            value = value.T
        converted.append(np.ascontiguousarray(value))
    return converted
