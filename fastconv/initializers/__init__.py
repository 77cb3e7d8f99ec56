"""How weights start: constants, and random numbers.

An initializer is called with a shape and returns a float32 array. The random ones draw from the global
generator (``fastconv.utils.set_random_seed``) or, given ``seed=``, from one of their own, and then return the
same numbers at every call with the same shape, as Keras does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from fastconv._core.configuration import Registry
from fastconv._core.names import publish
from fastconv.initializers.constants import Constant, Identity, Ones, Zeros
from fastconv.initializers.initializer import Initializer
from fastconv.initializers.orthogonal import Orthogonal
from fastconv.initializers.random import (
    RandomInitializer,
    RandomNormal,
    RandomSigns,
    RandomUniform,
    TruncatedNormal,
)
from fastconv.initializers.variance_scaling import (
    FanInUniform,
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    LecunNormal,
    LecunUniform,
    VarianceScaling,
    fans,
)
from fastconv.parameter import Array

_registry: Registry[Initializer] = Registry(
    "initializer",
    Initializer,
    {
        "zeros": Zeros,
        "ones": Ones,
        "constant": Constant,
        "identity": Identity,
        "orthogonal": Orthogonal,
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
        "fan_in_uniform": FanInUniform,
        "random_signs": RandomSigns,
        "zero": Zeros,
        "one": Ones,
        "uniform": RandomUniform,
        "normal": RandomNormal,
        "identity_initializer": Identity,
        "orthogonal_initializer": Orthogonal,
    },
)

InitializerFunction = Callable[[Sequence[int]], Any]
InitializerLike = str | Mapping[str, Any] | type[Initializer] | InitializerFunction | Array | None


def get(identifier: InitializerLike) -> InitializerFunction | None:
    """The initializer for a name ("he_normal"), a configuration, a class, or any function of a shape.

    An array is the initializer that starts with just these numbers. None is None: the weights of a layer then
    begin as ``add_weight`` has it, with "glorot_uniform".
    """
    if isinstance(identifier, (np.ndarray, np.generic)):
        return Constant(identifier)
    if callable(identifier) and not isinstance(identifier, type):
        return identifier
    return _registry.get(identifier)


def serialize(initializer: InitializerFunction | None) -> dict[str, Any] | None:
    """The configuration from which ``get`` makes the initializer again; None for None."""
    if initializer is None:
        return None
    if not isinstance(initializer, Initializer):
        raise ValueError(
            f"the initializer {initializer!r} is a function of your own and has no configuration to save: "
            "make it a subclass of fastconv.initializers.Initializer, or use save_weights()"
        )
    return _registry.serialize(initializer)


def deserialize(
    config: str | Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None
) -> Initializer:
    """The way back from ``serialize``; classes of your own come by name in ``custom_objects``."""
    return _registry.deserialize(config, custom_objects)


# Keras' other names.
IdentityInitializer, OrthogonalInitializer = Identity, Orthogonal
# The names Keras gives the classes in lower case, for `initializers.he_normal(seed=1)`.
zeros, ones, constant = Zeros, Ones, Constant
random_uniform, random_normal, truncated_normal = RandomUniform, RandomNormal, TruncatedNormal
variance_scaling = VarianceScaling
orthogonal, identity = Orthogonal, Identity
glorot_uniform, glorot_normal = GlorotUniform, GlorotNormal
he_uniform, he_normal = HeUniform, HeNormal
lecun_uniform, lecun_normal = LecunUniform, LecunNormal
fan_in_uniform, random_signs = FanInUniform, RandomSigns  # beyond Keras

__all__ = [
    "Constant",
    "FanInUniform",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Identity",
    "IdentityInitializer",
    "Initializer",
    "InitializerFunction",
    "InitializerLike",
    "LecunNormal",
    "LecunUniform",
    "Ones",
    "Orthogonal",
    "OrthogonalInitializer",
    "RandomInitializer",
    "RandomNormal",
    "RandomSigns",
    "RandomUniform",
    "TruncatedNormal",
    "VarianceScaling",
    "Zeros",
    "constant",
    "deserialize",
    "fan_in_uniform",
    "fans",
    "get",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "identity",
    "lecun_normal",
    "lecun_uniform",
    "ones",
    "orthogonal",
    "random_normal",
    "random_signs",
    "random_uniform",
    "serialize",
    "truncated_normal",
    "variance_scaling",
    "zeros",
]

publish(__name__)
