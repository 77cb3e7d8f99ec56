"""Training: forward, loss, backward, step, batch after batch; and the loops around it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import Any, Concatenate, NamedTuple, ParamSpec, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from fastconv import losses, metrics, optimizers, regularizers
from fastconv._errors import unsupported_argument
from fastconv._structure import knows
from fastconv._turns import Turns
from fastconv.callbacks import Callback, CallbackList, History
from fastconv.layers._arguments import whole
from fastconv.layers.layer import Layer, apart_from
from fastconv.losses import Loss
from fastconv.metrics import Metric
from fastconv.models.batches import Batch, checked_batch, split_off_validation, unpacked
from fastconv.models.epochs import Epochs, epochs_of
from fastconv.models.interrupts import Step, between_steps
from fastconv.models.measures import Measures
from fastconv.models.mistakes import warn_of_likely_mistakes
from fastconv.models.moving import Moving
from fastconv.models.plan import Plan, can_train_with
from fastconv.models.progress import Progress, progress
from fastconv.models.run import Run
from fastconv.ops._door import array as floats
from fastconv.optimizers import Optimizer
from fastconv.parameter import Array, Parameter

Logs = dict[str, Any]
P = ParamSpec("P")
Result = TypeVar("Result")


class Compiled(NamedTuple):
    """What ``compile`` chose."""

    optimizer: Optimizer
    loss: Loss
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
        "history",
        "run",
        "stop_training",
    }

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.history: History | None = None
        self.stop_training = False
        self.run: Run | None = None  # of a fit that is at work
        self._compiled: Compiled | None = None
        self._looked_for_mistakes = False
        self._lets_go = False
        self._jit_compile: bool | str = "auto"
        self._moving = Moving()
        self._turns = Turns()

    # ---- compile

    def compile(
        self,
        optimizer: str | Mapping[str, Any] | Optimizer = "rmsprop",
        loss: str | Mapping[str, Any] | Loss | None = None,
        loss_weights: None = None,
        metrics: Sequence[Any] | None = None,
        weighted_metrics: Sequence[Any] | None = None,
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
        optimizer, loss : a name such as "adam" or "mse", or an object
        metrics : names or objects; "accuracy" finds out by itself which kind
        weighted_metrics : as ``metrics``, but these take ``sample_weight`` and ``class_weight`` into account
        loss_weights : not supported: a model here has one output
        jit_compile : whether a small network may run as a plan, whole steps in one call of C (see
            ``models.plan``): "auto" and True where it can and pays, False never. A network that cannot is run
            layer by layer
        run_eagerly, steps_per_execution, auto_scale_loss : accepted for Keras' sake; there is nothing here
            for them to change
        """
        if jit_compile not in (True, False, "auto"):
            raise ValueError(f'jit_compile must be True, False or "auto"; got {jit_compile!r}')
        if loss_weights is not None:
            raise unsupported_argument("compile", "loss_weights", "a model here has one output and one loss")
        if loss is None:
            raise ValueError('compile needs a loss, such as loss="sparse_categorical_crossentropy"')
        self._compiled = Compiled(
            optimizers.get(optimizer), losses.get(loss), Measures(metrics, weighted_metrics)
        )
        self._looked_for_mistakes = False
        self._jit_compile = jit_compile
        self.stop_training = False

    @property
    def compiled(self) -> bool:
        return self._compiled is not None

    @property
    def optimizer(self) -> Optimizer | None:
        """The optimizer of ``compile``."""
        return self._compiled.optimizer if self._compiled else None

    @property
    def loss(self) -> Loss | None:
        """The loss of ``compile``."""
        return self._compiled.loss if self._compiled else None

    @property
    def metrics(self) -> list[Metric]:
        """The metrics of ``compile``, once a batch has been seen."""
        return self._compiled.measures.metrics if self._compiled else []

    @property
    def metrics_names(self) -> list[str]:
        """What the numbers of ``evaluate`` are called: "loss", and the metrics once a batch has been seen."""
        return list(self._compiled.measures.results()) if self._compiled else []

    def reset_metrics(self) -> None:
        """Start the running loss and metrics afresh."""
        if self._compiled:
            self._compiled.measures.reset()

    def get_compile_config(self) -> dict[str, Any]:
        """The arguments of ``compile`` as plain numbers and strings; {} where it was not called."""
        if self._compiled is None:
            return {}
        optimizer, loss, measures = self._compiled

        def serialized(identifiers: Sequence[Any]) -> list[Any]:
            return [m if isinstance(m, str) else metrics.serialize(metrics.get(m)) for m in identifiers]

        serialized_optimizer = optimizers.serialize(optimizer)
        if optimizer.excluded_from_weight_decay is not None:
            excluded = optimizer.excluded_from_weight_decay.get_config(self.weights)
            serialized_optimizer["config"]["exclude_from_weight_decay"] = excluded
        return {
            "optimizer": serialized_optimizer,
            "loss": losses.serialize(loss),
            "metrics": serialized(measures.unweighted),
            "weighted_metrics": serialized(measures.weighted),
            "jit_compile": self._jit_compile,
        }

    def compile_from_config(
        self, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None
    ) -> None:
        """``compile`` with what ``get_compile_config`` returned; your own classes are ``custom_objects``."""

        def restored(serialized: Sequence[Any]) -> list[Any]:
            return [m if isinstance(m, str) else metrics.deserialize(m, custom_objects) for m in serialized]

        optimizer = optimizers.deserialize(config["optimizer"], custom_objects)
        if optimizer.excluded_from_weight_decay is not None:
            optimizer.excluded_from_weight_decay.find(self.weights)
        self.compile(
            optimizer,
            losses.deserialize(config["loss"], custom_objects),
            metrics=restored(config["metrics"]),
            weighted_metrics=restored(config["weighted_metrics"]),
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
        callbacks: Sequence[Callback] | Callback | None = None,
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
        compiled = self._ready("fit")
        planned = range(whole(initial_epoch, "initial_epoch", 0), whole(epochs, "epochs"))
        if validation_split and validation_data is None:
            (x, y, sample_weight), validation_data = split_off_validation(
                x, y, sample_weight, validation_split
            )
        data = self._epochs(
            x, y, sample_weight, batch_size, steps_per_epoch, "steps_per_epoch", shuffle, class_weight
        )
        data.check_repeats(len(planned), "x", "steps_per_epoch")
        validated = [epoch for epoch in planned if _is_due(epoch, validation_freq)]
        validation = None
        if validation_data is not None:
            validation = self._epochs(
                *unpacked(validation_data),
                validation_batch_size or batch_size,
                validation_steps,
                "validation_steps",
            )
            validation.check_repeats(len(validated), "validation_data", "validation_steps")

        report = progress(verbose, "train", epochs, data.number)
        history = History()
        hooks = self._hooks(callbacks, report, verbose, epochs, data.number, history)
        self.history = history
        self.stop_training = False
        self.run = run = Run(self, compiled.measures, data, validation, hooks, planned)
        with _tidy(self, report, data, validation), between_steps() as step:
            logs: Logs = {}
            try:
                hooks.on_train_begin()
                while not run.is_over:
                    hooks.on_epoch_begin(run.epoch)
                    logs = self._train_epoch(compiled, data, run, hooks, step)
                    if validation is not None and run.epoch in validated:
                        results = self._evaluate(compiled, validation, hooks)
                        logs |= {f"val_{name}": value for name, value in results.items()}
                    logs = _sorted(logs)
                    hooks.on_epoch_end(run.end_epoch(), logs)
                    run.look_for_end()
            except KeyboardInterrupt:
                compiled.optimizer.finalize_variable_values(self.parameters)
                hooks.on_train_end(logs)
                raise
            else:
                compiled.optimizer.finalize_variable_values(self.parameters)
                hooks.on_train_end(logs)
            finally:
                self.run = None
        return history

    def _train_epoch(
        self, compiled: Compiled, data: Epochs, run: Run, hooks: CallbackList, whole_step: Step
    ) -> Logs:
        if run.step == 0:
            compiled.measures.reset()
        for step, batch in enumerate(data.epoch(run.step), run.step):
            hooks.on_train_batch_begin(step)
            self._train_step(compiled, batch, whole_step)
            run.step = step + 1
            hooks.on_train_batch_end(step, _sorted(compiled.measures.results()))
            if self.stop_training:
                break
        return compiled.measures.results()

    @_alone
    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        sample_weight: ArrayLike | None = None,
        steps: int | None = None,
        callbacks: Sequence[Callback] | Callback | None = None,
        return_dict: bool = False,
    ) -> float | list[float] | Logs:
        """Loss and metrics on data the model does not learn from; arguments as those of ``fit``.

        Returns [loss, *metrics], the loss alone where there are no metrics, or with ``return_dict`` a
        dictionary.
        """
        compiled = self._ready("evaluate")
        data = self._epochs(x, y, sample_weight, batch_size, steps, "steps")
        report = progress(verbose, "test", 1, data.number)
        hooks = self._hooks(callbacks, report, verbose, 1, data.number)
        with _tidy(self, report, data):
            return _returned(self._evaluate(compiled, data, hooks), return_dict)

    def _evaluate(self, compiled: Compiled, data: Epochs, hooks: CallbackList) -> Logs:
        compiled.measures.reset()
        data.restart()
        hooks.on_test_begin()
        step = -1
        for step, batch in enumerate(data):
            hooks.on_test_batch_begin(step)
            self._test_step(compiled, batch)
            hooks.on_test_batch_end(step, _sorted(compiled.measures.results()))
        if step < 0:
            raise ValueError("there was nothing to evaluate on: the data yielded no batch")
        results = compiled.measures.results()
        hooks.on_test_end(_sorted(results))
        return results

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        steps: int | None = None,
        callbacks: Sequence[Callback] | Callback | None = None,
    ) -> Array:
        """The model's outputs for all of x (an array, or an iterable of batches), batch by batch."""
        data = self._epochs(x, None, None, batch_size, steps, "steps")
        report = progress(verbose, "predict", 1, data.number)
        hooks = self._hooks(callbacks, report, verbose, 1, data.number)
        outputs = []
        with _tidy(self, report, data):
            hooks.on_predict_begin()
            for step, batch in enumerate(data):
                hooks.on_predict_batch_begin(step)
                outputs.append(self._infer(batch.x))
                hooks.on_predict_batch_end(step, {"outputs": outputs[-1]})
            hooks.on_predict_end()
        if not outputs:
            raise ValueError("there was nothing to predict: the data yielded no batch")
        return np.concatenate(outputs)

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
        compiled = self._ready("train_on_batch")
        batch = checked_batch(x, y, sample_weight, class_weight)
        with self._turns.lock:
            self._turns.check_alone(self)
            compiled.measures.reset()
            self._train_step(compiled, batch, Step())
            return _returned(compiled.measures.results(), return_dict)

    def test_on_batch(
        self,
        x: ArrayLike,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        return_dict: bool = False,
    ) -> float | list[float] | Logs:
        """Loss and metrics on one batch, as ``evaluate`` returns them; nothing is learnt."""
        compiled = self._ready("test_on_batch")
        batch = checked_batch(x, y, sample_weight)
        with self._turns.lock:
            self._turns.check_alone(self)
            compiled.measures.reset()
            self._test_step(compiled, batch)
            return _returned(compiled.measures.results(), return_dict)

    def predict_on_batch(self, x: ArrayLike) -> Array:
        """The model's outputs for one batch."""
        return apart_from(self._infer(x), x)

    def _train_step(self, compiled: Compiled, batch: Batch, whole_step: Step) -> None:
        """Gradients, then a step along them.

        A step that fails or is interrupted leaves weights, optimizer and random states as they were.
        """
        with self._turns.lock, whole_step, self._moving.put_back_on_error(self):
            y_pred, value, parameters = self._loss_and_gradients(compiled, batch)
            y, sample_weight = _targets(batch), batch.sample_weight
            compiled.measures.update(value, y, y_pred, sample_weight, self.outputs_distances)
            compiled.optimizer.step(parameters)  # last, when nothing else can fail

    def _loss_and_gradients(self, compiled: Compiled, batch: Batch) -> tuple[Array, float, list[Parameter]]:
        """Forward, loss, backward, penalties: (outputs, loss, parameters with their gradients)."""
        x, y, sample_weight = batch.x, _targets(batch), batch.sample_weight
        loss = compiled.loss
        if not self._looked_for_mistakes:
            self._looked_for_mistakes = True
            warn_of_likely_mistakes(self, loss, x)
        plan = self._plan() if can_train_with(loss) else None
        if plan is not None:  # whose layers have no penalties on their outputs
            y_pred, value = plan.train(self._checked(x), y, loss, sample_weight)
        else:
            y_pred = self.forward(x, training=True)
            value = loss(y, y_pred, sample_weight)
            with self._letting_go():
                if self._fuses_with(loss):
                    dz = loss.gradient_at_logits(y, y_pred, sample_weight)
                    self.backward_from_logits(dz, input_gradient=False)
                else:
                    self.backward(loss.gradient(y, y_pred, sample_weight), input_gradient=False)
            value += sum(self.activity_losses)
        parameters = self.parameters
        value += regularizers.penalize(parameters)
        return y_pred, value, parameters

    def _fuses_with(self, loss: Loss) -> bool:
        """True where loss and last activation have a simpler derivative together: softmax and cross-entropy.

        Not where a subclass has changed one of the two and not their derivative together.
        """
        if loss.fuses_with is None or getattr(loss, "from_logits", False):
            return False
        return (
            loss.fuses_with == self.output_activation
            and knows(loss, "gradient_at_logits", "__call__", "gradient")
            and knows(loss, "derivative_at_logits", "call", "derivative")
            and self._skips_activation()
        )

    @contextmanager
    def _letting_go(self) -> Iterator[None]:
        """Meanwhile ``backward`` lets every layer forget as soon as it is through: a third less memory."""
        self._lets_go = True
        try:
            yield
        finally:
            self._lets_go = False

    def _test_step(self, compiled: Compiled, batch: Batch) -> None:
        with self._turns.lock:
            y_pred = self._infer(batch.x)
            y, sample_weight = _targets(batch), batch.sample_weight
            value = compiled.loss(y, y_pred, sample_weight) + sum(self.losses)
            compiled.measures.update(value, y, y_pred, sample_weight, self.outputs_distances)

    def _infer(self, x: ArrayLike) -> Array:
        """The outputs for one batch, by a plan where there is one."""
        batch = self._checked(x)
        with self._turns.lock:
            plan = self._plan() or self._inference_plan(len(batch))
            return self.forward(batch, training=False) if plan is None else plan.predict(batch)

    def forward(self, x: ArrayLike, training: bool = False) -> Array:
        with self._turns.lock:
            return super().forward(x, training)

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
            vars(copied).update(copy.deepcopy(vars(self), memo))
        return copied

    def _checked(self, x: ArrayLike) -> Array:
        """x as floats, of a shape the model takes."""
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

    def _epochs(self, *arguments: Any) -> Epochs:
        """The epochs of some data. Arrays the model cannot take are an error here, before anything begins."""
        data = epochs_of(*arguments)
        if data.source.shape is not None:
            self.check_input(data.source.shape)
        return data

    def _hooks(
        self,
        callbacks: Sequence[Callback] | Callback | None,
        report: Progress | None,
        verbose: int | str,
        epochs: int,
        steps: int | None,
        *more: Callback,
    ) -> CallbackList:
        """All callbacks: the user's, then ours, which so see what the user's have put into the logs.

        Those that come last come after ours too.
        """
        listed = [callbacks] if isinstance(callbacks, Callback) else list(callbacks or ())
        for callback in listed:
            if not isinstance(callback, Callback):
                hint = f": write {callback.__name__}(...)" if isinstance(callback, type) else ""
                raise TypeError(f"callbacks must be Callback objects, got {callback!r}{hint}")
        ours = [*([report] if report else []), *more]
        last = [callback for callback in listed if callback.comes_last]
        hooks = CallbackList([*(c for c in listed if not c.comes_last), *ours, *last], model=self)
        hooks.set_params({"verbose": verbose, "epochs": epochs, "steps": steps})
        return hooks


def _targets(batch: Batch) -> Array:
    if batch.y is None:
        raise ValueError("the targets are missing: give y, or batches (x, y)")
    return batch.y


def _returned(results: Logs, as_dictionary: bool) -> float | list[float] | Logs:
    if as_dictionary:
        return _sorted(results)
    values = list(results.values())
    return values[0] if len(values) == 1 else values


def _sorted(logs: Logs) -> Logs:
    return dict(sorted(logs.items()))


def _is_due(epoch: int, validation_freq: int | Sequence[int]) -> bool:
    if isinstance(validation_freq, (list, tuple, set, range)):
        return epoch + 1 in validation_freq
    return (epoch + 1) % whole(validation_freq, "validation_freq") == 0


@contextmanager
def _tidy(model: Layer, report: Progress | None, *sources: Epochs | None) -> Iterator[None]:
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
