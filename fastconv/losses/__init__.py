"""Losses: what training makes small, each with its derivative.

>>> loss = losses.get("sparse_categorical_crossentropy")
>>> loss(labels, probabilities)                 # a float
>>> loss.gradient(labels, probabilities)        # its derivative by the probabilities

For a training loop of your own there is also ``softmax_cross_entropy(logits, labels) -> (loss, dlogits)``.
"""

from __future__ import annotations

from typing import Any

from fastconv._core.configuration import Registry
from fastconv._core.names import publish
from fastconv.losses.binary_crossentropy import BinaryCrossentropy, binary_crossentropy
from fastconv.losses.categorical_crossentropy import CategoricalCrossentropy, categorical_crossentropy
from fastconv.losses.cosine_similarity import CosineSimilarity, cosine_similarity
from fastconv.losses.crossentropy import Crossentropy
from fastconv.losses.focal_crossentropy import (
    BinaryFocalCrossentropy,
    CategoricalFocalCrossentropy,
    binary_focal_crossentropy,
    categorical_focal_crossentropy,
)
from fastconv.losses.hinge import (
    CategoricalHinge,
    Hinge,
    SquaredHinge,
    categorical_hinge,
    hinge,
    squared_hinge,
)
from fastconv.losses.huber import Huber, huber
from fastconv.losses.kl_divergence import KLDivergence, kl_divergence
from fastconv.losses.log_cosh import LogCosh, log_cosh
from fastconv.losses.loss import Loss
from fastconv.losses.maximum_a_posteriori import MaximumAPosteriori, maximum_a_posteriori
from fastconv.losses.mean_absolute_error import MeanAbsoluteError, mean_absolute_error
from fastconv.losses.mean_absolute_percentage_error import (
    MeanAbsolutePercentageError,
    mean_absolute_percentage_error,
)
from fastconv.losses.mean_squared_error import MeanSquaredError, mean_squared_error
from fastconv.losses.mean_squared_logarithmic_error import (
    MeanSquaredLogarithmicError,
    mean_squared_logarithmic_error,
)
from fastconv.losses.poisson import Poisson, poisson
from fastconv.losses.sparse_categorical_crossentropy import (
    SparseCategoricalCrossentropy,
    sparse_categorical_crossentropy,
)
from fastconv.ops import softmax_cross_entropy

__all__ = [
    "BinaryCrossentropy",
    "BinaryFocalCrossentropy",
    "CategoricalCrossentropy",
    "CategoricalFocalCrossentropy",
    "CategoricalHinge",
    "CosineSimilarity",
    "Crossentropy",
    "Hinge",
    "Huber",
    "KLDivergence",
    "LogCosh",
    "Loss",
    "MaximumAPosteriori",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Poisson",
    "SparseCategoricalCrossentropy",
    "SquaredHinge",
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_hinge",
    "cosine_similarity",
    "deserialize",
    "get",
    "hinge",
    "huber",
    "kl_divergence",
    "log_cosh",
    "maximum_a_posteriori",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "poisson",
    "serialize",
    "softmax_cross_entropy",
    "sparse_categorical_crossentropy",
    "squared_hinge",
]

_FUNCTIONS = {
    binary_crossentropy: BinaryCrossentropy,
    binary_focal_crossentropy: BinaryFocalCrossentropy,
    categorical_crossentropy: CategoricalCrossentropy,
    categorical_focal_crossentropy: CategoricalFocalCrossentropy,
    sparse_categorical_crossentropy: SparseCategoricalCrossentropy,
    maximum_a_posteriori: MaximumAPosteriori,
    kl_divergence: KLDivergence,
    poisson: Poisson,
    mean_squared_error: MeanSquaredError,
    mean_absolute_error: MeanAbsoluteError,
    mean_absolute_percentage_error: MeanAbsolutePercentageError,
    mean_squared_logarithmic_error: MeanSquaredLogarithmicError,
    cosine_similarity: CosineSimilarity,
    log_cosh: LogCosh,
    huber: Huber,
    hinge: Hinge,
    squared_hinge: SquaredHinge,
    categorical_hinge: CategoricalHinge,
}
_ALIASES = {
    "bce": BinaryCrossentropy,
    "kld": KLDivergence,
    "mse": MeanSquaredError,
    "mae": MeanAbsoluteError,
    "mape": MeanAbsolutePercentageError,
    "msle": MeanSquaredLogarithmicError,
    "crossentropy": Crossentropy,
    "ce": Crossentropy,
}

_registry: Registry[Loss] = Registry(
    "loss", Loss, {function.__name__: cls for function, cls in _FUNCTIONS.items()} | _ALIASES
)
serialize = _registry.serialize
deserialize = _registry.deserialize


def get(identifier: Any) -> Any:
    """The loss for a name such as "mse", one of the functions here, a class, a dictionary or a ``Loss``.

    None stays None. Raises ValueError for an unknown name, and TypeError for a function of your own:
    without autograd a loss brings its derivative along, as a subclass of ``Loss``.
    """
    if callable(identifier) and not isinstance(identifier, (Loss, type)):
        if identifier in _FUNCTIONS:
            return _FUNCTIONS[identifier]()
        raise TypeError(
            f"{getattr(identifier, '__name__', identifier)!r} has no derivative, and there is no autograd "
            "here to find it: make the loss a subclass of fastconv.losses.Loss with call(y_true, y_pred) and "
            "derivative(y_true, y_pred)"
        )
    return _registry.get(identifier)


publish(__name__)
