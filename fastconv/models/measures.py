"""What is measured while a model trains: the running loss, and the metrics it was compiled with."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from fastconv import metrics
from fastconv.metrics import Metric
from fastconv.parameter import Array


class Measures:
    """The loss, averaged over the examples seen since ``reset``, and metrics, each with its name in the logs.

    ``weighted`` ones take sample weights into account, the others do not. "accuracy" is one of three metrics,
    which one is decided by the first batch: "binary" for a single output, "sparse" for whole-number labels,
    else "categorical".
    """

    def __init__(self, unweighted: Any, weighted: Any) -> None:
        self.unweighted = _listed(unweighted, "metrics")
        self.weighted = _listed(weighted, "weighted_metrics")
        for identifier in (*self.unweighted, *self.weighted):
            if not _is_accuracy(identifier):
                metrics.get(identifier)  # unknown names are errors now, not after the first batch
        self._metrics: list[tuple[str, Metric, bool]] | None = None
        self._loss_sum = 0.0
        self._examples = 0

    def update(self, loss: float, y_true: Array, y_pred: Array, sample_weight: Array | None) -> None:
        """Take a batch into account."""
        if self._metrics is None:
            self._metrics = self._resolve(y_true, y_pred)
        for _, metric, weighted in self._metrics:
            metric.update_state(y_true, y_pred, sample_weight if weighted else None)
        self._loss_sum += loss * len(y_pred)
        self._examples += len(y_pred)

    def results(self) -> dict[str, Any]:
        """{"loss": ..., "accuracy": ..., ...}, the loss first, then in the order of ``compile``.

        Floats, but for metrics whose result is an array.
        """
        loss = self._loss_sum / self._examples if self._examples else 0.0
        return {"loss": loss, **{name: _plain(metric.result()) for name, metric, _ in self._metrics or ()}}

    def reset(self) -> None:
        self._loss_sum, self._examples = 0.0, 0
        for metric in self.metrics:
            metric.reset_state()

    @property
    def metrics(self) -> list[Metric]:
        """The metric objects; none before the first batch."""
        return [metric for _, metric, _ in self._metrics or ()]

    def _resolve(self, y_true: Array, y_pred: Array) -> list[tuple[str, Metric, bool]]:
        resolved: dict[str, tuple[Metric, bool]] = {}
        for identifiers, weighted in ((self.unweighted, False), (self.weighted, True)):
            for identifier in identifiers:
                metric = resolve_metric(identifier, y_true, y_pred)
                resolved[_free_name(metric.name, weighted, resolved)] = metric, weighted
        return [(name, metric, weighted) for name, (metric, weighted) in resolved.items()]


def resolve_metric(identifier: Any, y_true: Array, y_pred: Array) -> Metric:
    """The metric for ``identifier``: for "accuracy" the one that suits the shapes. A name stays its name."""
    if not _is_accuracy(identifier):
        metric = metrics.get(identifier)
    elif y_pred.shape[-1] == 1:
        metric = metrics.get("binary_accuracy")
    elif y_true.ndim < y_pred.ndim or y_true.shape[-1] == 1:
        metric = metrics.get("sparse_categorical_accuracy")
    else:
        metric = metrics.get("categorical_accuracy")
    if isinstance(identifier, str):
        metric.name = identifier
    return metric


def _plain(result: Any) -> Any:
    return result if np.ndim(result) else float(result)


def _is_accuracy(identifier: Any) -> bool:
    return isinstance(identifier, str) and identifier.lower() in ("accuracy", "acc")


def _free_name(name: str, weighted: bool, taken: Iterable[str]) -> str:
    """``name``, changed as Keras does where another metric has it: "weighted_accuracy", "accuracy_1"."""
    if name in taken and weighted:
        name = f"weighted_{name}"
    base, number = name, 0
    while name in taken:
        number += 1
        name = f"{base}_{number}"
    return name


def _listed(given: Any, argument: str) -> list[Any]:
    if given is None:
        return []
    if isinstance(given, (list, tuple)):
        return list(given)
    raise ValueError(f"{argument} must be a list, such as {argument}=['accuracy']; got {given!r}")
