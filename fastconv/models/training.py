"""The loops over batches and epochs: ``fit``, ``evaluate``, ``predict``."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import wraps
from itertools import chain
from typing import Any, Concatenate, ParamSpec, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from fastconv.callbacks import CallbackList, History, ProgbarLogger
from fastconv.callbacks.callback import Callback
from fastconv.callbacks.callback_list import flat
from fastconv.graph import structure
from fastconv.graph.ports import each
from fastconv.layers._arguments import whole
from fastconv.layers.layer import Layer, apart_from
from fastconv.models.batches import Batch, as_numbers, split_off_validation, unpacked
from fastconv.models.compiling import Compiling
from fastconv.models.epochs import Epochs
from fastconv.models.interrupts import Step, between_steps
from fastconv.models.mistakes import warn, warn_of_broken_weights, warn_of_nan
from fastconv.models.progress import Progress, progress
from fastconv.models.run import Run
from fastconv.models.steps import Logs
from fastconv.parameter import Array

P = ParamSpec("P")
Result = TypeVar("Result")
Callbacks = Sequence[Any] | Callback | None


def _alone(
    loop: Callable[Concatenate[Trainer, P], Result],
) -> Callable[Concatenate[Trainer, P], Result]:
    """A method that one thread at a time may run: RuntimeError in a second one."""

    @wraps(loop)
    def run_alone(self: Trainer, *args: P.args, **kwargs: P.kwargs) -> Result:
        with self._turns.alone(self):
            return loop(self, *args, **kwargs)

    return run_alone


class Trainer(Compiling):
    """A layer that can be trained: ``compile``, ``fit``, ``evaluate``, ``predict``, or batch by batch.

    What is done with a batch may be overridden: ``train_step``, ``test_step``, ``predict_step``, and
    ``compute_loss`` with ``compute_loss_gradient``. Metrics that are attributes of a subclass are started
    afresh with each epoch.

    Threads: ``model(x)``, ``predict``, ``predict_on_batch``, ``get_weights``, ``set_weights`` and
    ``copy.deepcopy(model)`` may run in any thread, beside training too: they see the weights as they are
    between two steps. Several threads predict at the same time where all layers lower to C, and do not wait
    for a step of training to end; the first prediction for a shape of inputs, the others of these methods,
    and models with layers of your own or random ones in inference do. ``fit``, ``evaluate``,
    ``train_on_batch`` and ``test_on_batch`` of a model are for one thread at a time: beside a ``fit`` or
    ``evaluate`` in another thread they raise RuntimeError. A training loop of your own (``forward``,
    ``backward``, ``optimizer.step``) must be the only thread that trains the model or calls its ``forward``.
    Models that share layers count as one model in this respect, but only a ``backward`` after another
    thread's ``forward`` is noticed.
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
        self.stop_evaluating = self.stop_predicting = False
        self.run: Run | None = None  # of a fit that is at work

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

    # ---- one batch

    def train_on_batch(
        self,
        x: ArrayLike,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        class_weight: Mapping[int, float] | None = None,
        return_dict: bool = False,
    ) -> float | list[float] | Logs:
        """One step on one batch; returns its loss and metrics as ``evaluate`` does (before the step).

        Weights, moving statistics of batch normalization and the counts of random layers change together, at
        the end: other threads that predict meanwhile see all of the step or nothing of it, and where it
        raises nothing has changed. One thread at a time may train a model. Ctrl-C may come between any two
        statements here; in ``fit`` it waits for the end of the step.
        """
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
        """The model's outputs for one batch.

        May be called in several threads at the same time, and while another one trains the model: the answer
        is that of the weights before or after one of its steps. See the class for when a thread waits.
        """
        outputs = None if self._overrides("predict_step") else self._at_once(x)
        if outputs is not None:
            return outputs
        batch, _, _ = self._arranged(x, None, None)
        return apart_from(self.predict_step(each(batch, lambda part: as_numbers(part, "x"))), x)


def joined(batches: list[Any]) -> Any:
    """The outputs of all batches, one behind the other, nested as they are."""
    columns = zip(*map(structure.leaves, batches), strict=True)
    return structure.packed(batches[0], [np.concatenate(column) for column in columns])


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
