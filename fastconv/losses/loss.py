"""The base class of losses: from one loss per sample to the number that training pushes downhill."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastconv._config import configuration
from fastconv._core.checks import unknown_name, unsupported_argument
from fastconv._core.configuration import call_of
from fastconv._core.targets import broadcast_weights, same_shape

Array = NDArray[Any]

EPSILON = 1e-7
"""What keeps logarithms and quotients finite, as in Keras."""

_REDUCTIONS = ("sum_over_batch_size", "sum", "none")


class Loss:
    """A loss function together with its derivative.

    With l_n the loss of sample n, w_n its weight (1 where none is given) and N the number of samples::

        reduction="sum_over_batch_size"    L = Σ w_n l_n / N    (N also where weights are given, as in Keras)
        reduction="sum"                    L = Σ w_n l_n
        reduction="none", None             the array of w_n l_n

    ``loss(y_true, y_pred)`` is L and ``loss.gradient(y_true, y_pred)`` is ∂L/∂y_pred. For predictions
    (N, ..., D) there is one loss per leading index: l has shape (N, ...).

    ``fuses_with`` names the activation, "softmax" or "sigmoid", whose derivative cancels against this loss's:
    where a layer ends in it, ``gradient_at_logits`` is faster and more accurate than ``gradient`` followed by
    the activation's backward. None for most losses.

    A loss of your own overrides two methods, which say what happens to one sample at a time::

        class SquaredLogError(Loss):
            def call(self, y_true, y_pred):              # (N, ..., D) -> (N, ...)
                return np.mean(np.log(y_pred / y_true) ** 2, axis=-1)

            def derivative(self, y_true, y_pred):        # ∂l/∂y_pred, shape of y_pred
                return 2 * np.log(y_pred / y_true) / y_pred / y_pred.shape[-1]

    ``call`` may also return one loss for each element, (N, ..., D). N above is then the number of elements,
    and ``derivative`` that of each element's loss by its own prediction.
    """

    fuses_with: str | None = None

    takes_distances: bool = False
    """Whether predictions are distances from the classes, of which the smallest is the answer. Else it is the
    largest."""

    _per_element: bool | None = None  # what ``call`` returned last; None before

    def __init__(
        self, name: str | None = None, reduction: str | None = "sum_over_batch_size", dtype: Any = None
    ) -> None:
        self.name = name or type(self).__name__
        self.reduction = _check_reduction(reduction)
        if dtype not in (None, "float32", np.float32):
            raise unsupported_argument(type(self).__name__, "dtype", "losses compute in the type of y_pred")

    # ---- what a subclass says about one sample

    def call(self, y_true: Array, y_pred: Array) -> Array:
        """One loss per sample: (N, ..., D) -> (N, ...)."""
        raise NotImplementedError(f"{type(self).__name__} has no call(y_true, y_pred)")

    def derivative(self, y_true: Array, y_pred: Array) -> Array:
        """Derivative of each sample's loss by its predictions: ∂l/∂y_pred, shape of ``y_pred``."""
        raise NotImplementedError(
            f"{type(self).__name__} has no derivative(y_true, y_pred): there is no autograd here, "
            "so a loss brings its own, see help(fastconv.losses.Loss)"
        )

    def derivative_at_logits(self, y_true: Array, y_pred: Array) -> Array:
        """∂l/∂z where y_pred = activation(z) and the activation is ``fuses_with``."""
        raise NotImplementedError(f"{type(self).__name__} does not fuse with an activation")

    def prepare(self, y_true: ArrayLike, y_pred: ArrayLike) -> tuple[Array, Array]:
        """Targets and predictions as the methods above take them: floats, and of the same shape."""
        return same_shape(y_true, y_pred, self.name)

    # ---- what it means for a batch

    def per_sample(self, y_true: ArrayLike, y_pred: ArrayLike) -> Array:
        """The losses of a batch one by one, neither weighted nor reduced."""
        return self._losses(*self.prepare(y_true, y_pred))

    def _losses(self, target: Array, prediction: Array) -> Array:
        losses = np.asarray(self.call(target, prediction))
        if losses.shape not in (prediction.shape[:-1], prediction.shape):
            raise ValueError(
                f"{type(self).__name__}.call must return one loss per sample, an array of shape "
                f"{prediction.shape[:-1]} for predictions {prediction.shape}, or one per element; it "
                f"returned {losses.shape}"
            )
        self._per_element = losses.shape == prediction.shape
        return losses

    def __call__(self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> Any:
        """The reduced loss: a float, or an array under ``reduction="none"``."""
        losses = self.per_sample(y_true, y_pred)
        if sample_weight is not None:
            losses = losses * broadcast_weights(sample_weight, losses.shape, losses.dtype)
        if self.reduction in ("none", None):
            return losses
        return float(losses.sum()) * self.scale(losses.shape)

    def gradient(self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> Array:
        """∂L/∂y_pred for the reduced loss L, an array like ``y_pred``."""
        target, prediction = self.prepare(y_true, y_pred)
        derivative = self.derivative(target, prediction)
        if self._per_element is None:
            self._losses(target, prediction)
        return self._reduce_derivative(derivative, sample_weight).reshape(np.shape(y_pred))

    def gradient_at_logits(
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> Array:
        """∂L/∂z where y_pred = activation(z), for a layer that ends in the activation ``fuses_with``.

        The chain rule through both at once. It has no clipping: a sample that is hopelessly wrong, whose
        probability has rounded to 0, still pulls with full strength.
        """
        target, prediction = self.prepare(y_true, y_pred)
        derivative = self.derivative_at_logits(target, prediction)
        if self._per_element is None:
            self._losses(target, prediction)
        return self._reduce_derivative(derivative, sample_weight).reshape(np.shape(y_pred))

    def _reduce_derivative(self, derivative: Array, sample_weight: ArrayLike | None) -> Array:
        """From ∂l_n/∂y to ∂L/∂y: times w_n, over N."""
        if self.reduction in ("none", None):
            raise ValueError(
                f"{self.name}: reduction={self.reduction!r} leaves one loss per sample, which has no single "
                'gradient; train with reduction="sum_over_batch_size" or "sum"'
            )
        shape = derivative.shape if self._per_element else derivative.shape[:-1]
        scale = derivative.dtype.type(self.scale(shape))
        if sample_weight is None:
            return derivative * scale
        weights = scale * broadcast_weights(sample_weight, shape, derivative.dtype)
        return derivative * (weights if self._per_element else weights[..., None])

    def scale(self, shape: tuple[int, ...]) -> float:
        """What the sum of all samples' losses, an array of this shape, is multiplied by: 1/N, or 1."""
        if self.reduction == "sum":
            return 1.0
        return 1.0 / max(math.prod(shape), 1)  # the loss of an empty batch is 0

    # ---- configuration

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments; ``from_config`` is the way back."""
        return {"name": self.name, "reduction": self.reduction} | configuration(self, Loss)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Loss:
        return cls(**config)

    def __repr__(self) -> str:
        return call_of(self)


def _check_reduction(reduction: str | None) -> str | None:
    if reduction is None or reduction in _REDUCTIONS:
        return reduction
    if reduction == "mean":
        raise ValueError("reduction='mean' is not supported; 'sum_over_batch_size' is the same number")
    if reduction == "mean_with_sample_weight":
        raise ValueError(
            "reduction='mean_with_sample_weight' is not supported; 'sum_over_batch_size' divides by the "
            "number of samples, so scale the weights to a mean of 1"
        )
    raise unknown_name("reduction", reduction, _REDUCTIONS)
