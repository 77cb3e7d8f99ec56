"""What an optimizer's step works on, checked once, and what goes on around the rule of the step.

Unlike the other operations these change their arguments. So arrays are not converted: values, gradients and
the optimizer's own must be C-contiguous arrays of the same shape, float32 (on the reference backend, float32
or float64), and those that change must be writeable.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from fastconv import _kernels
from fastconv.ops import _door
from fastconv.ops._door import Array
from fastconv.reference import clipping, optimizers


class UpdateOptions(NamedTuple):
    """What is done around a rule, whichever it is; the order is that of ``csrc/optimizer.c``.

    gradient_scale   factor of every gradient, before it is clipped
    clipvalue, clipnorm, global_clipnorm   limits, at most one of them not None
    weight_decay     values lose this share of themselves, times the learning rate
    ema_momentum     how much of the moving average of a value stays at this step
    overwrite        whether the averages overwrite the values after this step
    """

    gradient_scale: float = 1.0
    clipvalue: float | None = None
    clipnorm: float | None = None
    global_clipnorm: float | None = None
    weight_decay: float | None = None
    ema_momentum: float = 0.0
    overwrite: bool = False


class Kept(NamedTuple):
    """What is kept of one parameter besides the rule's own arrays; None for what is not."""

    gathered: Array | None = None  # the sum of the gradients that wait for a step
    average: Array | None = None  # of the values
    decays: bool = True  # whether weight decay is meant for this parameter


class UpdateArrays:
    """The arrays of a step: for each parameter a row of value, grad and the rule's own.

    ``names`` are those of the rule's own; a row has None for one that is not kept. ``kept`` has what belongs
    to the ``options``, which may be others at every step. All arrays are checked here, once; they must stay
    where they are afterwards.
    """

    def __init__(
        self,
        rows: Sequence[tuple[Any, ...]],
        names: tuple[str, ...],
        kept: Sequence[Kept] | None = None,
    ) -> None:
        self.rows, self.names = list(rows), names
        self.kept = list(kept or [Kept()] * len(self.rows))
        self.options = UpdateOptions()
        self._complete: set[tuple[bool, ...]] = set()
        for (value, grad, *state), (gathered, average, _) in zip(self.rows, self.kept, strict=True):
            own = dict(zip(names, state, strict=True))
            _check(value, grad, **own, gathered=gathered, average=average)

    def __reduce__(self) -> tuple[Any, ...]:
        return UpdateArrays, (self.rows, self.names, self.kept)  # a copy has addresses of its own

    def step(
        self,
        native: Callable[..., None],
        formula: Callable[..., None],
        needed: tuple[bool, ...],
        learning_rate: float,
        *scalars: Any,
    ) -> None:
        """The rule, and all that ``options`` ask for, in one call. ``needed`` says of each of the rule's own
        arrays whether it must be there, and not be None.
        """
        if needed not in self._complete:
            self._check_complete(needed, formula)
        if _door.on_reference():
            for (value, _, *state), grad in zip(self.rows, self.prepare(learning_rate), strict=True):
                formula(value, grad, *state, learning_rate, *scalars)
            self.average()
        else:
            try:
                native(self._parameters, self.options, learning_rate, *scalars)
            except OverflowError as error:  # a whole number
                raise ValueError(f"a number of the step is too large: {error}") from None

    def _check_complete(self, needed: tuple[bool, ...], formula: Callable[..., None]) -> None:
        rule = getattr(formula, "func", formula).__name__.removesuffix("_update")
        for number, (_, _, *own) in enumerate(self.rows):
            if len(own) != len(needed):
                raise ValueError(
                    f"{rule} has {len(needed)} arrays of its own for every parameter, None for one not kept; "
                    f"row {number} has {len(own)}"
                )
            for name, array, must_be in zip(self.names, own, needed, strict=True):
                if must_be and array is None:
                    raise ValueError(f"{rule} needs {name} for every parameter; in row {number} it is None")
        self._complete.add(needed)

    # ---- the parts of a step, for rules in Python

    def prepare(self, learning_rate: float) -> list[Array]:
        """Let the weights decay, and return the gradients as a rule is to get them: gathered, clipped."""
        if _door.on_reference():
            return self._prepare_on_reference(learning_rate)
        gradients, parameters = self._prepared
        _kernels.prepare_step(parameters, self.options, learning_rate)
        return gradients

    def average(self) -> None:
        """Move the averages of the values, which overwrite the values if ``options`` say so."""
        if _door.on_reference():
            for (value, *_), (_, average, _) in zip(self.rows, self.kept, strict=True):
                if average is not None:
                    optimizers.average_weights(average, value, self.options.ema_momentum)
                    if self.options.overwrite:
                        value[...] = average
        else:
            _kernels.average_step(self._parameters, self.options)

    def gather(self) -> None:
        """Add the gradients to those that wait for a step. ValueError where there is no room for them."""
        for row, (gathered, _, _) in enumerate(self.kept):
            if gathered is None:
                raise ValueError(
                    f"gathering gradients needs Kept.gathered for every parameter; row {row} has none"
                )
        if _door.on_reference():
            for (_, grad, *_), (gathered, _, _) in zip(self.rows, self.kept, strict=True):
                gathered += grad
        else:
            _kernels.gather_gradients(self._parameters)

    def _prepare_on_reference(self, learning_rate: float) -> list[Array]:
        gradients, o = [], self.options
        for (value, grad, *_), (gathered, _, decays) in zip(self.rows, self.kept, strict=True):
            g = np.array(grad, np.float64)
            if gathered is not None:
                g += gathered
                gathered[...] = 0
            gradients.append(g * o.gradient_scale)
            if decays and o.weight_decay:
                optimizers.decay_weights(value, learning_rate * o.weight_decay)
        if o.clipvalue is not None:
            return [clipping.clip_by_value(g, o.clipvalue) for g in gradients]
        if o.clipnorm is not None:
            return [clipping.clip_by_norm(g, o.clipnorm) for g in gradients]
        if o.global_clipnorm is not None:
            return clipping.clip_by_global_norm(gradients, o.global_clipnorm)
        return gradients

    # ---- as C has them

    @cached_property
    def _parameters(self) -> _kernels.Parameters:
        rows = zip(self.rows, self.kept, strict=True)
        return _kernels.Parameters([(value, grad, state, *kept) for (value, grad, *state), kept in rows])

    @cached_property
    def _prepared(self) -> tuple[list[Array], _kernels.Parameters]:
        """Room for the gradients, and parameters whose state they are."""
        gradients = [np.empty_like(row[1]) for row in self.rows]
        rows = zip(self.rows, gradients, self.kept, strict=True)
        return gradients, _kernels.Parameters(
            [(value, grad, [prepared], *kept) for (value, grad, *_), prepared, kept in rows]
        )


def _check(value: Any, grad: Any, **state: Any) -> None:
    allowed = (np.float32, np.float64) if _door.on_reference() else (np.float32,)
    for name, array in {"value": value, "grad": grad, **state}.items():
        if array is None and name in state:
            continue
        if not isinstance(array, np.ndarray) or array.dtype not in allowed:
            use = "read as it is" if name == "grad" else "updated in place"
            raise TypeError(f"{name} is {use} and must be a float32 array; got {_describe(array)}")
        _door.check_shape(array, name, value.shape, "that of value")
        if not (array.flags.c_contiguous and array.flags.aligned):
            raise ValueError(
                f"{name} must be C-contiguous and aligned; got shape {array.shape}, strides {array.strides}"
            )
        if name != "grad" and not array.flags.writeable:
            raise ValueError(f"{name} is updated in place, but is read-only")


def _describe(value: object) -> str:
    return f"dtype {value.dtype}" if isinstance(value, np.ndarray) else type(value).__name__
