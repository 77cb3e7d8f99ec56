"""Metrics: numbers to watch during training, which nothing is optimised for.

>>> metric = metrics.get("sparse_categorical_accuracy")
>>> metric.update_state(labels, probabilities)      # batch by batch
>>> metric.result()                                 # a float

Any function ``f(y_true, y_pred)`` is a metric as well: ``metrics.get(f)`` averages it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastconv import losses as _losses
from fastconv._registry import Registry
from fastconv.metrics.accuracy import (
    Accuracy,
    BinaryAccuracy,
    CategoricalAccuracy,
    SparseCategoricalAccuracy,
    binary_accuracy,
    categorical_accuracy,
    sparse_categorical_accuracy,
)
from fastconv.metrics.losses import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    MeanAbsoluteError,
    MeanSquaredError,
    SparseCategoricalCrossentropy,
)
from fastconv.metrics.mean import Mean, MeanMetricWrapper
from fastconv.metrics.metric import Metric
from fastconv.metrics.top_k import (
    SparseTopKCategoricalAccuracy,
    TopKCategoricalAccuracy,
    sparse_top_k_categorical_accuracy,
    top_k_categorical_accuracy,
)

__all__ = [
    "Accuracy",
    "BinaryAccuracy",
    "BinaryCrossentropy",
    "CategoricalAccuracy",
    "CategoricalCrossentropy",
    "Mean",
    "MeanAbsoluteError",
    "MeanMetricWrapper",
    "MeanSquaredError",
    "Metric",
    "SparseCategoricalAccuracy",
    "SparseCategoricalCrossentropy",
    "SparseTopKCategoricalAccuracy",
    "TopKCategoricalAccuracy",
    "binary_accuracy",
    "categorical_accuracy",
    "deserialize",
    "get",
    "serialize",
    "sparse_categorical_accuracy",
    "sparse_top_k_categorical_accuracy",
    "top_k_categorical_accuracy",
]

_FUNCTIONS = {
    function.__name__: function
    for function in (
        binary_accuracy,
        categorical_accuracy,
        sparse_categorical_accuracy,
        top_k_categorical_accuracy,
        sparse_top_k_categorical_accuracy,
        _losses.binary_crossentropy,
        _losses.categorical_crossentropy,
        _losses.sparse_categorical_crossentropy,
        _losses.mean_squared_error,
        _losses.mean_absolute_error,
    )
}

_registry: Registry[Metric] = Registry(
    "metric",
    Metric,
    {
        "accuracy": Accuracy,
        "binary_accuracy": BinaryAccuracy,
        "categorical_accuracy": CategoricalAccuracy,
        "sparse_categorical_accuracy": SparseCategoricalAccuracy,
        "top_k_categorical_accuracy": TopKCategoricalAccuracy,
        "sparse_top_k_categorical_accuracy": SparseTopKCategoricalAccuracy,
        "binary_crossentropy": BinaryCrossentropy,
        "bce": BinaryCrossentropy,
        "categorical_crossentropy": CategoricalCrossentropy,
        "sparse_categorical_crossentropy": SparseCategoricalCrossentropy,
        "mean_squared_error": MeanSquaredError,
        "mse": MeanSquaredError,
        "mean_absolute_error": MeanAbsoluteError,
        "mae": MeanAbsoluteError,
        "mean": Mean,
    },
)


def get(identifier: Any) -> Any:
    """The metric for a name, a class, a dictionary, a ``Metric``, or a function ``f(y_true, y_pred)``.

    A metric asked for by name goes by that name: "mse" appears as "mse" in the logs. None stays None. Raises
    ValueError for an unknown name.
    """
    if callable(identifier) and not isinstance(identifier, (Metric, type)):
        return MeanMetricWrapper(identifier)
    metric = _registry.get(identifier)
    if isinstance(identifier, str):
        metric.name = identifier
    return metric


def serialize(metric: Metric) -> dict[str, Any]:
    """{"class_name": ..., "config": ...}, of plain numbers and strings; a function is stored by its name."""
    serialized = _registry.serialize(metric)
    if type(metric) is MeanMetricWrapper:
        function = metric.fn
        is_loss = isinstance(function, _losses.Loss)
        serialized["config"]["fn"] = _losses.serialize(function) if is_loss else function.__name__
    return serialized


def deserialize(config: str | Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Metric:
    """The way back from ``serialize``.

    Classes and functions of your own come by name in ``custom_objects``; ValueError where one is missing.
    """
    arguments = {} if isinstance(config, str) else dict(config.get("config") or {})
    if "fn" not in arguments:
        return _registry.deserialize(config, custom_objects)
    return MeanMetricWrapper(_function(arguments.pop("fn"), custom_objects or {}), **arguments)


def _function(identifier: Any, custom_objects: Mapping[str, Any]) -> Any:
    if isinstance(identifier, Mapping):
        return _losses.deserialize(identifier, custom_objects)
    function = custom_objects.get(identifier) or _FUNCTIONS.get(identifier)
    if function is None:
        raise ValueError(
            f"the metric function {identifier!r} is not part of fastconv: give it back with "
            f"custom_objects={{{identifier!r}: ...}}"
        )
    return function
