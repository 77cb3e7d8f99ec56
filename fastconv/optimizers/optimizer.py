"""The base class of optimizers: which parameters move, and what is remembered between steps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastconv import ops
from fastconv._errors import unsupported_argument
from fastconv.parameter import Array, Parameter

_NOT_YET = {  # arguments of every Keras optimizer, with the values that ask for nothing
    "weight_decay": None,
    "clipnorm": None,
    "clipvalue": None,
    "global_clipnorm": None,
    "use_ema": False,
    "ema_momentum": 0.99,
    "ema_overwrite_frequency": None,
    "loss_scale_factor": None,
    "gradient_accumulation_steps": None,
}


class Optimizer:
    """Moves parameters against their gradients.

    >>> optimizer = SGD(learning_rate=0.1)
    >>> optimizer.step(model.parameters)        # after every backward: reads .grad, changes .value in place
    >>> optimizer.learning_rate = 0.01          # whenever you like

    The first step fixes the parameters; later steps must be given the same ones, for what is remembered of
    past gradients belongs to them. Parameters with ``trainable=False`` are left alone.

    An optimizer of your own says in ``slots`` which arrays it keeps for each parameter (they start at 0), in
    ``scalars`` which attributes are state as well, and overrides ``update``. Those that come with fastconv
    override ``update_all`` instead: one call of C for all parameters.
    """

    scalars: tuple[str, ...] = ("learning_rate",)

    def __init__(self, learning_rate: float, name: str | None = None, **keras_arguments: Any) -> None:
        for argument, value in keras_arguments.items():
            if argument not in _NOT_YET:
                raise TypeError(f"{type(self).__name__} has no argument {argument!r}")
            if value != _NOT_YET[argument]:
                raise unsupported_argument(type(self).__name__, argument)
        self.learning_rate = learning_rate
        self.name = name or type(self).__name__.lower()
        self.iterations = 0
        self._parameters: list[Parameter] = []
        self._state: list[dict[str, Array]] = []
        self._arrays: ops.UpdateArrays | None = None
        self._arrays_for: list[bool] = []
        self.built = False

    # ---- what a subclass says

    @property
    def slots(self) -> tuple[str, ...]:
        """Names of the arrays kept for each parameter."""
        return ()

    def begin_step(self) -> None:
        """Hook: called once a step, before any ``update``."""

    def update(self, *args: Any, **kwargs: Any) -> None:
        """``update(value, grad, **slots)``: move ``value`` in place. It is step number ``iterations + 1``."""
        raise NotImplementedError(f"{type(self).__name__} has no update(value, grad)")

    kernel_slots: tuple[str, ...] = ()
    """The slots in the order in which ``update_all`` takes them, those not kept included."""

    def update_all(self, arrays: ops.UpdateArrays) -> None:
        """Move all values, by ``update`` one after another."""
        for value, grad, *state in arrays.rows:
            self.update(value, grad, **dict(zip(self.slots, state, strict=True)))

    # ---- steps

    @property
    def learning_rate(self) -> float:
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, rate: float) -> None:
        if not isinstance(rate, (int, float, np.number, np.ndarray)) or np.ndim(rate):
            raise ValueError(
                f"learning_rate must be a number, got {rate!r}; schedules and callables are not supported yet"
            )
        if not (math.isfinite(rate) and rate >= 0):
            raise ValueError(f"learning_rate must be finite and not negative, got {float(rate)}")
        self._learning_rate = float(rate)

    def build(self, parameters: Sequence[Parameter]) -> None:
        """Make room for what is remembered of each trainable parameter; ``step`` does so by itself."""
        if self.built:
            self._check_same(parameters)
            return
        self._parameters = [parameter for parameter in parameters if parameter.trainable]
        self._state = [
            {name: np.zeros_like(parameter.value) for name in self.slots} for parameter in self._parameters
        ]
        self.built = True

    def step(self, parameters: Sequence[Parameter]) -> None:
        """Apply every ``parameter.grad`` to its ``parameter.value``, in place.

        Raises ValueError for other parameters than those of the first step.
        """
        self.build(parameters)
        self.begin_step()
        self.update_all(self._arrays_to_update())
        for parameter in self._parameters:
            if parameter.trainable and parameter.constraint is not None:
                parameter.value = parameter.constraint(parameter.value)
        self.iterations += 1

    def _arrays_to_update(self) -> ops.UpdateArrays:
        """Those of the parameters that are trainable now, checked when that has changed."""
        trainable = [parameter.trainable for parameter in self._parameters]
        if self._arrays is None or trainable != self._arrays_for:
            names = self.kernel_slots or self.slots
            rows = [
                (parameter.value, parameter.grad, *(state.get(name) for name in names))
                for parameter, state in zip(self._parameters, self._state, strict=True)
                if parameter.trainable
            ]
            self._arrays, self._arrays_for = ops.UpdateArrays(rows, names), trainable
        return self._arrays

    def _check_same(self, parameters: Sequence[Parameter]) -> None:
        given = {id(parameter): parameter for parameter in parameters if parameter.trainable}
        known = {id(parameter): parameter for parameter in self._parameters if parameter.trainable}
        different = [f"{given[i].path!r} is new" for i in given.keys() - known.keys()]
        different += [f"{known[i].path!r} is missing" for i in known.keys() - given.keys()]
        if different:
            raise ValueError(
                f"this {type(self).__name__} was built for {len(known)} other trainable parameters, and got "
                f"{len(given)} ({min(different)}): make a new optimizer for them, or compile the model again"
            )

    # ---- state, for resuming

    def state_dict(self) -> dict[str, Array | int]:
        """Copies of all that a later run needs to continue: iterations, learning rate, "momentum.0", ..."""
        state: dict[str, Array | int] = {"iterations": self.iterations}
        state |= {name: np.array(getattr(self, name), np.float64) for name in self.scalars}
        for index, arrays in enumerate(self._state):
            state |= {f"{name}.{index}": array.copy() for name, array in arrays.items()}
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The way back from ``state_dict``, into an optimizer built for parameters of the same shapes.

        Raises ValueError where names or shapes differ; nothing has changed then.
        """
        own = self.state_dict()
        if not self.built and len(state) > len(own):
            raise ValueError(
                f"this {type(self).__name__} does not know its parameters yet: call build(parameters) first"
            )
        problems = [f"{name!r} is missing" for name in own.keys() - state.keys()]
        problems += [f"{name!r} is unknown" for name in state.keys() - own.keys()]
        problems += [
            f"{name!r} has shape {np.shape(own[name])}, got {np.shape(state[name])}"
            for name in own.keys() & state.keys()
            if np.shape(own[name]) != np.shape(state[name])
        ]
        if problems:
            raise ValueError(
                f"not the state of this {type(self).__name__}: {'; '.join(sorted(problems)[:3])}"
                + (f"; and {len(problems) - 3} more" if len(problems) > 3 else "")
            )
        self.iterations = int(state["iterations"])
        for name in self.scalars:
            setattr(self, name, float(state[name]))
        for index, arrays in enumerate(self._state):
            for name, array in arrays.items():
                array[...] = state[f"{name}.{index}"]

    # ---- configuration

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments; ``from_config`` is the way back."""
        return {"name": self.name, "learning_rate": self.learning_rate}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Optimizer:
        return cls(**config)

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.get_config().items())
        return f"{type(self).__name__}({arguments})"


def share(argument: str, value: float, *, below_one: bool = False) -> float:
    """``value`` if it lies in [0, 1], or in [0, 1) where ``below_one``; else ValueError."""
    if not (0 <= value < 1 or (value == 1 and not below_one)):
        raise ValueError(f"{argument} must lie in [0, 1{')' if below_one else ']'}, got {value!r}")
    return float(value)


def not_negative(argument: str, value: float) -> float:
    """``value`` if it is 0 or more; else ValueError."""
    if not value >= 0:
        raise ValueError(f"{argument} must not be negative, got {value!r}")
    return float(value)
