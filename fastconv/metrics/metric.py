"""The base class of metrics: numbers to watch, gathered batch by batch."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np

from fastconv import initializers
from fastconv._config import configuration
from fastconv._core.checks import unsupported_argument
from fastconv._core.configuration import call_of
from fastconv.parameter import Parameter

_STATE = (bool, int, float, str, list, np.number, np.ndarray)


class Metric:
    """A number computed over an epoch from its batches.

    >>> metric.update_state(y_true, y_pred)     # once a batch, optionally with sample_weight
    >>> metric.result()                         # over all batches since the last reset
    >>> metric.reset_state()                    # before the next epoch

    A metric of your own overrides these three; its state is plain attributes, or in Keras' way the variables
    that ``add_variable`` returns, which ``reset_state`` sets to zero by itself. ``direction`` tells callbacks
    whether "up" or "down" is better, None where only you know.
    """

    direction: str | None = None

    state: tuple[str, ...] = ()
    """The attributes that ``variables`` lists."""

    def __init__(self, dtype: Any = None, name: str | None = None) -> None:
        if dtype not in (None, "float32", np.float32):
            raise unsupported_argument(type(self).__name__, "dtype", "metrics add up in float64")
        self.name = name or type(self).__name__

    def add_variable(
        self,
        shape: tuple[int, ...] = (),
        initializer: Any = "zeros",
        dtype: Any = None,
        aggregation: Any = None,
        name: str | None = None,
    ) -> Parameter:
        """A float32 variable of this metric's state; assign to it with ``assign`` and ``assign_add``.

        ``dtype`` and ``aggregation`` are there for Keras' sake.
        """
        value = (initializers.get(initializer) or initializers.Zeros())(tuple(shape))
        name = name or f"variable_{len(self._added)}"
        variable = Parameter(value, name, path=f"{self.name}/{name}", trainable=False)
        self._added = [*self._added, variable]
        return variable

    def add_weight(
        self, shape: tuple[int, ...] = (), initializer: Any = None, dtype: Any = None, name: str | None = None
    ) -> Parameter:
        """Another name for ``add_variable``."""
        return self.add_variable(shape, initializer, dtype, name=name)

    _added: list[Parameter] = []  # noqa: RUF012  (replaced, never changed)

    @property
    def variables(self) -> list[Any]:
        """The state: variables of ``add_variable``, else arrays with copies of what the attributes hold."""
        return list(self._added) or [np.array(getattr(self, name)) for name in self.state]

    def update_state(self, *args: Any, **kwargs: Any) -> None:
        """Take a batch into account."""
        raise NotImplementedError(f"{type(self).__name__} has no update_state(y_true, y_pred)")

    def result(self) -> Any:
        """The metric over all batches since the last reset: a float, or an array of several."""
        raise NotImplementedError(f"{type(self).__name__} has no result()")

    def reset_state(self) -> None:
        """Forget all batches."""
        if not self._added:
            raise NotImplementedError(f"{type(self).__name__} has no reset_state()")
        for variable in self._added:
            variable.assign(np.zeros(variable.shape))

    def state_dict(self) -> dict[str, Any]:
        """The state, for going on in another process: variables, and attributes that are plain, or arrays."""
        plain = {name: copy.copy(value) for name, value in vars(self).items() if isinstance(value, _STATE)}
        plain.pop("_added", None)
        return plain | {f"variable {i}": variable.numpy() for i, variable in enumerate(self._added)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where ``state_dict`` of a metric made alike was taken."""
        plain = dict(state)
        for i, variable in enumerate(self._added):
            variable.assign(plain.pop(f"variable {i}"))
        vars(self).update(plain)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """``update_state`` and ``result`` in one."""
        self.update_state(*args, **kwargs)
        return self.result()

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments; ``from_config`` is the way back."""
        return {"name": self.name} | configuration(self, Metric)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Metric:
        return cls(**config)

    def __repr__(self) -> str:
        return call_of(self)
