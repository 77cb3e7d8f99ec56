"""The convolutions that are raced: those of the networks the project is about, padding "same", stride 1."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class ConvLayer(NamedTuple):
    """A convolution of ``size`` x ``size`` images of ``C_in`` channels with f x f kernels."""

    name: str
    size: int
    C_in: int
    C_out: int
    f: int

    def operations(self, batch: int) -> int:
        """Floating-point operations of one pass: a multiplication and an addition for each tap.

        Taps that fall into the padding count as well, as is the custom.
        """
        return 2 * batch * self.size**2 * self.C_out * self.f**2 * self.C_in


LAYERS = [
    ConvLayer("lenet-c1", 28, 1, 6, 5),
    ConvLayer("lenet-c3", 14, 6, 16, 5),
    ConvLayer("cs231n-10", 32, 10, 10, 3),
    ConvLayer("convnetjs-2", 16, 16, 20, 5),
    ConvLayer("fashion-1", 28, 1, 64, 7),
    ConvLayer("fashion-3", 14, 128, 128, 3),
    ConvLayer("fashion-5", 7, 256, 256, 3),
]
LAYER_NAMES = [layer.name for layer in LAYERS]


def layer_operands(name: str, batch: int) -> tuple[np.ndarray, ...]:
    """x, kernel, bias, dy of the layer of that name."""
    layer = next(layer for layer in LAYERS if layer.name == name)
    image, rng = (batch, layer.size, layer.size), np.random.default_rng(0)
    kernel_shape = (layer.f, layer.f, layer.C_in, layer.C_out)
    shapes = [(*image, layer.C_in), kernel_shape, (layer.C_out,), (*image, layer.C_out)]
    x, kernel, bias, dy = (rng.standard_normal(shape, np.float32) for shape in shapes)
    return x, kernel / np.sqrt(np.prod(kernel_shape[:3])).astype(np.float32), bias, dy
