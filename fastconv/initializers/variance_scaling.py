"""Random numbers whose variance keeps signals alive through deep networks.

With n_in and n_out the numbers of connections into and out of a unit:

    glorot   variance 2 / (n_in + n_out)   Glorot & Bengio 2010, for tanh, sigmoid and softmax
    he       variance 2 / n_in             He et al. 2015, for ReLU and its relatives
    lecun    variance 1 / n_in             LeCun et al. 1998, for SELU
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastconv._core.checks import is_whole, unknown_name
from fastconv.initializers.random import RandomInitializer
from fastconv.parameter import Array

# Standard deviation of a unit normal distribution cut off at two standard deviations.
_TRUNCATED_STDDEV = 0.87962566103423978


Axes = int | Sequence[int] | None


def fans(shape: Sequence[int], input_axes: Axes = None, output_axes: Axes = None) -> tuple[int, int]:
    """Connections into and out of a unit: (n_in, n_out) of weights of this shape.

    A dense kernel (in, out) has just these; a convolution kernel (KH, KW, C_in, C_out) has KH·KW·C_in and
    KH·KW·C_out. For other weights ``input_axes`` and ``output_axes`` say which axes to multiply for each.

    Raises ValueError for axes that the weights do not have, and where only one of the two is given.
    """
    if (input_axes is None) != (output_axes is None):
        raise ValueError("input_axes and output_axes go together: give both, or neither")
    if input_axes is not None:
        inputs, outputs = (_positions(axes, shape) for axes in (input_axes, output_axes))
        return math.prod(shape[axis] for axis in inputs), math.prod(shape[axis] for axis in outputs)
    if not shape:
        return 1, 1
    if len(shape) == 1:
        return shape[0], shape[0]
    taps = math.prod(shape[:-2])
    return taps * shape[-2], taps * shape[-1]


def _positions(axes: Axes, shape: Sequence[int]) -> list[int]:
    """Axes, counted from 0."""
    given = _listed(axes)
    if not all(-len(shape) <= axis < len(shape) for axis in given):
        raise ValueError(f"weights of shape {tuple(shape)} do not have the axes {given}")
    return [axis % len(shape) for axis in given]


def _listed(axes: Axes) -> list[int]:
    given: list[Any] = [] if axes is None else list(axes) if np.iterable(axes) else [axes]
    if not all(map(is_whole, given)):
        raise ValueError(f"input_axes and output_axes must be whole numbers, or lists of them; got {axes!r}")
    return [int(axis) for axis in given]


class VarianceScaling(RandomInitializer):
    """Random weights of variance ``scale / n``, n being n_in ("fan_in"), n_out ("fan_out") or their mean
    ("fan_avg").

    ``distribution``: "truncated_normal" (also "normal"), "untruncated_normal" or "uniform". ``input_axes``
    and ``output_axes`` say which axes n_in and n_out count, where the weights are no dense or convolution
    kernel: see ``fans``.
    """

    modes = ("fan_in", "fan_out", "fan_avg")
    distributions = ("truncated_normal", "untruncated_normal", "uniform")

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: int | None = None,
        input_axes: Axes = None,
        output_axes: Axes = None,
    ) -> None:
        super().__init__(seed)
        if scale <= 0:
            raise ValueError(f"scale must be positive, got {scale!r}")
        if mode not in self.modes:
            raise unknown_name("mode", mode, self.modes)
        distribution = "truncated_normal" if distribution == "normal" else distribution
        if distribution not in self.distributions:
            raise unknown_name("distribution", distribution, self.distributions)
        self.scale, self.mode, self.distribution = scale, mode, distribution
        self.input_axes = None if input_axes is None else _listed(input_axes)
        self.output_axes = None if output_axes is None else _listed(output_axes)

    def __call__(self, shape: Sequence[int]) -> Array:
        fan_in, fan_out = fans(shape, self.input_axes, self.output_axes)
        n = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        variance = self.scale / max(1.0, n)
        if self.distribution == "uniform":
            limit = math.sqrt(3 * variance)  # the variance of U(-a, a) is a²/3
            return self._uniform(shape, -limit, limit)
        if self.distribution == "untruncated_normal":
            return self._normal(shape, 0.0, math.sqrt(variance))
        return self._truncated_normal(shape, 0.0, math.sqrt(variance) / _TRUNCATED_STDDEV)


class _NamedScaling(VarianceScaling):
    """A VarianceScaling with everything but the seed fixed."""

    preset: tuple[float, str, str]

    def __init__(self, seed: int | None = None, input_axes: Axes = None, output_axes: Axes = None) -> None:
        super().__init__(*self.preset, seed=seed, input_axes=input_axes, output_axes=output_axes)


class GlorotUniform(_NamedScaling):
    """Variance 2 / (n_in + n_out), uniform: the default of Conv2D and Dense."""

    preset = (1.0, "fan_avg", "uniform")


class GlorotNormal(_NamedScaling):
    """Variance 2 / (n_in + n_out), truncated normal."""

    preset = (1.0, "fan_avg", "truncated_normal")


class HeUniform(_NamedScaling):
    """Variance 2 / n_in, uniform."""

    preset = (2.0, "fan_in", "uniform")


class HeNormal(_NamedScaling):
    """Variance 2 / n_in, truncated normal."""

    preset = (2.0, "fan_in", "truncated_normal")


class LecunUniform(_NamedScaling):
    """Variance 1 / n_in, uniform."""

    preset = (1.0, "fan_in", "uniform")


class LecunNormal(_NamedScaling):
    """Variance 1 / n_in, truncated normal."""

    preset = (1.0, "fan_in", "truncated_normal")


class FanInUniform(RandomInitializer):
    """Evenly distributed between −bound / n and bound / n, where n is the number of a unit's inputs.

    With a bound of 2.4, LeCun et al. 1998, appendix A. ``fan_in`` is n where the shape does not tell it, as
    that of biases: a number, or one for each unit, the weights' last axis.
    """

    def __init__(
        self, bound: float = 2.4, fan_in: float | Sequence[float] | None = None, seed: int | None = None
    ) -> None:
        super().__init__(seed)
        if fan_in is not None and not np.all(np.asarray(fan_in) > 0):
            raise ValueError(f"fan_in counts a unit's inputs and must be positive, got {fan_in!r}")
        self.bound, self.fan_in = bound, fan_in

    def __call__(self, shape: Sequence[int]) -> Array:
        n = fans(shape)[0] if self.fan_in is None else np.asarray(self.fan_in, np.float32)
        return self._uniform(shape, -1, 1) * (np.float32(self.bound) / np.float32(n))
