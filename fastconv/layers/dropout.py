"""Dropout and noise: while training, numbers are switched off or changed at random."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastconv import ops
from fastconv._core.checks import is_real
from fastconv.layers._arguments import check_data_format, whole
from fastconv.layers.random_layer import RandomLayer, kept, normal_numbers, share_to_drop
from fastconv.parameter import Array

if TYPE_CHECKING:
    from fastconv.engine.lower import Builder, Tensor

NoiseShape = tuple[int | None, ...]  # of a mask: 1 along axes where it is the same, None for the input's size

# What SELU tends to for x → −∞: −λ·α of Klambauer et al. 2017.
_SELU_MINIMUM = -1.0507009873554805 * 1.6732632423543772


class _DropByMask(RandomLayer):
    """Base of layers that drop each number with probability ``rate``; numbers that share an axis where
    ``noise_shape`` is 1 are dropped together.

    The mask follows from ``draw``: ``_drop`` and ``_drop_backward`` make the same, so that none is kept for
    ``backward``.
    """

    _may_drop_all = True

    def __init__(
        self,
        rate: float,
        noise_shape: Sequence[int | None] | None = None,
        seed: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(seed, **options)
        self.rate = share_to_drop(type(self).__name__, rate, all_of_it=self._may_drop_all)
        self.noise_shape = noise_shape_argument(type(self).__name__, noise_shape)

    def call(self, x: Array, training: bool = False) -> Array:
        if not self.is_random(training) or self.rate == 0:
            self.remember(None)
            return x
        draw = self.draw()
        self.remember(draw)
        return self._drop(x, draw)

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        (draw,) = self.recall()
        if not input_gradient:
            return None
        return dy if draw is None else self._drop_backward(dy, draw)

    def _drop(self, x: Array, draw: tuple[int, int]) -> Array:
        raise NotImplementedError

    def _drop_backward(self, dy: Array, draw: tuple[int, int]) -> Array:
        raise NotImplementedError


class Dropout(_DropByMask):
    """Training: y = x · m / (1 − rate), with m = 0 with probability ``rate`` and 1 otherwise. Else y = x.

    The division (*inverted* dropout) keeps the expected value, E[y] = x, so that nothing changes when dropout
    is off. Numbers that share an axis where ``noise_shape`` is 1 are kept or dropped together; None in it
    stands for the input's size, as in ``noise_shape=(None, 1, 1, None)``.

    Srivastava et al. 2014, *Dropout: a simple way to prevent neural networks from overfitting*.
    """

    def _drop(self, x: Array, draw: tuple[int, int]) -> Array:
        if self.noise_shape is None:
            return ops.dropout(x, self.rate, *draw)
        return x * kept(draw, concrete_shape(self, self.noise_shape, x.shape), self.rate)

    def _drop_backward(self, dy: Array, draw: tuple[int, int]) -> Array:
        return self._drop(dy, draw)

    def lower(self, builder: Builder, x: Tensor) -> Tensor:
        if not self.is_random(builder.training) or self.rate == 0:
            return x
        scale = 1 / (1 - self.rate) if self.rate < 1 else 0.0
        if self.noise_shape is None:
            return builder.dropout(x, self.rate, scale)
        of_maps = (1, *(1,) * (len(x.shape) - 1), x.channels)
        if (
            self.noise_shape[0] is not None
            or concrete_shape(self, self.noise_shape, (1, *x.shape)) != of_maps
        ):
            builder.cut(f"noise_shape={self.noise_shape} drops neither single numbers nor maps")
        return builder.dropout(x, self.rate, scale, spatial=True)


class SpatialDropout2D(Dropout):
    """``Dropout`` that keeps or drops each map (n, :, :, c) as a whole.

    Neighbouring pixels of a map say nearly the same, so that dropping single ones takes little away.

    Tompson et al. 2015, *Efficient object localization using convolutional networks*.
    """

    input_rank = 4

    def __init__(
        self, rate: float, data_format: str | None = None, seed: int | None = None, **options: Any
    ) -> None:
        check_data_format(data_format, "SpatialDropout2D")
        super().__init__(rate, (None, 1, 1, None), seed, **options)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["noise_shape"]
        return config


class AlphaDropout(_DropByMask):
    """Training: y = a · (x · m + α′ · (1 − m)) + b, with m = 0 with probability ``rate``. Else y = x.

    Dropped numbers become α′ ≈ −1.758, the lowest output of SELU, and a = ((1 − p) · (1 + p·α′²))^−½,
    b = −a·p·α′ (p the rate) restore mean 0 and variance 1, which SELU networks live on.

    Klambauer, Unterthiner, Mayr & Hochreiter 2017, *Self-normalizing neural networks*.
    """

    _may_drop_all = False

    @property
    def affine(self) -> tuple[float, float]:
        """(a, b)"""
        a = ((1 - self.rate) * (1 + self.rate * _SELU_MINIMUM**2)) ** -0.5
        return a, -a * self.rate * _SELU_MINIMUM

    def _drop(self, x: Array, draw: tuple[int, int]) -> Array:
        a, b = self.affine
        if self.noise_shape is None:
            return ops.dropout(x, self.rate, *draw, scale=a, shift=b, fill=a * _SELU_MINIMUM + b)
        mask = self._mask(draw, x.shape)
        return np.where(mask, a * x + b, x.dtype.type(a * _SELU_MINIMUM + b))

    def _drop_backward(self, dy: Array, draw: tuple[int, int]) -> Array:
        a, _ = self.affine
        if self.noise_shape is None:
            return ops.dropout(dy, self.rate, *draw, scale=a)
        return dy.dtype.type(a) * dy * self._mask(draw, dy.shape)

    def _mask(self, draw: tuple[int, int], shape: tuple[int, ...]) -> Array:
        assert self.noise_shape is not None
        return kept(draw, concrete_shape(self, self.noise_shape, shape), self.rate, scale=1.0) != 0

    def lower(self, builder: Builder, x: Tensor) -> Tensor:
        if not self.is_random(builder.training) or self.rate == 0:
            return x
        if self.noise_shape is not None:
            builder.cut(f"noise_shape={self.noise_shape}")
        a, b = self.affine
        return builder.dropout(x, self.rate, a, b, a * _SELU_MINIMUM + b)


class GaussianDropout(RandomLayer):
    """Training: y = x · (1 + √(rate / (1 − rate)) · ε), with ε ~ N(0, 1). Else y = x.

    Mean and variance of the factor are those of ``Dropout`` with the same rate.

    Srivastava et al. 2014, *Dropout: a simple way to prevent neural networks from overfitting*, section 10.
    """

    def __init__(self, rate: float, seed: int | None = None, **options: Any) -> None:
        super().__init__(seed, **options)
        self.rate = share_to_drop("GaussianDropout", rate, all_of_it=False)

    def call(self, x: Array, training: bool = False) -> Array:
        if not self.is_random(training) or self.rate == 0:
            self.remember(None)
            return x
        factors = (1 + math.sqrt(self.rate / (1 - self.rate)) * normal_numbers(self.draw(), x.shape)).astype(
            x.dtype
        )
        self.remember(factors)
        return x * factors

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        (factors,) = self.recall()
        if not input_gradient:
            return None
        return dy if factors is None else dy * factors

    def lower(self, builder: Builder, x: Tensor) -> Tensor:
        if self.is_random(builder.training) and self.rate != 0:
            builder.cut("it draws normal numbers")
        return x


class GaussianNoise(RandomLayer):
    """Training: y = x + stddev · ε, with ε ~ N(0, 1). Else y = x."""

    def __init__(self, stddev: float, seed: int | None = None, **options: Any) -> None:
        super().__init__(seed, **options)
        if not is_real(stddev) or not 0 <= stddev <= 1:
            raise ValueError(f"GaussianNoise: stddev must be a number between 0 and 1; got {stddev!r}")
        self.stddev = float(stddev)

    def call(self, x: Array, training: bool = False) -> Array:
        self.remember()
        if not self.is_random(training) or self.stddev == 0:
            return x
        return x + x.dtype.type(self.stddev) * normal_numbers(self.draw(), x.shape)

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        self.recall()
        return dy if input_gradient else None

    def lower(self, builder: Builder, x: Tensor) -> Tensor:
        if self.is_random(builder.training) and self.stddev != 0:
            builder.cut("it draws normal numbers")
        return x


def noise_shape_argument(layer: str, noise_shape: Any) -> NoiseShape | None:
    """The argument ``noise_shape`` as a tuple of sizes and None, or ValueError."""
    if noise_shape is None:
        return None
    if isinstance(noise_shape, str) or not hasattr(noise_shape, "__iter__"):
        raise ValueError(
            f"{layer}: noise_shape must be a list of sizes, as (None, 1, 1, 8); got {noise_shape!r}"
        )
    return tuple(None if n is None else whole(n, f"{layer}: every size of noise_shape") for n in noise_shape)


def concrete_shape(layer: object, noise_shape: NoiseShape, shape: tuple[int, ...]) -> tuple[int, ...]:
    """``noise_shape`` with the sizes of an input of ``shape`` for None; ValueError where they do not fit."""
    fits = len(noise_shape) == len(shape) and all(
        n in (None, 1, size) for n, size in zip(noise_shape, shape, strict=True)
    )
    if not fits:
        raise ValueError(
            f"{layer}: noise_shape {noise_shape} does not fit an input of shape {shape}: each of its sizes "
            "must be 1, None or the input's"
        )
    return tuple(size if n is None else n for n, size in zip(noise_shape, shape, strict=True))
