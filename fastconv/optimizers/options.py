"""What every optimizer can be asked for besides its rule: arguments that all of Keras' optimizers share."""

from __future__ import annotations

import difflib
from typing import Any, TypedDict

from fastconv._core.checks import unsupported_argument
from fastconv.layers._arguments import whole


class OptionsButDecay(TypedDict, total=False):
    """The keyword arguments of every optimizer, without weight decay.

    clipnorm           a gradient's norm, parameter by parameter, is at most this
    global_clipnorm    the norm of all gradients together is at most this
    clipvalue          no element of a gradient is further from 0 than this. Only one of the three
    use_ema            keep moving averages of the values, which replace them when ``fit`` ends
    ema_momentum       how much of an average stays at each step
    ema_overwrite_frequency       replace the values every so many steps as well; None for never
    gradient_accumulation_steps   step with the mean of so many gradients, once every so many batches
    loss_scale_factor  not supported: it keeps half precision from rounding to 0, and there is none here
    name               of the optimizer
    """

    clipnorm: float | None
    global_clipnorm: float | None
    clipvalue: float | None
    use_ema: bool
    ema_momentum: float
    ema_overwrite_frequency: int | None
    loss_scale_factor: float | None
    gradient_accumulation_steps: int | None
    name: str | None


class Options(OptionsButDecay, total=False):
    """The keyword arguments of every optimizer.

    weight_decay       λ: each step also takes η λ θ away from θ
    """

    weight_decay: float | None


DEFAULTS: dict[str, Any] = {
    "weight_decay": None,
    "clipnorm": None,
    "global_clipnorm": None,
    "clipvalue": None,
    "use_ema": False,
    "ema_momentum": 0.99,
    "ema_overwrite_frequency": None,
    "loss_scale_factor": None,
    "gradient_accumulation_steps": None,
}
_ELSEWHERE = {
    "lr": "it is learning_rate",
    "decay": "learning rates that decay are in fastconv.optimizers.schedules",
}


def checked(owner: str, options: dict[str, Any]) -> dict[str, Any]:
    """``options`` and the defaults of those that are not there.

    Raises TypeError for an unknown one, ValueError for a value out of range.
    """
    for option in options.keys() - DEFAULTS.keys():
        nearest = difflib.get_close_matches(option, DEFAULTS, n=1)
        hint = _ELSEWHERE.get(option) or (f"did you mean {nearest[0]!r}?" if nearest else "")
        raise TypeError(f"{owner} has no argument {option!r}" + (f"; {hint}" if hint else ""))
    all_options = DEFAULTS | options
    limits = {name: all_options[name] for name in ("clipnorm", "clipvalue", "global_clipnorm")}
    given = {name: limit for name, limit in limits.items() if limit is not None}
    if len(given) > 1:
        values = ", ".join(f"{name}={limit!r}" for name, limit in given.items())
        raise ValueError(f"only one of clipnorm, clipvalue and global_clipnorm can be set, got {values}")
    for name, limit in given.items():
        if not limit > 0:
            raise ValueError(f"{name} must be positive, got {limit!r}; None does not clip")
    if all_options["weight_decay"] is not None:
        not_negative("weight_decay", all_options["weight_decay"])
    share("ema_momentum", all_options["ema_momentum"])
    if all_options["ema_overwrite_frequency"] is not None:
        whole(all_options["ema_overwrite_frequency"], "ema_overwrite_frequency")
    if all_options["gradient_accumulation_steps"] is not None:
        whole(all_options["gradient_accumulation_steps"], "gradient_accumulation_steps", 2)
    if all_options["loss_scale_factor"] is not None:
        raise unsupported_argument(
            owner,
            "loss_scale_factor",
            "leave it out: gradients are float32 here, whose small numbers need no help",
        )
    return all_options


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
