"""Training: forward, loss, backward, step, batch after batch; and the loops around it."""

from __future__ import annotations

import copy
import inspect
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, wraps
from itertools import chain
from typing import Any, Concatenate, NamedTuple, ParamSpec, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from fastconv import losses, metrics, optimizers, regularizers
from fastconv._core.turns import Turns
from fastconv._core.versions import knows
from fastconv.callbacks import CallbackList, History, ProgbarLogger
from fastconv.callbacks.callback import Callback
from fastconv.callbacks.callback_list import flat
from fastconv.graph import structure
from fastconv.graph.ports import Ports, Several, each, listed
from fastconv.layers._arguments import whole
from fastconv.layers.layer import Layer, apart_from
from fastconv.losses import Loss
from fastconv.metrics import Metric
from fastconv.models.batches import (
    Batch,
    as_numbers,
    checked_batch,
    split_off_validation,
    unpacked,
    without_structure,
)
from fastconv.models.epochs import Epochs, epochs_of
from fastconv.models.interrupts import Step, between_steps
from fastconv.models.measures import Measures, plain
from fastconv.models.mistakes import warn, warn_of_broken_weights, warn_of_likely_mistakes, warn_of_nan
from fastconv.models.moving import Moving
from fastconv.models.objective import Objective, Value, value_of
from fastconv.models.plan import Plan, can_train_with
from fastconv.models.progress import Progress, progress
from fastconv.models.run import Run
from fastconv.ops._door import array as floats
from fastconv.optimizers import Optimizer
from fastconv.parameter import Array, Parameter

Logs = dict[str, Any]
P = ParamSpec("P")
Result = TypeVar("Result")
Callbacks = Sequence[Any] | Callback | None


class Compiled(NamedTuple):
    """What ``compile`` chose."""

    optimizer: Optimizer
    objective: Objective | None  # None where a subclass computes its own loss
    measures: Measures


def _alone(
    loop: Callable[Concatenate[Trainer, P], Result],
) -> Callable[Concatenate[Trainer, P], Result]:
    """A method that one thread at a time may run: RuntimeError in a second one."""

    @wraps(loop)
    def run_alone(self: Trainer, *args: P.args, **kwargs: P.kwargs) -> Result:
        with self._turns.alone(self):
            return loop(self, *args, **kwargs)

    return run_alone


class Trainer(Layer):
    """A layer that can be trained: ``compile``, ``fit``, ``evaluate``, ``predict``, or batch by batch.

    What is done with a batch may be overridden: ``train_step``, ``test_step``, ``predict_step``, and
    ``compute_loss`` with ``compute_loss_gradient``. Metrics that are attributes of a subclass are started
    afresh with each epoch.

    Threads: ``model(x)``, ``predict``, ``predict_on_batch``, ``get_weights``, ``set_weights`` and
    ``copy.deepcopy(model)`` may run in any thread, beside training too: they see the weights as they are
    between two steps. ``fit``, ``evaluate``, ``train_on_batch`` and ``test_on_batch`` of a model are for one
    thread at a time: beside a ``fit`` or ``evaluate`` in another thread they raise RuntimeError. A training
    loop of your own (``forward``, ``backward``, ``optimizer.step``) must be the only thread that trains the
    model or calls its ``forward``. Models that share layers count as one model in this respect, but only a
    ``backward`` after another thread's ``forward`` is noticed.
    """

    _changes_while_running = Layer._changes_while_running | {
        "_lets_go",
        "_looked_for_mistakes",
        "_own_metrics",
        "history",
        "run",
        "stop_evaluating",
        "stop_predicting",
        "stop_training",
    }

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.history: History | None = None
        self.stop_training = self.stop_evaluating = self.stop_predicting = False
        self.run: Run | None = None  # of a fit that is at work
        self._compiled: Compiled | None = None
        self._own_metrics: list[Metric] = []
        self._looked_for_mistakes = False
        self._lets_go = False
        self._jit_compile: bool | str = "auto"
        self._moving = Moving()
        self._turns = Turns()
        self.run_eagerly = False

    # ---- compile

    def compile(
        self,
        optimizer: str | Mapping[str, Any] | Optimizer = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: bool | str = "auto",
        auto_scale_loss: bool = True,
    ) -> None:
        """Choose what to make small, how, and what to measure on the way.

        Layers frozen later (``layer.trainable = False``) stop learning at once, and the optimizer keeps what
        it remembers of them. Layers that were frozen when it took its first step are unknown to it: compile
        again after unfreezing them, with a lower learning rate say.

        Parameters
        ----------
        optimizer, loss : a name such as "adam" or "mse", or an object. A subclass that overrides
            ``compute_loss`` or ``train_step`` needs no loss
        metrics : names or objects; "accuracy" finds out by itself which kind
        weighted_metrics : as ``metrics``, but these take ``sample_weight`` and ``class_weight`` into account
            of a model with several outputs, ``loss`` is one for all, or a list or dictionary by output, and
            so are ``metrics`` and ``weighted_metrics``, lists of lists
        loss_weights : what each output's loss is multiplied by; a list or dictionary by output
        jit_compile : whether a small network may run as a plan, whole steps in one call of C (see
            ``models.plan``): "auto" and True where it can and pays, False never. A network that cannot is run
            layer by layer
        run_eagerly, steps_per_execution, auto_scale_loss : accepted for Keras' sake; there is nothing here
            for them to change
        """
        if loss is None and not (self._overrides("compute_loss") or self._overrides("train_step")):
            raise ValueError('compile needs a loss, such as loss="sparse_categorical_crossentropy"')
        self.jit_compile = jit_compile
        objective = None if loss is None else Objective(loss, loss_weights)
        compiled = Compiled(optimizers.get(optimizer), objective, Measures(metrics, weighted_metrics))
        if objective is not None and self._outputs_are_known:
            objective.terms(self._ports.outputs)  # what does not fit is an error now, not after a batch
        self._compiled = compiled
        self._looked_for_mistakes = False
        self.run_eagerly = run_eagerly
        self.stop_training = False

    def _overrides(self, hook: str) -> bool:
        """Whether a subclass, or this very model, has a ``hook`` of its own, such as "train_step"."""
        return hook in vars(self) or getattr(type(self), hook) is not getattr(Trainer, hook)

    @property
    def compiled(self) -> bool:
        return self._compiled is not None

    @property
    def optimizer(self) -> Optimizer | None:
        """The optimizer of ``compile``. Another may be assigned, an object or a name; it starts afresh."""
        return self._compiled.optimizer if self._compiled else None

    @optimizer.setter
    def optimizer(self, optimizer: str | Mapping[str, Any] | Optimizer) -> None:
        if optimizer is None:
            raise ValueError(f'{self}: optimizer must be a name such as "adam", or an object; got None')
        self._compiled = self._ready("assigning an optimizer")._replace(optimizer=optimizers.get(optimizer))

    @property
    def jit_compile(self) -> bool | str:
        """The argument of ``compile``; may be assigned."""
        return self._jit_compile

    @jit_compile.setter
    def jit_compile(self, value: bool | str) -> None:
        if value not in (True, False, "auto"):
            raise ValueError(f'jit_compile must be True, False or "auto"; got {value!r}')
        self._jit_compile = value

    @property
    def loss(self) -> Any:
        """The loss of ``compile``, an object; nested as given where there are several."""
        if self._compiled is None or self._compiled.objective is None:
            return None
        return self._compiled.objective.single or self._compiled.objective.loss

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

    def get_compile_config(self) -> dict[str, Any]:
        """The arguments of ``compile`` as plain numbers and strings; {} where it was not called."""
        if self._compiled is None:
            return {}
        optimizer, objective, measures = self._compiled

        def serialized(given: Any) -> Any:
            if isinstance(given, (list, tuple)):
                return [serialized(item) for item in given]
            if isinstance(given, dict) and "class_name" not in given:
                return {name: serialized(item) for name, item in given.items()}
            return given if given is None or isinstance(given, str) else metrics.serialize(metrics.get(given))

        serialized_optimizer = optimizers.serialize(optimizer)
        if optimizer.excluded_from_weight_decay is not None:
            excluded = optimizer.excluded_from_weight_decay.get_config(self.weights)
            serialized_optimizer["config"]["exclude_from_weight_decay"] = excluded
        weights = None if objective is None else objective.loss_weights
        return {
            "optimizer": serialized_optimizer,
            "loss": None if objective is None else objective.serialized(),
            **({} if weights is None else {"loss_weights": weights}),
            "metrics": serialized(measures.unweighted),
            "weighted_metrics": serialized(measures.weighted),
            "jit_compile": self._jit_compile,
        }

    def compile_from_config(
        self, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None
    ) -> None:
        """``compile`` with what ``get_compile_config`` returned; your own classes are ``custom_objects``."""

        def restored(serialized: Any, deserialize: Callable[..., Any]) -> Any:
            if isinstance(serialized, list):
                return [restored(item, deserialize) for item in serialized]
            if isinstance(serialized, Mapping) and "class_name" not in serialized:
                return {name: restored(item, deserialize) for name, item in serialized.items()}
            if serialized is None or isinstance(serialized, str):
                return serialized
            return deserialize(serialized, custom_objects)

        optimizer = optimizers.deserialize(config["optimizer"], custom_objects)
        if optimizer.excluded_from_weight_decay is not None:
            optimizer.excluded_from_weight_decay.find(self.weights)
        self.compile(
            optimizer,
            restored(config["loss"], losses.deserialize),
            loss_weights=config.get("loss_weights"),
            metrics=restored(config["metrics"], metrics.deserialize),
            weighted_metrics=restored(config["weighted_metrics"], metrics.deserialize),
            jit_compile=config.get("jit_compile", "auto"),
        )

    # ---- the loops

    @_alone
    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: int | str = "auto",
        callbacks: Callbacks = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool | str = True,
        class_weight: Mapping[int, float] | None = None,
        sample_weight: ArrayLike | None = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int | Sequence[int] = 1,
    ) -> History:
        """Train for ``epochs`` passes over the data; returns the ``History`` of losses and metrics.

        Parameters
        ----------
        x : array (N, ...), or an iterable of batches (x, y) or (x, y, sample_weight)
        y : targets (N, ...), where x is an array
        batch_size : examples per step, for arrays; 32 where None
        verbose : 0 silent, 1 a bar, 2 a line per epoch; "auto" is 1, or 2 where the output is not a terminal
        validation_split : this share of the examples, the last ones, is only evaluated after each epoch
        validation_data : (x, y), (x, y, sample_weight) or an iterable of batches, for the same purpose
        shuffle : True deals arrays out in a new order each epoch; "batch" mixes only within batches
        class_weight : {class: weight}, turned into sample weights
        sample_weight : (N,), multiplies each example's loss
        initial_epoch : count epochs from here, to go on with an earlier run
        steps_per_epoch, validation_steps : how many batches make an epoch, where it is not one whole pass
        validation_batch_size : ``batch_size`` where None
        validation_freq : validate every so many epochs, or after the epochs listed (counted from 1)

        Everything given is checked before the first step. Ctrl-C takes effect between two steps, so that
        weights and optimizer always belong together: callbacks get their ``on_train_end``, ``model.history``
        holds the epochs completed, and KeyboardInterrupt goes on to the caller.
        """
        self._ready("fit")
        first, last = whole(initial_epoch, "initial_epoch", 0), whole(epochs, "epochs", 0)
        validated, validations = _validated_epochs(validation_freq, first, last)
        x, y, sample_weight = self._arranged(x, y, sample_weight)
        if validation_split and validation_data is None:
            (x, y, sample_weight), validation_data = split_off_validation(
                x, y, sample_weight, validation_split
            )
        data = self._epochs(
            x, y, sample_weight, batch_size, steps_per_epoch, "steps_per_epoch", shuffle, class_weight
        )
        data.check_repeats(last - first, "x", "steps_per_epoch")
        validation = None
        if validation_data is not None:
            validation = self._epochs(
                *self._arranged(*unpacked(validation_data, self._ports)),
                validation_batch_size or batch_size,
                validation_steps,
                "validation_steps",
            )
            validation.check_repeats(validations, "validation_data", "validation_steps")

        history = History()
        hooks, report = self._hooks(callbacks, "train", verbose, epochs, data.number, history)
        self.history = history
        self.stop_training = False
        self.run = run = Run(self, data, validation, hooks, first, last)
        with _tidy(self, report, data, validation), between_steps() as step:
            logs: Logs = {}
            try:
                hooks.on_train_begin()
                while not run.is_over:
                    hooks.on_epoch_begin(run.epoch)
                    results = self._train_epoch(data, run, hooks, step)
                    if results is None:
                        run.end_without_data()
                        break
                    logs = results
                    if validation is not None and validated(run.epoch):
                        results = self._evaluate(validation, hooks)
                        if results is None:
                            warn(f"the validation data ran out: none from epoch {run.epoch + 1} on")
                            validation = None
                        else:
                            logs |= {f"val_{name}": value for name, value in results.items()}
                    logs = _sorted(logs)
                    hooks.on_epoch_end(run.end_epoch(), logs)
                    run.look_for_end()
            except KeyboardInterrupt:
                self._finish(hooks, logs)
                raise
            else:
                self._finish(hooks, logs)
                if run.loss_is_finite:
                    warn_of_broken_weights(self)
            finally:
                self.run = None
        return history

    def _finish(self, hooks: CallbackList, logs: Logs) -> None:
        self._ready("fit").optimizer.finalize_variable_values(self.parameters)
        hooks.on_train_end(logs)

    def _train_epoch(self, data: Epochs, run: Run, hooks: CallbackList, whole_step: Step) -> Logs | None:
        """The epoch's results; None where there was no batch."""
        logs: Logs | None = None if run.step == 0 else self.get_metrics_result()
        if run.step == 0:
            self.reset_metrics()
        for step, batch in enumerate(data.epoch(run.step), run.step):
            hooks.on_train_batch_begin(step)
            with whole_step:
                logs = self._learn(batch)
                run.step = step + 1
            hooks.on_train_batch_end(step, _sorted(logs))
            if self.stop_training:
                run.loss_is_finite = run.loss_is_finite and _is_finite(logs)
                break
            if run.loss_is_finite and not _is_finite(logs):
                run.loss_is_finite = False
                warn_of_nan(self, logs["loss"], batch, f"in epoch {run.epoch + 1}, batch {step}")
        return logs

    @_alone
    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        sample_weight: ArrayLike | None = None,
        steps: int | None = None,
        callbacks: Callbacks = None,
        return_dict: bool = False,
    ) -> float | list[float] | Logs:
        """Loss and metrics on data the model does not learn from; arguments as those of ``fit``.

        Returns [loss, *metrics], the loss alone where there are no metrics, or with ``return_dict`` a
        dictionary.
        """
        self._ready("evaluate")
        x, y, sample_weight = self._arranged(x, y, sample_weight)
        data = self._epochs(x, y, sample_weight, batch_size, steps, "steps")
        hooks, report = self._hooks(callbacks, "test", verbose, 1, data.number)
        with _tidy(self, report, data):
            results = self._evaluate(data, hooks)
        if results is None:
            raise ValueError("there was nothing to evaluate on: the data yielded no batch")
        return _returned(results, return_dict)

    def _evaluate(self, data: Epochs, hooks: CallbackList) -> Logs | None:
        """Loss and metrics; None, and no hook is called, where the data yields no batch."""
        data.restart()
        batches = _begun(data)
        if batches is None:
            return None
        logs: Logs = {}
        self.stop_evaluating = False
        self.reset_metrics()
        hooks.on_test_begin()
        for step, batch in enumerate(batches):
            hooks.on_test_batch_begin(step)
            with self._turns.lock:
                logs = self._logs("test_step", batch)
            hooks.on_test_batch_end(step, _sorted(logs))
            if self.stop_evaluating:
                break
        hooks.on_test_end(_sorted(logs))
        return logs

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        steps: int | None = None,
        callbacks: Callbacks = None,
    ) -> Array:
        """The model's outputs for all of x (an array, or an iterable of batches), batch by batch."""
        x, _, _ = self._arranged(x, None, None)
        data = self._epochs(x, None, None, batch_size, steps, "steps")
        hooks, report = self._hooks(callbacks, "predict", verbose, 1, data.number)
        outputs: list[Array] = []
        with _tidy(self, report, data):
            batches = _begun(data)
            if batches is None:
                raise ValueError("there was nothing to predict: the data yielded no batch")
            self.stop_predicting = False
            hooks.on_predict_begin()
            for step, batch in enumerate(batches):
                hooks.on_predict_batch_begin(step)
                outputs.append(self.predict_step(batch.packed()))
                hooks.on_predict_batch_end(step, {"outputs": outputs[-1]})
                if self.stop_predicting:
                    break
            hooks.on_predict_end()
        return joined(outputs)

    # ---- what is done with a batch: hooks for subclasses

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

    def _train_step(self, batch: Batch) -> Logs:
        compiled = self._ready("train_step")
        y_pred, value, parameters = self._loss_and_gradients(compiled, batch)
        self._measure(compiled, batch, y_pred, value)
        compiled.optimizer.step(parameters)  # last, when nothing else can fail
        return self.get_metrics_result()

    def test_step(self, data: Any) -> Logs:
        """Measure on a batch: ``evaluate``, validation and ``test_on_batch`` call it; as ``train_step``."""
        return self._test_step(Batch.of(data))

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

    def _measure(self, compiled: Compiled, batch: Batch, y_pred: Any, value: Value) -> None:
        """Take a batch into account in the running losses and metrics."""
        outputs, y, weights = self._by_output(batch.y, y_pred, batch.sample_weight)
        measures = compiled.measures
        distances = not measures.are_made and self.outputs_distances
        measures.update(value, y, outputs, weights, self._ports.outputs, distances)

    def _by_output(self, y: Any, y_pred: Any, sample_weight: Any) -> tuple[list[Any], list[Any], list[Any]]:
        """(outputs, targets, weights), each a list with an item for every output."""
        outputs = structure.leaves(y_pred)
        if len(outputs) == 1:
            return outputs, [y], [sample_weight]
        # In a step of a subclass they may be nested as given.
        if y is not None and not isinstance(y, Several):
            y, sample_weight = self._ports.sorted_targets(y, sample_weight)
        return outputs, listed(y, len(outputs)), listed(sample_weight, len(outputs))

    def _judged(self, objective: Objective, batch: Batch, y_pred: Any) -> Value:
        """The loss of ``compile``, without penalties."""
        outputs, y, weights = self._by_output(batch.y, y_pred, batch.sample_weight)
        return value_of(objective.terms(self._ports.outputs), y, outputs, weights)

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
            None if term.loss is None else term.weight * term.loss.gradient(_targets(target), output, weight)
            for term, target, output, weight in zip(terms, targets, outputs, weights, strict=True)
        ]
        return structure.packed(y_pred, gradients)

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Logs:
        """Take a batch into account in the metrics of ``compile``; returns ``get_metrics_result()``."""
        measures = self._ready("compute_metrics").measures
        outputs, targets, weights = self._by_output(y, y_pred, sample_weight)
        measures.update_metrics(targets, outputs, weights, self._ports.outputs, self.outputs_distances)
        return self.get_metrics_result()

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

    # ---- one batch

    def train_on_batch(
        self,
        x: ArrayLike,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        class_weight: Mapping[int, float] | None = None,
        return_dict: bool = False,
    ) -> float | list[float] | Logs:
        """One step on one batch; returns its loss and metrics as ``evaluate`` does (before the step)."""
        self._ready("train_on_batch")
        batch = self._batch(x, y, sample_weight, class_weight)
        with self._turns.lock:
            self._turns.check_alone(self)
            self.reset_metrics()
            return _returned(self._learn(batch), return_dict)

    def test_on_batch(
        self,
        x: ArrayLike,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        return_dict: bool = False,
    ) -> float | list[float] | Logs:
        """Loss and metrics on one batch, as ``evaluate`` returns them; nothing is learnt."""
        self._ready("test_on_batch")
        batch = self._batch(x, y, sample_weight)
        with self._turns.lock:
            self._turns.check_alone(self)
            self.reset_metrics()
            return _returned(self._logs("test_step", batch), return_dict)

    def predict_on_batch(self, x: ArrayLike) -> Array:
        """The model's outputs for one batch."""
        batch, _, _ = self._arranged(x, None, None)
        return apart_from(self.predict_step(each(batch, lambda part: as_numbers(part, "x"))), x)

    def _batch(self, x: Any, y: Any, sample_weight: Any, class_weight: Any = None) -> Batch:
        parts = self._arranged(x, y, sample_weight)
        return checked_batch(*parts, class_weight)

    def _learn(self, batch: Batch) -> Logs:
        """``train_step``; where it raises, weights, optimizer and random states stay as they were."""
        with self._turns.lock, self._moving.put_back_on_error(self):
            return self._logs("train_step", batch)

    def _loss_and_gradients(self, compiled: Compiled, batch: Batch) -> tuple[Any, Value, list[Parameter]]:
        """Forward, loss, backward, penalties: (outputs, losses, parameters with their gradients)."""
        if self._has_own_loss():
            return self._own_loss_and_gradients(batch)
        objective = compiled.objective
        if objective is None:
            raise ValueError(f"{self} was compiled without a loss, which train_step needs")
        loss = objective.single
        if loss is not None:
            _targets(batch.y)
        if not self._looked_for_mistakes:
            self._looked_for_mistakes = True
            warn_of_likely_mistakes(self, objective.terms(self._ports.outputs), listed(batch.x))
        x = self._checked(batch.x)
        plan = self._plan() if loss is not None and can_train_with(loss) and self._is_as_built(x) else None
        if plan is not None and loss is not None:  # whose layers have no penalties on their outputs
            y_pred, total = plan.train(x, _targets(batch.y), loss, batch.sample_weight)
            value = Value(total, [total], [])
        else:
            y_pred, value = self._forward_and_back(objective, batch)
        parameters = self.parameters
        return y_pred, value._replace(total=value.total + regularizers.penalize(parameters)), parameters

    def _forward_and_back(self, objective: Objective, batch: Batch) -> tuple[Any, Value]:
        """The same layer by layer: (outputs, losses, penalties on outputs among them)."""
        y_pred = self.forward(batch.x, training=True)
        composes = self.composition(training=True) is not None  # else the model has a ``backward`` of its own
        outputs, y, weights = self._by_output(batch.y, y_pred, batch.sample_weight)
        terms = objective.terms(self._ports.outputs)
        value = value_of(terms, y, outputs, weights)
        gradients: list[Array | None] = []
        from_logits: list[bool] = []
        last = self._last_layers() if composes else [self] * len(outputs)
        for term, layer, target, output, weight in zip(terms, last, y, outputs, weights, strict=True):
            fused = composes and term.loss is not None and _fuses(term.loss, layer)
            gradient = None
            if term.loss is not None:
                derive = term.loss.gradient_at_logits if fused else term.loss.gradient
                gradient = derive(target, output, weight)
                if term.weight != 1:
                    gradient = gradient * gradient.dtype.type(term.weight)
            gradients.append(gradient)
            from_logits.append(fused)
        with self._letting_go():
            if composes:
                self.back_through(gradients, input_gradient=False, from_logits=from_logits)
            else:
                self.backward(structure.packed(y_pred, gradients), input_gradient=False)
        return y_pred, value._replace(total=value.total + sum(self.activity_losses))

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

    def _infer(self, x: ArrayLike) -> Array:
        """The outputs for one batch, by a plan where there is one."""
        batch = self._checked(x)
        with self._turns.lock:
            planned = self._is_as_built(batch)
            plan = (self._plan() or self._inference_plan(len(batch))) if planned else None
            return self.forward(batch, training=False) if plan is None else plan.predict(batch)

    def forward(self, x: Any, training: bool = False, *more: Any) -> Any:
        with self._turns.lock:
            return super().forward(x, training, *more)

    # Weights are read and written between two steps, whichever thread trains.

    def get_weights(self) -> list[Array]:
        with self._turns.lock:
            return super().get_weights()

    def set_weights(self, weights: Sequence[ArrayLike]) -> None:
        with self._turns.lock:
            super().set_weights(weights)

    def __deepcopy__(self, memo: dict[int, Any]) -> Trainer:
        copied = type(self).__new__(type(self))
        memo[id(self)] = copied
        with self._turns.lock:
            state = copy.deepcopy(self.__getstate__(), memo)
        getattr(copied, "__setstate__", vars(copied).update)(state)
        return copied

    def _is_as_built(self, x: Any) -> bool:
        """Whether x is one array of the shape that the model was built for, and plans are made for."""
        return isinstance(x, np.ndarray) and x.shape[1:] == self._input_shape

    def _checked(self, x: ArrayLike) -> Array:
        """x as floats, of a shape the model takes; of several inputs a list."""
        if isinstance(x, (list, tuple, dict)) and self.takes_several and structure.holds_arrays(x):
            return x  # type: ignore[return-value]  # ``forward`` looks at each of them
        batch = floats(x, f"the input of {self}")
        self.check_input(batch.shape)
        return batch

    def _plan(self) -> Plan | None:
        """What runs a batch in one call; None where the layers are run one by one."""
        return None

    def _inference_plan(self, images: int) -> Plan | None:
        """The same for networks that only predict so."""
        return None

    # ----

    def _ready(self, method: str) -> Compiled:
        if self._compiled is None:
            raise ValueError(
                f"{self} is not compiled: before {method}() comes compile(optimizer, loss), such as "
                'compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])'
            )
        return self._compiled

    def _arranged(self, x: Any, y: Any, sample_weight: Any) -> tuple[Any, Any, Any]:
        """Data as given to ``fit``, in the order of the model's inputs and outputs; batches from elsewhere
        stay."""
        self._build_for_several(x, y)
        ports = self._ports
        if ports.is_plain:
            return without_structure(x, y, sample_weight, self._example_shape, self._only_input)
        batches = isinstance(x, (list, tuple)) and any(isinstance(item, tuple) for item in x)
        in_arrays = isinstance(x, Mapping) or y is not None or hasattr(x, "__array__")
        in_arrays = in_arrays or (_may_hold_arrays(x) and not batches)
        return ports.sorted(x, y, sample_weight) if in_arrays else (x, y, sample_weight)

    def _build_for_several(self, x: Any, y: Any) -> None:
        """Build a model with a ``call`` of its own where x or y may be several arrays: a dictionary of
        inputs, one input and several targets, or inputs (x0, x1, ...) as long as the targets, if any.

        Vectors in a list are examples.
        """
        if self._outputs_are_known:
            return
        if isinstance(x, Mapping) and len(x) > 1 and all(map(_is_batch, x.values())):
            shapes: Any = {name: (None, *part.shape[1:]) for name, part in x.items()}
            self.build(shapes)
            return
        if _is_batch(x) and isinstance(y, (list, tuple, Mapping)) and structure.holds_arrays(y):
            self.build((None, *x.shape[1:]))
            return
        if not isinstance(x, (list, tuple)) or len(x) < 2:
            return
        if not all(map(_is_batch, x)):
            return
        targets = structure.leaves(y)[0] if structure.holds_arrays(y) else y
        count = len(targets) if hasattr(targets, "__len__") else len(x[0])
        if all(len(part) == count for part in x):
            shapes = [(None, *part.shape[1:]) for part in x]
            self.build(shapes)

    def _last_layers(self) -> list[Layer]:
        """The layers that make the outputs; none before they are known."""
        return []

    @property
    def _outputs_are_known(self) -> bool:
        """Whether it is known how many outputs there are."""
        return self.built

    @property
    def _only_input(self) -> str | None:
        """The name of the only input, where the inputs have names that the user knows."""
        return None

    @property
    def _ports(self) -> Ports:
        """The names of inputs and outputs."""
        return Ports(("x",), ("y",))

    def _epochs(self, *arguments: Any) -> Epochs:
        """The epochs of some data. Arrays the model cannot take are an error here, before anything begins."""
        data = epochs_of(*arguments, ports=self._ports)
        if data.source.shape is not None:
            self._check_shape(data.source.shape)
        return data

    def _inputs(self, x: Any) -> Any:
        """What ``predict`` is given as one array, or ``Several`` in the order of the inputs. Raises
        ValueError where the model does not take it.
        """
        arranged, _, _ = self._arranged(x, None, None)
        arrays = each(arranged, np.asarray)
        self._check_shape(arrays.shape)
        return arrays

    def _check_shape(self, shape: Any) -> None:
        """Raise ValueError where an array of this shape, or several arrays, are no input of the model."""
        if isinstance(shape, list):
            self.check_inputs([tuple(one[1:]) for one in shape])
        else:
            self.check_input(shape)

    def _hooks(
        self,
        callbacks: Callbacks,
        what: str,
        verbose: int | str,
        epochs: int,
        steps: int | None,
        *more: Callback,
    ) -> tuple[CallbackList, Progress | ProgbarLogger | None]:
        """All callbacks: the user's, then ours, which so see what the user's have put into the logs.

        Those that come last come after ours too. With them comes the one that reports progress, if any:
        ours, unless there is one among the user's.
        """
        listed = flat(callbacks)
        bars = [callback for callback in listed if isinstance(callback, ProgbarLogger)]
        report = None if bars else progress(verbose, what, epochs, steps)
        ours = [*([report] if report else []), *more]
        last = [callback for callback in listed if getattr(callback, "comes_last", False)]
        first = [callback for callback in listed if not getattr(callback, "comes_last", False)]
        hooks = CallbackList([*first, *ours, *last], model=self)
        hooks.set_params({"verbose": verbose, "epochs": epochs, "steps": steps})
        return hooks, bars[0] if bars else report

    @property
    def _example_shape(self) -> tuple[int, ...] | None:
        return self._input_shape or self.requested_input_shape


def _fuses(loss: Loss, layer: Layer) -> bool:
    """True where loss and last activation have a simpler derivative together: softmax and cross-entropy.

    Not where a subclass has changed one of the two and not their derivative together.
    """
    if loss.fuses_with is None or getattr(loss, "from_logits", False):
        return False
    return (
        loss.fuses_with == layer.output_activation
        and knows(loss, "gradient_at_logits", "__call__", "gradient")
        and knows(loss, "derivative_at_logits", "call", "derivative")
        and layer._skips_activation()
    )


def _targets(y: Any) -> Any:
    if y is None:
        raise ValueError("the targets are missing: give y, or batches (x, y)")
    return y


def _is_batch(part: Any) -> bool:
    """Whether this is an array of examples that are no single numbers."""
    return isinstance(part, np.ndarray) and part.ndim > 1


def _may_hold_arrays(x: Any) -> bool:
    """Whether this is a list, tuple or dictionary of arrays, some of which may be missing."""
    if isinstance(x, (list, tuple)):
        x = [part for part in x if part is not None]
    return structure.holds_arrays(x)


def joined(batches: list[Any]) -> Any:
    """The outputs of all batches, one behind the other, nested as they are."""
    columns = zip(*map(structure.leaves, batches), strict=True)
    return structure.packed(batches[0], [np.concatenate(column) for column in columns])


@cache
def _takes_training(compute_loss: Callable[..., Any]) -> bool:
    parameters = inspect.signature(compute_loss).parameters.values()
    return any(one.name == "training" or one.kind is one.VAR_KEYWORD for one in parameters)


def _is_finite(logs: Logs) -> bool:
    """False where the logs have a loss that is NaN or infinite."""
    loss = logs.get("loss")
    return not isinstance(loss, (float, np.floating)) or math.isfinite(loss)


def _begun(batches: Iterable[Batch]) -> Iterator[Batch] | None:
    """The batches, of which the first is there already; None where there are none."""
    rest = iter(batches)
    first = next(rest, None)
    return None if first is None else chain([first], rest)


def _returned(results: Logs, as_dictionary: bool) -> float | list[float] | Logs:
    if as_dictionary:
        return _sorted(results)
    values = list(results.values())
    return values[0] if len(values) == 1 else values


def _sorted(logs: Logs) -> Logs:
    return dict(sorted(logs.items()))


def _validated_epochs(
    validation_freq: int | Sequence[int], first: int, last: int
) -> tuple[Callable[[int], bool], int]:
    """(whether validation is due after an epoch, how often it is due in all), for ``first`` to ``last``."""
    if isinstance(validation_freq, (list, tuple, set, range)):
        listed = validation_freq
        return lambda epoch: epoch + 1 in listed, sum(first < epoch <= last for epoch in set(listed))
    every = whole(validation_freq, "validation_freq")
    return lambda epoch: (epoch + 1) % every == 0, last // every - first // every


@contextmanager
def _tidy(model: Layer, report: Progress | ProgbarLogger | None, *sources: Epochs | None) -> Iterator[None]:
    """However the block ends: close progress bar and data, let go of the batch kept for ``backward``."""
    try:
        yield
    finally:
        if report is not None:
            report.close()
        for data in sources:
            if data is not None:
                data.close()
        model.forget()
