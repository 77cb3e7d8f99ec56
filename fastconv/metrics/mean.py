"""The running mean, of plain values or of a function of targets and predictions."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastconv import losses
from fastconv._core.configuration import custom_object, saved_name
from fastconv._core.targets import broadcast_weights, floats
from fastconv.losses import Loss
from fastconv.metrics.metric import Metric


class Mean(Metric):
    """Σ w v / Σ w over all values v so far; every weight is 1 where none are given. 0 before the first value.

    ``sample_weight`` has one weight per sample (N,), or one for each element of the values (N, ...).
    """

    state = ("total", "count")

    def __init__(self, name: str = "mean", dtype: Any = None) -> None:
        super().__init__(dtype, name)
        self.reset_state()

    def update_state(self, values: ArrayLike, sample_weight: ArrayLike | None = None) -> None:
        values = floats(values, f"the values of {self.name}")
        per_sample = max(math.prod(values.shape[1:]), 1)  # a sample counts once, however many values it has
        if sample_weight is None:
            self.total += float(values.sum(dtype="float64")) / per_sample
            self.count += values.size / per_sample
        else:
            weights = np.broadcast_to(broadcast_weights(sample_weight, values.shape, "float64"), values.shape)
            self.total += float((values * weights).sum()) / per_sample
            self.count += float(weights.sum()) / per_sample

    def result(self) -> float:
        return self.total / self.count if self.count else 0.0

    def reset_state(self) -> None:
        self.total = 0.0
        self.count = 0.0


class MeanMetricWrapper(Mean):
    """The mean of ``fn(y_true, y_pred, **kwargs)``, which returns one value per sample, or one in all.

    ``fn`` may be a loss too.
    """

    def __init__(
        self, fn: Callable[..., Any], name: str | None = None, dtype: Any = None, **kwargs: Any
    ) -> None:
        super().__init__(name or name_of(fn), dtype)
        self.fn = fn
        self.fn_arguments = kwargs
        if isinstance(fn, Loss) or getattr(fn, "__module__", "").startswith("fastconv.losses"):
            self.direction = "down"

    def update_state(  # type: ignore[override]  # as in Keras: a Mean that computes its values
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> None:
        super().update_state(self.fn(y_true, y_pred, **self.fn_arguments), sample_weight)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments; ``fn`` is the name of a function, or the configuration of a loss."""
        config = super().get_config() | self.fn_arguments
        if type(self) is not MeanMetricWrapper:
            return config
        is_loss = isinstance(self.fn, Loss)
        return config | {"fn": losses.serialize(self.fn) if is_loss else saved_name(self.fn, "function")}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> MeanMetricWrapper:
        """The way back from ``get_config``. A function of your own comes by name in ``custom_objects``."""
        arguments = dict(config)
        if "fn" in arguments and not callable(arguments["fn"]):
            arguments["fn"] = _function(arguments["fn"])
        return cls(**arguments)


def _function(identifier: Any) -> Any:
    from fastconv import metrics

    if isinstance(identifier, Mapping):
        return losses.deserialize(identifier)
    function = custom_object(identifier, None, "function") or metrics.FUNCTIONS.get(identifier)
    if function is None:
        raise ValueError(
            f"the metric function {identifier!r} is not part of fastconv: give it back with "
            f"custom_objects={{{identifier!r}: ...}}"
        )
    return function


def name_of(fn: Any) -> str:
    """The name under which a function, or a loss, appears in the logs."""
    return getattr(fn, "name", None) or getattr(fn, "__name__", None) or type(fn).__name__
