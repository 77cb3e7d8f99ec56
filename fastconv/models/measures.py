"""What is measured while a model trains: the running loss, and the metrics it was compiled with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from fastconv import metrics
from fastconv.metrics import Metric
from fastconv.parameter import Array


class Measures:
    """The loss, averaged over the examples seen since ``reset``, and metrics, each with its name in the logs.

    ``weighted`` ones take sample weights into account, the others do not. "accuracy" is one of three metrics,
    which one is decided by the first batch: "binary" for a single output, "sparse" for whole-number labels,
    else "categorical"; or "nearest", where the outputs are distances.
    """

    def __init__(self, unweighted: Any, weighted: Any) -> None:
        self.unweighted = _listed(unweighted, "metrics")
        self.weighted = _listed(weighted, "weighted_metrics")
        for identifier in (*self.unweighted, *self.weighted):
            if not _is_accuracy(identifier):
                metrics.get(identifier)  # unknown names are errors now, not after the first batch
        self._accuracy = ""
        self._metrics: list[tuple[str, Metric, bool]] | None = None
        self._loss_sum = 0.0
        self._examples = 0

    def update(
        self,
        loss: float,
        y_true: Array,
        y_pred: Array,
        sample_weight: Array | None,
        distances: bool = False,
    ) -> None:
        """Take a batch into account. ``distances``: of the outputs the smallest is the answer."""
        if self._metrics is None:
            self._make_metrics("nearest_accuracy" if distances else suitable_accuracy(y_true, y_pred))
        for _, metric, weighted in self._metrics or ():
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

    def _make_metrics(self, accuracy: str) -> None:
        """Make the metric objects; ``accuracy`` is which metric "accuracy" stands for."""
        made: dict[str, tuple[Metric, bool]] = {}
        for identifiers, weighted in ((self.unweighted, False), (self.weighted, True)):
            for identifier in identifiers:
                metric = metrics.get(accuracy if _is_accuracy(identifier) else identifier)
                if isinstance(identifier, str):
                    metric.name = identifier
                made[_free_name(metric.name, weighted, made)] = metric, weighted
        self._accuracy = accuracy
        self._metrics = [(name, metric, weighted) for name, (metric, weighted) in made.items()]

    # ---- for going on in another process

    def state_dict(self) -> dict[str, Any]:
        """The sums so far, of the loss and of the metrics."""
        states = None if self._metrics is None else [metric.state_dict() for metric in self.metrics]
        return {
            "loss_sum": self._loss_sum,
            "examples": self._examples,
            "accuracy": self._accuracy,
            "metrics": states,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on adding up where ``state_dict`` was taken, with the same metrics."""
        self._loss_sum, self._examples = state["loss_sum"], state["examples"]
        if state["metrics"] is None:
            self._metrics = None
            return
        if self._metrics is None:
            self._make_metrics(state["accuracy"])
        for metric, own in zip(self.metrics, state["metrics"], strict=True):
            metric.load_state_dict(own)


def suitable_accuracy(y_true: Array, y_pred: Array) -> str:
    """Which metric "accuracy" stands for, with targets and predictions of these shapes."""
    if y_pred.shape[-1] == 1:
        return "binary_accuracy"
    if y_true.ndim < y_pred.ndim or y_true.shape[-1] == 1:
        return "sparse_categorical_accuracy"
    return "categorical_accuracy"


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
