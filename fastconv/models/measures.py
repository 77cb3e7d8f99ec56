"""What is measured while a model trains: the running loss, and the metrics it was compiled with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from fastconv import metrics
from fastconv.metrics import Mean, Metric
from fastconv.models.objective import Value, check_keys
from fastconv.parameter import Array


class Measured(NamedTuple):
    """A metric at work: its name in the logs, whether it takes sample weights into account, and of which
    output."""

    name: str
    metric: Metric
    weighted: bool
    output: int


class Measures:
    """The loss, averaged over the examples seen since ``reset``, and metrics, each with its name in the logs.

    ``loss`` is a metric too: the mean of what it is updated with; and with several outputs so are
    ``output_losses``.

    ``weighted`` metrics take sample weights into account, the others do not. With several outputs both are
    lists with an item for each, or dictionaries by the outputs' names, which begin the metrics' names in the
    logs.

    "accuracy" is one of three metrics, which one is decided by the first batch: "binary" for a single output,
    "sparse" for whole-number labels, else "categorical"; or "nearest", where the outputs are distances.
    """

    def __init__(self, unweighted: Any, weighted: Any) -> None:
        self.unweighted = _checked(unweighted, "metrics")
        self.weighted = _checked(weighted, "weighted_metrics")
        self._names: tuple[str, ...] = ()
        self._accuracies: list[str] = []
        self._metrics: list[Measured] | None = None
        self.loss = _mean("loss")
        self.output_losses: list[Mean] = []

    def update(
        self,
        value: Value,
        y_true: Sequence[Any],
        y_pred: Sequence[Array],
        sample_weight: Sequence[Any],
        names: Sequence[str] = ("",),
        distances: Callable[[], Sequence[bool]] | None = None,
    ) -> None:
        """Take a batch into account: its losses, and targets and predictions by output.

        ``names`` are those of the outputs. ``distances`` tells of each whether its
        smallest number is the answer, and is called when metrics are made.
        """
        self.update_metrics(y_true, y_pred, sample_weight, names, distances)
        if len(y_pred) > 1 and not self.output_losses:
            judged = value.names or names
            self.output_losses = [_mean(f"{name}_loss") for name in judged]
        count = len(y_pred[0])
        losses = [value.total, *(value.each if self.output_losses else ())]
        for mean, loss in zip([self.loss, *self.output_losses], losses, strict=True):
            mean.total += loss * count
            mean.count += count

    def update_metrics(
        self,
        y_true: Sequence[Any],
        y_pred: Sequence[Array],
        sample_weight: Sequence[Any],
        names: Sequence[str] = ("",),
        distances: Callable[[], Sequence[bool]] | None = None,
    ) -> None:
        """Take a batch into account, but for the losses. No targets are needed where there are no metrics."""
        if self._metrics is None:
            if all(y is None for y in y_true) and (self.unweighted or self.weighted):
                raise ValueError("the targets are missing, which the metrics of compile compare with: give y")
            self._names = tuple(names)
            by_distance = [False] * len(y_pred) if distances is None else distances()
            self._make_metrics(
                [
                    "nearest_accuracy" if nearest and y is not None else suitable_accuracy(y, prediction)
                    for y, prediction, nearest in zip(y_true, y_pred, by_distance, strict=True)
                ]
            )
        for _, metric, weighted, output in self._metrics or ():
            metric.update_state(y_true[output], y_pred[output], sample_weight[output] if weighted else None)

    def results(self) -> dict[str, Any]:
        """{"loss": ..., "accuracy": ..., ...}, the losses first, then in the order of ``compile``.

        Floats, but for metrics whose result is an array.
        """
        losses = {mean.name: mean.result() for mean in [self.loss, *self.output_losses]}
        return {**losses, **{name: plain(metric.result()) for name, metric, *_ in self._metrics or ()}}

    def reset(self) -> None:
        for metric in self.all:
            metric.reset_state()

    @property
    def are_made(self) -> bool:
        """Whether the metrics are there, which the first batch decides."""
        return self._metrics is not None

    @property
    def all(self) -> list[Metric]:
        """The running losses, then the metric objects."""
        return [self.loss, *self.output_losses, *self.metrics]

    @property
    def metrics(self) -> list[Metric]:
        """The metric objects; none before the first batch."""
        return [measured.metric for measured in self._metrics or ()]

    def _make_metrics(self, accuracies: list[str]) -> None:
        """Make the metric objects; ``accuracies`` is which metric "accuracy" stands for, by output."""
        made: dict[str, Measured] = {}
        for given, argument, weighted in (
            (self.unweighted, "metrics", False),
            (self.weighted, "weighted_metrics", True),
        ):
            for output, identifiers in enumerate(_by_output(given, self._names, argument)):
                for identifier in identifiers:
                    metric = metrics.get(accuracies[output] if _is_accuracy(identifier) else identifier)
                    if isinstance(identifier, str):
                        metric.name = identifier
                    prefix = f"{self._names[output]}_" if len(self._names) > 1 else ""
                    name = _free_name(metric.name, weighted, made, prefix)
                    made[name] = Measured(name, metric, weighted, output)
        self._accuracies = accuracies
        self._metrics = list(made.values())

    # ---- for going on in another process

    def state_dict(self) -> dict[str, Any]:
        """The sums so far, of the losses and of the metrics."""
        return {
            "losses": [[mean.name, mean.total, mean.count] for mean in [self.loss, *self.output_losses]],
            "outputs": list(self._names),
            "accuracies": self._accuracies,
            "metrics": None if self._metrics is None else [metric.state_dict() for metric in self.metrics],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on adding up where ``state_dict`` was taken, with the same metrics."""
        (_, self.loss.total, self.loss.count), *others = state["losses"]
        self.output_losses = [_mean(name) for name, _, _ in others]
        for mean, (_, total, count) in zip(self.output_losses, others, strict=True):
            mean.total, mean.count = total, count
        if state["metrics"] is None:
            self._metrics = None
            return
        if self._metrics is None:
            self._names = tuple(state["outputs"])
            self._make_metrics(list(state["accuracies"]))
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


def _free_name(name: str, weighted: bool, taken: Iterable[str], prefix: str = "") -> str:
    """``name`` behind the output's ``prefix``, changed as Keras does where another metric has it:
    "weighted_accuracy", "accuracy_1".
    """
    if prefix + name in taken and weighted:
        name = f"weighted_{name}"
    base, number = name, 0
    while prefix + name in taken:
        number += 1
        name = f"{base}_{number}"
    return prefix + name


def _mean(name: str) -> Mean:
    mean = Mean(name=name)
    mean.direction = "down"
    return mean


def _leaves(given: Any) -> Iterator[Any]:
    if isinstance(given, (list, tuple)):
        for item in given:
            yield from _leaves(item)
    elif isinstance(given, Mapping) and "class_name" not in given:
        for item in given.values():
            yield from _leaves(item)
    elif given is not None:
        yield given


def _checked(given: Any, argument: str) -> Any:
    """``given``; unknown names are errors now, not after the first batch."""
    if given is None:
        return []
    if not isinstance(given, (list, tuple, Mapping)):
        raise ValueError(f"{argument} must be a list, such as {argument}=['accuracy']; got {given!r}")
    for identifier in _leaves(given):
        if not _is_accuracy(identifier):
            metrics.get(identifier)
    return dict(given) if isinstance(given, Mapping) else list(given)


def _by_output(given: Any, names: Sequence[str], argument: str) -> list[list[Any]]:
    """The metrics of each output."""
    if len(names) == 1 or not given:
        everything = list(_leaves(given))
        return [everything] + [[] for _ in names[1:]]
    if isinstance(given, Mapping):
        check_keys(given, names, argument)
        return [list(_leaves(given.get(name))) for name in names]
    if len(given) != len(names):
        raise ValueError(
            f"compile: {argument} must have an item for each of the {len(names)} outputs {list(names)}, such "
            f"as {argument}=[['accuracy'], []], or be a dictionary by these names; got {given!r}"
        )
    return [list(_leaves(item)) for item in given]
