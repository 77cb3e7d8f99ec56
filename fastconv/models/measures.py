"""What is measured while a model trains: the running loss, and the metrics it was compiled with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from fastconv import metrics
from fastconv.metrics import Mean, Metric
from fastconv.parameter import Array


class Measures:
    """The loss, averaged over the examples seen since ``reset``, and metrics, each with its name in the logs.

    ``loss`` is a metric too: the mean of what it is updated with.

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
        self.loss = Mean(name="loss")
        self.loss.direction = "down"

    def update(
        self,
        loss: float,
        y_true: Array | None,
        y_pred: Array,
        sample_weight: Array | None,
        distances: bool = False,
    ) -> None:
        """Take a batch into account. ``distances``: of the outputs the smallest is the answer."""
        self.update_metrics(y_true, y_pred, sample_weight, distances)
        self.loss.total += loss * len(y_pred)
        self.loss.count += len(y_pred)

    def update_metrics(
        self, y_true: Array | None, y_pred: Array, sample_weight: Array | None, distances: bool = False
    ) -> None:
        """Take a batch into account, but for the loss. No targets are needed where there are no metrics."""
        if self._metrics is None:
            if y_true is None and (self.unweighted or self.weighted):
                raise ValueError("the targets are missing, which the metrics of compile compare with: give y")
            distances = distances and y_true is not None
            self._make_metrics("nearest_accuracy" if distances else suitable_accuracy(y_true, y_pred))
        for _, metric, weighted in self._metrics or ():
            metric.update_state(y_true, y_pred, sample_weight if weighted else None)

    def results(self) -> dict[str, Any]:
        """{"loss": ..., "accuracy": ..., ...}, the loss first, then in the order of ``compile``.

        Floats, but for metrics whose result is an array.
        """
        results = {name: plain(metric.result()) for name, metric, _ in self._metrics or ()}
        return {"loss": self.loss.result(), **results}

    def reset(self) -> None:
        self.loss.reset_state()
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
            "loss_sum": self.loss.total,
            "examples": self.loss.count,
            "accuracy": self._accuracy,
            "metrics": states,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on adding up where ``state_dict`` was taken, with the same metrics."""
        self.loss.total, self.loss.count = state["loss_sum"], state["examples"]
        if state["metrics"] is None:
            self._metrics = None
            return
        if self._metrics is None:
            self._make_metrics(state["accuracy"])
        for metric, own in zip(self.metrics, state["metrics"], strict=True):
            metric.load_state_dict(own)


def suitable_accuracy(y_true: Array | None, y_pred: Array) -> str:
    """Which metric "accuracy" stands for, with targets and predictions of these shapes."""
    if y_true is None or y_pred.shape[-1] == 1:
        return "binary_accuracy"
    if y_true.ndim < y_pred.ndim or y_true.shape[-1] == 1:
        return "sparse_categorical_accuracy"
    return "categorical_accuracy"


def plain(result: Any) -> Any:
    """A metric's result as the logs have it: a float, or an array of several."""
    return np.asarray(result) if np.ndim(result) else float(np.asarray(result))


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


def _without_nesting(given: Sequence[Any]) -> Sequence[Any]:
    """What a list of one list holds, ``[["mae"]]``: Keras has an inner list for each output of a model."""
    while len(given) == 1 and isinstance(given[0], (list, tuple)):
        given = given[0]
    return given


def _listed(given: Any, argument: str) -> list[Any]:
    if given is None:
        return []
    if isinstance(given, (list, tuple)):
        return list(_without_nesting(given))
    raise ValueError(f"{argument} must be a list, such as {argument}=['accuracy']; got {given!r}")
