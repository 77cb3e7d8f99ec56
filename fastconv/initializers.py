"""How weights start: constants, and random numbers whose variance keeps signals alive through deep networks.

An initializer is called with a shape and returns a float32 array. The random ones draw from the global
generator (``fastconv.utils.set_random_seed``) or, given ``seed=``, from one of their own, and then return the
same numbers at every call with the same shape, as Keras does.

Variance scaling, with n_in and n_out the numbers of connections into and out of a unit:

    glorot   variance 2 / (n_in + n_out)   Glorot & Bengio 2010, for tanh, sigmoid and softmax
    he       variance 2 / n_in             He et al. 2015, for ReLU and its relatives
    lecun    variance 1 / n_in             LeCun et al. 1998, for SELU
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from fastconv._errors import unknown_name
from fastconv._random import generator_for
from fastconv._registry import Registry
from fastconv.parameter import Array

# Standard deviation of a unit normal distribution cut off at two standard deviations.
_TRUNCATED_STDDEV = 0.87962566103423978


class Initializer:
    """Base class: override ``__call__`` and, where the constructor takes arguments, ``get_config``."""

    def __call__(self, shape: Sequence[int]) -> Array:
        raise NotImplementedError(f"{type(self).__name__} must define __call__(shape)")

    def get_config(self) -> dict[str, Any]:
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Initializer:
        return cls(**config)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.get_config().items())})"


class Zeros(Initializer):
    """All zeros: the usual start of biases."""

    def __call__(self, shape: Sequence[int]) -> Array:
        return np.zeros(shape, np.float32)


class Ones(Initializer):
    """All ones."""

    def __call__(self, shape: Sequence[int]) -> Array:
        return np.ones(shape, np.float32)


class Constant(Initializer):
    """Every weight ``value``; an array is broadcast to the shape."""

    def __init__(self, value: Any = 0.0) -> None:
        self.value = value

    def __call__(self, shape: Sequence[int]) -> Array:
        return np.full(shape, self.value, np.float32)

    def get_config(self) -> dict[str, Any]:
        return {"value": self.value.tolist() if isinstance(self.value, np.ndarray) else self.value}


class RandomInitializer(Initializer):
    """Base of the random ones: ``seed=None`` draws from the global generator."""

    def __init__(self, seed: int | None = None) -> None:
        if seed is not None and not hasattr(seed, "__index__"):
            raise ValueError(f"seed must be a whole number or None, got {seed!r}")
        self.seed = seed

    def get_config(self) -> dict[str, Any]:
        return {"seed": self.seed}

    def _uniform(self, shape: Sequence[int], low: float, high: float) -> Array:
        return generator_for(self.seed).uniform(low, high, shape).astype(np.float32)

    def _normal(self, shape: Sequence[int], mean: float, stddev: float) -> Array:
        return generator_for(self.seed).normal(mean, stddev, shape).astype(np.float32)

    def _truncated_normal(self, shape: Sequence[int], mean: float, stddev: float) -> Array:
        """Normal numbers, those further than two standard deviations from the mean drawn again."""
        random = generator_for(self.seed)
        values = random.standard_normal(shape)
        outside = np.abs(values) > 2
        while np.any(outside):
            values[outside] = random.standard_normal(np.count_nonzero(outside))
            outside = np.abs(values) > 2
        return (mean + stddev * values).astype(np.float32)


class RandomUniform(RandomInitializer):
    """Evenly distributed in [minval, maxval)."""

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: int | None = None) -> None:
        super().__init__(seed)
        self.minval, self.maxval = minval, maxval

    def __call__(self, shape: Sequence[int]) -> Array:
        return self._uniform(shape, self.minval, self.maxval)

    def get_config(self) -> dict[str, Any]:
        return {"minval": self.minval, "maxval": self.maxval, **super().get_config()}


class RandomNormal(RandomInitializer):
    """Normally distributed."""

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None) -> None:
        super().__init__(seed)
        self.mean, self.stddev = mean, stddev

    def __call__(self, shape: Sequence[int]) -> Array:
        return self._normal(shape, self.mean, self.stddev)

    def get_config(self) -> dict[str, Any]:
        return {"mean": self.mean, "stddev": self.stddev, **super().get_config()}


class TruncatedNormal(RandomNormal):
    """Normally distributed, values beyond two ``stddev`` drawn again (so the result deviates by 0.88
    ``stddev``).
    """

    def __call__(self, shape: Sequence[int]) -> Array:
        return self._truncated_normal(shape, self.mean, self.stddev)


def fans(shape: Sequence[int]) -> tuple[int, int]:
    """Connections into and out of a unit: (n_in, n_out) of weights of this shape.

    A dense kernel (in, out) has just these; a convolution kernel (KH, KW, C_in, C_out) has KH·KW·C_in and
    KH·KW·C_out.
    """
    if not shape:
        return 1, 1
    if len(shape) == 1:
        return shape[0], shape[0]
    taps = math.prod(shape[:-2])
    return taps * shape[-2], taps * shape[-1]


class VarianceScaling(RandomInitializer):
    """Random weights of variance ``scale / n``, n being n_in ("fan_in"), n_out ("fan_out") or their mean
    ("fan_avg").

    ``distribution``: "truncated_normal" (also "normal"), "untruncated_normal" or "uniform".
    """

    modes = ("fan_in", "fan_out", "fan_avg")
    distributions = ("truncated_normal", "untruncated_normal", "uniform")

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: int | None = None,
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

    def __call__(self, shape: Sequence[int]) -> Array:
        fan_in, fan_out = fans(shape)
        n = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        variance = self.scale / max(1.0, n)
        if self.distribution == "uniform":
            limit = math.sqrt(3 * variance)  # the variance of U(-a, a) is a²/3
            return self._uniform(shape, -limit, limit)
        if self.distribution == "untruncated_normal":
            return self._normal(shape, 0.0, math.sqrt(variance))
        return self._truncated_normal(shape, 0.0, math.sqrt(variance) / _TRUNCATED_STDDEV)

    def get_config(self) -> dict[str, Any]:
        return {
            "scale": self.scale,
            "mode": self.mode,
            "distribution": self.distribution,
            **super().get_config(),
        }


class _NamedScaling(VarianceScaling):
    """A VarianceScaling with everything but the seed fixed."""

    preset: tuple[float, str, str]

    def __init__(self, seed: int | None = None) -> None:
        super().__init__(*self.preset, seed=seed)

    def get_config(self) -> dict[str, Any]:
        return {"seed": self.seed}


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


_registry: Registry[Initializer] = Registry(
    "initializer",
    Initializer,
    {
        "zeros": Zeros,
        "ones": Ones,
        "constant": Constant,
        "random_uniform": RandomUniform,
        "random_normal": RandomNormal,
        "truncated_normal": TruncatedNormal,
        "variance_scaling": VarianceScaling,
        "glorot_uniform": GlorotUniform,
        "glorot_normal": GlorotNormal,
        "he_uniform": HeUniform,
        "he_normal": HeNormal,
        "lecun_uniform": LecunUniform,
        "lecun_normal": LecunNormal,
        "zero": Zeros,
        "one": Ones,
        "uniform": RandomUniform,
        "normal": RandomNormal,
    },
)

InitializerFunction = Callable[[Sequence[int]], Any]
InitializerLike = str | Mapping[str, Any] | type[Initializer] | InitializerFunction


def get(identifier: InitializerLike) -> InitializerFunction:
    """The initializer for a name ("he_normal"), a configuration, a class, or any function of a shape."""
    if callable(identifier) and not isinstance(identifier, type):
        return identifier
    initializer: InitializerFunction | None = _registry.get(identifier)
    if initializer is None:
        raise ValueError("an initializer is missing: got None; biases usually start at 'zeros'")
    return initializer


def serialize(initializer: InitializerFunction) -> dict[str, Any]:
    """The configuration from which ``get`` makes the initializer again."""
    if not isinstance(initializer, Initializer):
        raise ValueError(
            f"the initializer {initializer!r} is a function of your own and has no configuration to save: "
            "make it a subclass of fastconv.initializers.Initializer, or use save_weights()"
        )
    return _registry.serialize(initializer)


# The names Keras gives the classes in lower case, for `initializers.he_normal(seed=1)`.
zeros, ones, constant = Zeros, Ones, Constant
random_uniform, random_normal, truncated_normal = RandomUniform, RandomNormal, TruncatedNormal
variance_scaling = VarianceScaling
glorot_uniform, glorot_normal = GlorotUniform, GlorotNormal
he_uniform, he_normal = HeUniform, HeNormal
lecun_uniform, lecun_normal = LecunUniform, LecunNormal
