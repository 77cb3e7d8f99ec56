"""``compile``: what to make small, how, and what to measure on the way; as a configuration too."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fastconv import losses, metrics, optimizers
from fastconv._core.configuration import each_object
from fastconv.models.measures import Measures
from fastconv.models.objective import Objective
from fastconv.models.steps import Compiled, Steps
from fastconv.optimizers import Optimizer


class Compiling(Steps):
    """A layer with ``compile``."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.stop_training = False
        self._jit_compile: bool | str = "auto"
        self.run_eagerly = False

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
        jit_compile : whether the network runs as a program, its layers compiled to calls of C (see
            ``fastconv.engine``): "auto" and True yes, and what cannot be compiled runs in Python between
            them; False layer by layer
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

    def get_compile_config(self) -> dict[str, Any]:
        """The arguments of ``compile`` as plain numbers and strings; {} where it was not called."""
        if self._compiled is None:
            return {}
        optimizer, objective, measures = self._compiled

        def serialized(given: Any) -> Any:
            return each_object(given, _serialized_metric)

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
            def one(saved: Any) -> Any:
                return (
                    saved if saved is None or isinstance(saved, str) else deserialize(saved, custom_objects)
                )

            return each_object(serialized, one)

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


def _serialized_metric(given: Any) -> Any:
    return given if given is None or isinstance(given, str) else metrics.serialize(metrics.get(given))
