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
from fastconv._core.configuration import Registry
from fastconv._core.names import publish
from fastconv.losses.binary_crossentropy import binary_crossentropy
from fastconv.losses.categorical_crossentropy import categorical_crossentropy
from fastconv.losses.focal_crossentropy import binary_focal_crossentropy, categorical_focal_crossentropy
from fastconv.losses.hinge import categorical_hinge, hinge, squared_hinge
from fastconv.losses.huber import huber
from fastconv.losses.kl_divergence import kl_divergence
from fastconv.losses.log_cosh import log_cosh
from fastconv.losses.mean_absolute_error import mean_absolute_error
from fastconv.losses.mean_absolute_percentage_error import mean_absolute_percentage_error
from fastconv.losses.mean_squared_error import mean_squared_error
from fastconv.losses.mean_squared_logarithmic_error import mean_squared_logarithmic_error
from fastconv.losses.poisson import poisson
from fastconv.losses.sparse_categorical_crossentropy import sparse_categorical_crossentropy
from fastconv.metrics.accuracy import (
    Accuracy,
    BinaryAccuracy,
    CategoricalAccuracy,
    NearestAccuracy,
    SparseCategoricalAccuracy,
    binary_accuracy,
    categorical_accuracy,
    nearest_accuracy,
    sparse_categorical_accuracy,
)
from fastconv.metrics.auc import AUC
from fastconv.metrics.confusion_counts import FalseNegatives, FalsePositives, TrueNegatives, TruePositives
from fastconv.metrics.confusion_matrix import ConfusionMatrix
from fastconv.metrics.f_score import F1Score, FBetaScore
from fastconv.metrics.losses import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    CategoricalHinge,
    CosineSimilarity,
    Hinge,
    KLDivergence,
    LogCoshError,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    Poisson,
    SparseCategoricalCrossentropy,
    SquaredHinge,
)
from fastconv.metrics.mean import Mean, MeanMetricWrapper
from fastconv.metrics.metric import Metric
from fastconv.metrics.operating_points import (
    PrecisionAtRecall,
    RecallAtPrecision,
    SensitivityAtSpecificity,
    SpecificityAtSensitivity,
)
from fastconv.metrics.precision_recall import Precision, Recall
from fastconv.metrics.root_mean_squared_error import RootMeanSquaredError
from fastconv.metrics.top_k import (
    SparseTopKCategoricalAccuracy,
    TopKCategoricalAccuracy,
    sparse_top_k_categorical_accuracy,
    top_k_categorical_accuracy,
)

__all__ = [
    "AUC",
    "Accuracy",
    "BinaryAccuracy",
    "BinaryCrossentropy",
    "CategoricalAccuracy",
    "CategoricalCrossentropy",
    "CategoricalHinge",
    "ConfusionMatrix",
    "CosineSimilarity",
    "F1Score",
    "FBetaScore",
    "FalseNegatives",
    "FalsePositives",
    "Hinge",
    "KLDivergence",
    "LogCoshError",
    "Mean",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanMetricWrapper",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Metric",
    "NearestAccuracy",
    "Poisson",
    "Precision",
    "PrecisionAtRecall",
    "Recall",
    "RecallAtPrecision",
    "RootMeanSquaredError",
    "SensitivityAtSpecificity",
    "SparseCategoricalAccuracy",
    "SparseCategoricalCrossentropy",
    "SparseTopKCategoricalAccuracy",
    "SpecificityAtSensitivity",
    "SquaredHinge",
    "TopKCategoricalAccuracy",
    "TrueNegatives",
    "TruePositives",
    "binary_accuracy",
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_accuracy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_hinge",
    "deserialize",
    "get",
    "hinge",
    "huber",
    "kl_divergence",
    "log_cosh",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "nearest_accuracy",
    "poisson",
    "serialize",
    "sparse_categorical_accuracy",
    "sparse_categorical_crossentropy",
    "sparse_top_k_categorical_accuracy",
    "squared_hinge",
    "top_k_categorical_accuracy",
]

FUNCTIONS = {
    function.__name__: function
    for function in (
        binary_accuracy,
        categorical_accuracy,
        nearest_accuracy,
        sparse_categorical_accuracy,
        top_k_categorical_accuracy,
        sparse_top_k_categorical_accuracy,
        _losses.cosine_similarity,
        binary_crossentropy,
        binary_focal_crossentropy,
        categorical_crossentropy,
        categorical_focal_crossentropy,
        categorical_hinge,
        hinge,
        huber,
        kl_divergence,
        log_cosh,
        mean_absolute_error,
        mean_absolute_percentage_error,
        mean_squared_error,
        mean_squared_logarithmic_error,
        poisson,
        sparse_categorical_crossentropy,
        squared_hinge,
    )
}

_registry: Registry[Metric] = Registry(
    "metric",
    Metric,
    {
        "accuracy": Accuracy,
        "auc": AUC,
        "bce": BinaryCrossentropy,
        "binary_accuracy": BinaryAccuracy,
        "binary_crossentropy": BinaryCrossentropy,
        "categorical_accuracy": CategoricalAccuracy,
        "categorical_crossentropy": CategoricalCrossentropy,
        "categorical_hinge": CategoricalHinge,
        "confusion_matrix": ConfusionMatrix,
        "cosine_similarity": CosineSimilarity,
        "f1_score": F1Score,
        "false_negatives": FalseNegatives,
        "false_positives": FalsePositives,
        "fbeta_score": FBetaScore,
        "hinge": Hinge,
        "kl_divergence": KLDivergence,
        "kld": KLDivergence,
        "log_cosh": LogCoshError,
        "log_cosh_error": LogCoshError,
        "mae": MeanAbsoluteError,
        "mape": MeanAbsolutePercentageError,
        "mean": Mean,
        "mean_absolute_error": MeanAbsoluteError,
        "mean_absolute_percentage_error": MeanAbsolutePercentageError,
        "mean_squared_error": MeanSquaredError,
        "mean_squared_logarithmic_error": MeanSquaredLogarithmicError,
        "mse": MeanSquaredError,
        "msle": MeanSquaredLogarithmicError,
        "nearest_accuracy": NearestAccuracy,
        "poisson": Poisson,
        "precision": Precision,
        "precision_at_recall": PrecisionAtRecall,
        "recall": Recall,
        "recall_at_precision": RecallAtPrecision,
        "root_mean_squared_error": RootMeanSquaredError,
        "sensitivity_at_specificity": SensitivityAtSpecificity,
        "sparse_categorical_accuracy": SparseCategoricalAccuracy,
        "sparse_categorical_crossentropy": SparseCategoricalCrossentropy,
        "sparse_top_k_categorical_accuracy": SparseTopKCategoricalAccuracy,
        "specificity_at_sensitivity": SpecificityAtSensitivity,
        "squared_hinge": SquaredHinge,
        "top_k_categorical_accuracy": TopKCategoricalAccuracy,
        "true_negatives": TrueNegatives,
        "true_positives": TruePositives,
    },
)


def get(identifier: Any) -> Any:
    """The metric for a name, a class, a dictionary, a ``Metric``, or a function ``f(y_true, y_pred)``.

    A metric asked for by name goes by that name: "mse" appears as "mse" in the logs. None stays None. Raises
    ValueError for an unknown name.
    """
    if callable(identifier) and not isinstance(identifier, (Metric, type)):
        return MeanMetricWrapper(identifier)
    if isinstance(identifier, Mapping):
        return deserialize(identifier)
    metric = _registry.get(identifier)
    if isinstance(identifier, str):
        metric.name = identifier
    return metric


def serialize(metric: Metric) -> dict[str, Any]:
    """{"class_name": ..., "config": ...}, of plain numbers and strings; a function is stored by its name."""
    return _registry.serialize(metric)


def deserialize(config: str | Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Metric:
    """The way back from ``serialize``.

    Classes and functions of your own come by name in ``custom_objects``; ValueError where one is missing.
    """
    known = {"MeanMetricWrapper": MeanMetricWrapper, **(custom_objects or {})}
    return _registry.deserialize(config, known)


publish(__name__)
