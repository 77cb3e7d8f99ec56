"""Losses as metrics: averaged over an epoch, weighted by Σ w rather than by the number of samples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numpy.typing import ArrayLike, NDArray

from fastconv import losses
from fastconv.metrics.mean import MeanMetricWrapper


class _PlainLoss(MeanMetricWrapper):
    """Base: the mean of a loss without arguments of its own, under the name of its function."""

    loss: Callable[..., Any]
    default_name: str | None = None

    def __init__(self, name: str | None = None, dtype: Any = None) -> None:
        super().__init__(type(self).loss, name or self.default_name, dtype)


class MeanSquaredError(_PlainLoss):
    """The mean of ``losses.mean_squared_error``."""

    loss = staticmethod(losses.mean_squared_error)


class MeanAbsoluteError(_PlainLoss):
    """The mean of ``losses.mean_absolute_error``."""

    loss = staticmethod(losses.mean_absolute_error)


class MeanAbsolutePercentageError(_PlainLoss):
    """The mean of ``losses.mean_absolute_percentage_error``."""

    loss = staticmethod(losses.mean_absolute_percentage_error)


class MeanSquaredLogarithmicError(_PlainLoss):
    """The mean of ``losses.mean_squared_logarithmic_error``."""

    loss = staticmethod(losses.mean_squared_logarithmic_error)


class KLDivergence(_PlainLoss):
    """The mean of ``losses.kl_divergence``."""

    loss = staticmethod(losses.kl_divergence)


class Poisson(_PlainLoss):
    """The mean of ``losses.poisson``."""

    loss = staticmethod(losses.poisson)


class Hinge(_PlainLoss):
    """The mean of ``losses.hinge``."""

    loss = staticmethod(losses.hinge)


class SquaredHinge(_PlainLoss):
    """The mean of ``losses.squared_hinge``."""

    loss = staticmethod(losses.squared_hinge)


class CategoricalHinge(_PlainLoss):
    """The mean of ``losses.categorical_hinge``."""

    loss = staticmethod(losses.categorical_hinge)


class LogCoshError(_PlainLoss):
    """The mean of ``losses.log_cosh``."""

    loss = staticmethod(losses.log_cosh)
    default_name = "logcosh"


class CosineSimilarity(MeanMetricWrapper):
    """The mean cosine of the angle between target and prediction: minus the loss of that name."""

    direction = "up"

    def __init__(self, name: str = "cosine_similarity", dtype: Any = None, axis: int = -1) -> None:
        super().__init__(_cosine, name, dtype, axis=axis)


def _cosine(y_true: ArrayLike, y_pred: ArrayLike, axis: int) -> NDArray[Any]:
    return -losses.cosine_similarity(y_true, y_pred, axis)


class BinaryCrossentropy(MeanMetricWrapper):
    """The mean of ``losses.binary_crossentropy``."""

    def __init__(
        self,
        name: str = "binary_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        label_smoothing: float = 0,
    ) -> None:
        arguments = {"from_logits": from_logits, "label_smoothing": label_smoothing}
        super().__init__(losses.binary_crossentropy, name, dtype, **arguments)
        self.from_logits = from_logits
        self.label_smoothing = label_smoothing


class CategoricalCrossentropy(MeanMetricWrapper):
    """The mean of ``losses.categorical_crossentropy``."""

    def __init__(
        self,
        name: str = "categorical_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        label_smoothing: float = 0,
        axis: int = -1,
    ) -> None:
        arguments = {"from_logits": from_logits, "label_smoothing": label_smoothing, "axis": axis}
        super().__init__(losses.categorical_crossentropy, name, dtype, **arguments)
        self.from_logits = from_logits
        self.label_smoothing = label_smoothing
        self.axis = axis


class SparseCategoricalCrossentropy(MeanMetricWrapper):
    """The mean of ``losses.sparse_categorical_crossentropy``."""

    def __init__(
        self,
        name: str = "sparse_categorical_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        ignore_class: None = None,
        axis: int = -1,
    ) -> None:
        arguments = {"from_logits": from_logits, "ignore_class": ignore_class, "axis": axis}
        super().__init__(losses.sparse_categorical_crossentropy, name, dtype, **arguments)
        self.from_logits = from_logits
        self.ignore_class = ignore_class
        self.axis = axis
