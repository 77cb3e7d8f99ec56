"""What is done with one batch: learn from it, measure on it, predict. The hooks that subclasses override."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from fastconv import regularizers
from fastconv._core.changes import Changes
from fastconv._core.turns import Turns, writing
from fastconv._core.versions import Latest
from fastconv.graph import structure
from fastconv.graph.ports import Several, listed
from fastconv.layers.layer import Layer
from fastconv.metrics import Metric
from fastconv.models.answers import outputs_distances
from fastconv.models.batches import Batch
from fastconv.models.executor import Programmed
from fastconv.models.intake import Intake
from fastconv.models.measures import Measures, plain
from fastconv.models.mistakes import warn_of_likely_mistakes
from fastconv.models.moving import Moving
from fastconv.models.objective import Objective, Value, given_targets, value_of
from fastconv.optimizers import Optimizer
from fastconv.parameter import Array, Parameter

Logs = dict[str, Any]


class Compiled(NamedTuple):
    """What ``compile`` chose."""

    optimizer: Optimizer
    objective: Objective | None  # None where a subclass computes its own loss
    measures: Measures


class Steps(Intake):
    """A layer that learns from batches, one step at a time."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._compiled: Compiled | None = None
        self._executor: Any = Programmed()  # runs the batches
        self._own_metrics: list[Metric] = []
        self._looked_for_mistakes = False
        self._lets_go = False
        self._moving = Moving()
        self._learned = Latest[list[Parameter]]()
        self._turns = Turns(self)

    def _ready(self, method: str) -> Compiled:
        if self._compiled is None:
            raise ValueError(
                f"{self} is not compiled: before {method}() comes compile(optimizer, loss), such as "
                'compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])'
            )
        return self._compiled

    def _overrides(self, hook: str) -> bool:
        """Whether a subclass, or this very model, has a ``hook`` of its own, such as "train_step"."""
        return hook in vars(self) or getattr(type(self), hook) is not getattr(Steps, hook)

    # ---- hooks for subclasses

    def train_step(self, data: Any) -> Logs:
        """Learn from a batch: ``fit`` and ``train_on_batch`` call it. Returns the logs, loss and metrics.

        Override it for a step of your own, which returns a dictionary {name: number}::

            class Noisy(Sequential):
                def train_step(self, data):
                    x, y = data
                    return super().train_step((x + np.random.normal(0, 0.1, x.shape), y))

        A step from scratch calls ``self(x, training=True)``, ``self.backward(gradient)``, and
        ``self.optimizer.step(self.parameters)``, and returns ``self.compute_metrics(x, y, y_pred)``.

        Parameters
        ----------
        data : the batch, as in Keras: x alone, (x, y), or (x, y, sample_weight)
        """
        return self._train_step(Batch.of(data))

    def test_step(self, data: Any) -> Logs:
        """Measure on a batch: ``evaluate``, validation and ``test_on_batch`` call it; as ``train_step``."""
        return self._test_step(Batch.of(data))

    def predict_step(self, data: Any) -> Array:
        """The outputs for a batch, as in ``train_step``: ``predict`` and ``predict_on_batch`` call it."""
        return self._infer(Batch.of(data).x)

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> float:
        """The loss of ``compile``, plus the penalties on weights and outputs.

        There is no autograd: a subclass that overrides it needs a ``compute_loss_gradient`` too, to train.
        """
        objective = self._ready("compute_loss").objective
        if objective is None:
            raise ValueError(
                f"{self} was compiled without a loss: give compile one, or override compute_loss"
            )
        return self._judged(objective, Batch(x, y, sample_weight), y_pred).total + sum(self.losses)

    def compute_loss_gradient(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None
    ) -> Array:
        """∂loss/∂y_pred, an array like ``y_pred``, of ``compute_loss`` without the penalties.

        Those on weights and outputs have their gradients by themselves.
        """
        objective = self._ready("compute_loss_gradient").objective
        if objective is None:
            raise ValueError(f"{self} was compiled without a loss: override compute_loss_gradient")
        outputs, targets, weights = self._by_output(y, y_pred, sample_weight)
        terms = objective.terms(self._ports.outputs)
        gradients = [
            None
            if term.loss is None
            else term.weight * term.loss.gradient(given_targets(true), output, weight)
            for term, true, output, weight in zip(terms, targets, outputs, weights, strict=True)
        ]
        return structure.packed(y_pred, gradients)

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Logs:
        """Take a batch into account in the metrics of ``compile``; returns ``get_metrics_result()``."""
        measures = self._ready("compute_metrics").measures
        outputs, targets, weights = self._by_output(y, y_pred, sample_weight)
        names = self._ports.outputs
        measures.update_metrics(targets, outputs, weights, names, lambda: outputs_distances(self))
        return self.get_metrics_result()

    # ---- what they do

    def _logs(self, hook: str, batch: Batch) -> Logs:
        """What ``train_step`` or ``test_step`` returns, of a subclass too."""
        if not self._overrides(hook):
            return self._train_step(batch) if hook == "train_step" else self._test_step(batch)
        logs: Logs = getattr(self, hook)(batch.packed())
        if not isinstance(logs, Mapping):
            raise TypeError(
                f"{type(self).__name__}.{hook} must return a dictionary {{name: number}}, such as "
                f"self.get_metrics_result(); it returned {logs!r}"
            )
        return {name: plain(value) for name, value in logs.items()}

    def _learn(self, batch: Batch) -> Logs:
        """``train_step``; where it raises, weights, optimizer and random states stay as they were."""
        with self._turns.lock, self._moving.put_back_on_error(self), Changes():
            return self._logs("train_step", batch)

    def _train_step(self, batch: Batch) -> Logs:
        compiled = self._ready("train_step")
        y_pred, value, parameters = self._loss_and_gradients(batch)
        self._measure(compiled, batch, y_pred, value)
        compiled.optimizer.step(parameters)  # last, when nothing else can fail
        return self.get_metrics_result()

    def _test_step(self, batch: Batch) -> Logs:
        compiled = self._ready("test_step")
        y_pred = self._infer(batch.x)
        if self._overrides("compute_loss") or compiled.objective is None:
            value = Value(self._computed_loss(batch, y_pred, training=False), [], [])
        else:
            value = self._judged(compiled.objective, batch, y_pred)
            value = value._replace(total=value.total + sum(self.losses))
        self._measure(compiled, batch, y_pred, value)
        return self.get_metrics_result()

    def _infer(self, x: ArrayLike) -> Array:
        """The outputs for one batch."""
        outputs = self._at_once(x)
        if outputs is None:
            batch = self._checked(x)
            with self._turns.reading:
                outputs = self._executor.infer_beside(self, batch)
            if outputs is None:
                with self._turns.lock, self._turns.reading:
                    outputs = self._executor.infer(self, batch)
        return outputs

    def _at_once(self, x: Any) -> Any:
        """The outputs for a batch like the last one; None where it is another, or no plain array."""
        with self._turns.reading:
            return self._executor.at_once(x)

    def _loss_and_gradients(self, batch: Batch) -> tuple[Any, Value, list[Parameter]]:
        """Forward, loss, backward, penalties: (outputs, losses, parameters with their gradients)."""
        objective = self._ready("train_step").objective
        if self._has_own_loss():
            return self._own_loss_and_gradients(batch)
        if objective is None:
            raise ValueError(f"{self} was compiled without a loss, which train_step needs")
        if objective.single is not None:
            given_targets(batch.y)
        if not self._looked_for_mistakes:
            self._looked_for_mistakes = True
            warn_of_likely_mistakes(self, objective.terms(self._ports.outputs), listed(batch.x))
        batch = batch._replace(x=self._checked(batch.x))
        y_pred, value = self._executor.loss_and_gradients(self, objective, batch)
        parameters = self._learned.of(lambda: self.parameters)
        return y_pred, value._replace(total=value.total + regularizers.penalize(parameters)), parameters

    def _own_loss_and_gradients(self, batch: Batch) -> tuple[Any, Value, list[Parameter]]:
        """The same with the loss of a subclass."""
        y_pred = self.forward(batch.x, training=True)
        value = self._computed_loss(batch, y_pred, training=True)
        dy = self.compute_loss_gradient(batch.x, batch.y, y_pred, batch.sample_weight)
        with self._letting_go():
            self.backward(dy, input_gradient=False)
        parameters = self.parameters
        regularizers.penalize(parameters)  # for their gradients: they are part of the loss already
        return y_pred, Value(value, [], []), parameters

    def _has_own_loss(self) -> bool:
        """Whether a subclass computes the loss. TypeError where it does not say the gradient."""
        gradient = self._overrides("compute_loss_gradient")
        if self._overrides("compute_loss") and not gradient:
            raise TypeError(
                f"{type(self).__name__} overrides compute_loss, and there is no autograd here to "
                "differentiate it: override compute_loss_gradient(x, y, y_pred, sample_weight) as well"
            )
        return gradient

    @contextmanager
    def _letting_go(self) -> Iterator[None]:
        """Meanwhile ``backward`` lets every layer forget as soon as it is through: a third less memory."""
        self._lets_go = True
        try:
            yield
        finally:
            self._lets_go = False

    def _computed_loss(self, batch: Batch, y_pred: Array, training: bool) -> float:
        """``compute_loss``, of a subclass that does not know of ``training`` too."""
        hook = self.compute_loss
        extra = {"training": training} if _takes_training(getattr(hook, "__func__", hook)) else {}
        value = self.compute_loss(batch.x, batch.y, y_pred, batch.sample_weight, **extra)
        if np.size(value) != 1:
            raise TypeError(
                f"{type(self).__name__}.compute_loss must return one number, got an array of shape "
                f"{np.shape(value)}"
            )
        return float(np.asarray(value).reshape(()))

    def _judged(self, objective: Objective, batch: Batch, y_pred: Any) -> Value:
        """The loss of ``compile``, without penalties."""
        outputs, y, weights = self._by_output(batch.y, y_pred, batch.sample_weight)
        return value_of(objective.terms(self._ports.outputs), y, outputs, weights)

    def _by_output(self, y: Any, y_pred: Any, sample_weight: Any) -> tuple[list[Any], list[Any], list[Any]]:
        """(outputs, targets, weights), each a list with an item for every output."""
        outputs = structure.leaves(y_pred)
        if len(outputs) == 1:
            return outputs, [y], [sample_weight]
        # In a step of a subclass they may be nested as given.
        if y is not None and not isinstance(y, Several):
            y, sample_weight = self._ports.sorted_targets(y, sample_weight)
        return outputs, listed(y, len(outputs)), listed(sample_weight, len(outputs))

    def _measure(self, compiled: Compiled, batch: Batch, y_pred: Any, value: Value) -> None:
        """Take a batch into account in the running losses and metrics."""
        outputs, y, weights = self._by_output(batch.y, y_pred, batch.sample_weight)
        measures = compiled.measures
        measures.update(value, y, outputs, weights, self._ports.outputs, lambda: outputs_distances(self))

    def _last_layers(self) -> list[Layer]:
        """The layers that make the outputs; none before they are known."""
        return []

    # ---- losses and metrics so far

    @property
    def metrics(self) -> list[Metric]:
        """The running losses, the metrics of ``compile`` once a batch has been seen, and those that are
        attributes of a subclass."""
        measures = self._compiled.measures.all if self._compiled else []
        return [*measures, *(value for value in vars(self).values() if isinstance(value, Metric))]

    @property
    def metrics_names(self) -> list[str]:
        """What the numbers of ``evaluate`` are called: "loss", and the metrics once a batch has been seen."""
        return list(self._compiled.measures.results()) if self._compiled else []

    def reset_metrics(self) -> None:
        """Start the running loss and all metrics afresh."""
        if self._compiled:
            self._compiled.measures.reset()
        own = self._find_own_metrics()
        if own or self._own_metrics:  # assigning a list costs a microsecond: it is searched for layers
            self._own_metrics = own
        for metric in own:
            metric.reset_state()

    def _find_own_metrics(self) -> list[Metric]:
        """The metrics of a subclass that ``compile`` does not know."""
        if type(self).__module__.startswith("fastconv."):  # no subclass, and nothing to look for
            return []
        measures = self._compiled.measures if self._compiled else None
        known = measures.all if measures else []
        return [metric for metric in self.metrics if not any(metric is one for one in known)]

    def get_metrics_result(self) -> Logs:
        """{"loss": ..., "accuracy": ..., ...}: the running loss and all metrics, as the logs have them."""
        results = self._compiled.measures.results() if self._compiled else {}
        if self._compiled and not self._compiled.measures.loss.count:
            del results["loss"]  # a ``train_step`` of one's own keeps count of none
        for metric in self._own_metrics:
            results[metric.name] = plain(metric.result())
        return results

    # ---- beside other threads: weights are read and written between two steps, whichever thread trains

    def forward(self, x: Any, training: bool = False, *more: Any) -> Any:
        with self._turns.lock:
            return super().forward(x, training, *more)

    def get_weights(self) -> list[Array]:
        with self._turns.lock:
            return super().get_weights()

    def set_weights(self, weights: Sequence[ArrayLike]) -> None:
        with self._turns.lock, writing(self.weights):
            super().set_weights(weights)

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_executor": copy.copy(self._executor)}

    def __deepcopy__(self, memo: dict[int, Any]) -> Steps:
        copied = type(self).__new__(type(self))
        memo[id(self)] = copied
        with self._turns.lock:
            state = copy.deepcopy(self.__getstate__(), memo)
        getattr(copied, "__setstate__", vars(copied).update)(state)
        return copied


@cache
def _takes_training(compute_loss: Callable[..., Any]) -> bool:
    parameters = inspect.signature(compute_loss).parameters.values()
    return any(one.name == "training" or one.kind is one.VAR_KEYWORD for one in parameters)
