"""The base class of optimizers: which parameters move, and what is remembered between steps."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from fastconv import ops
from fastconv._config import configuration
from fastconv._core.changes import changes_of_step
from fastconv._core.configuration import call_of
from fastconv._core.turns import writing
from fastconv.optimizers import learning_rate as rates
from fastconv.optimizers import options as shared
from fastconv.optimizers.weight_decay import DecayExclusion
from fastconv.parameter import Array, Parameter

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from fastconv.optimizers.options import Options

AVERAGE, GATHERED = "moving_average", "gathered_gradient"  # slots that belong to the options


class Optimizer:
    """Moves parameters against their gradients.

    >>> optimizer = SGD(learning_rate=0.1)
    >>> optimizer.step(model.parameters)        # after every backward: reads .grad, changes .value in place
    >>> optimizer.learning_rate = 0.01          # whenever you like

    The first step fixes the parameters; later steps must be given the same ones, for what is remembered of
    past gradients belongs to them. Parameters with ``trainable=False`` are left alone.

    learning_rate   a number, a schedule of ``fastconv.optimizers.schedules``, or a function without arguments
    options         what all optimizers can do besides their rule, see ``fastconv.optimizers.options.Options``

    A step does this, whatever the rule; all that is asked for, in this order::

        g ← the mean of the gradients since the last step      gradient_accumulation_steps
        g clipped                                              clipvalue, clipnorm, global_clipnorm
        θ ← θ - η λ θ                                          weight_decay
        the rule
        a ← β a + (1 - β) θ, now and then θ ← a                use_ema, ema_momentum, ema_overwrite_frequency
        constraints of the parameters

    An optimizer of your own says in ``slots`` which arrays it keeps for each parameter (they start at 0), in
    ``scalars`` which attributes are state as well, and overrides ``update``. Those that come with fastconv
    override ``update_all`` instead: one call of C for all parameters.

    Clipping: Pascanu et al. 2013, "On the difficulty of training recurrent neural networks"; weight decay
    apart from the gradient: Loshchilov & Hutter 2019, "Decoupled weight decay regularization"; averages:
    Polyak & Juditsky 1992, "Acceleration of stochastic approximation by averaging".
    """

    scalars: tuple[str, ...] = ()

    _is_own = False  # a class of a user's, whose rule may fail when half of the parameters have moved

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls._is_own = not cls.__module__.startswith("fastconv.")

    def __init__(self, learning_rate: float | rates.RateSource, **options: Unpack[Options]) -> None:
        self.name = options.pop("name", None) or type(self).__name__.lower()
        checked = shared.checked(type(self).__name__, dict(options))
        self.weight_decay: float | None = checked["weight_decay"]
        self.clipnorm: float | None = checked["clipnorm"]
        self.global_clipnorm: float | None = checked["global_clipnorm"]
        self.clipvalue: float | None = checked["clipvalue"]
        self.use_ema = bool(checked["use_ema"])
        self.ema_momentum: float = checked["ema_momentum"]
        self.ema_overwrite_frequency: int | None = checked["ema_overwrite_frequency"]
        self.loss_scale_factor: None = checked["loss_scale_factor"]
        self.gradient_accumulation_steps: int | None = checked["gradient_accumulation_steps"]
        self._learning_rate = rates.checked_source(learning_rate)
        self._rate_of_step: float | None = None
        self._batches = 0
        self._excluded: DecayExclusion | None = None
        self._parameters: list[Parameter] = []
        self._state: list[dict[str, Array]] = []
        self._arrays: ops.UpdateArrays | None = None
        self._arrays_for: tuple[Any, ...] = ()
        self.built = False

    # ---- what a subclass says

    @property
    def slots(self) -> tuple[str, ...]:
        """Names of the arrays kept for each parameter."""
        return ()

    def initial_value(self, slot: str) -> float:
        """What the arrays of this name are filled with at first."""
        return 0.0

    def begin_step(self) -> None:
        """Hook: called once a step, before any ``update``."""

    def update(self, *args: Any, **kwargs: Any) -> None:
        """``update(value, grad, **slots)``: move ``value`` in place. It is step number ``iterations + 1``."""
        raise NotImplementedError(f"{type(self).__name__} has no update(value, grad)")

    kernel_slots: tuple[str, ...] = ()
    """The slots in the order in which ``update_all`` takes them, those not kept included; or ()."""

    def update_all(self, arrays: ops.UpdateArrays) -> None:
        """Move all values, by ``update`` one after another."""
        gradients = arrays.prepare(self.learning_rate)
        for (value, _, *state), grad in zip(arrays.rows, gradients, strict=True):
            self.update(value, grad, **dict(zip(self.slots, state, strict=True)))
        arrays.average()

    # ---- learning rate

    @property
    def learning_rate(self) -> float:
        """The rate of the next step. Assign a number, a schedule or a function.

        A schedule or a function gives way only to another one, not to a number (TypeError), as in Keras.
        """
        if self._rate_of_step is not None:
            return self._rate_of_step
        return rates.current_rate(self._learning_rate, self._batches)

    @learning_rate.setter
    def learning_rate(self, rate: float | rates.RateSource) -> None:
        new = rates.checked_source(rate)
        if isinstance(new, float) and not isinstance(self._learning_rate, float):
            raise TypeError(
                f"the learning rate of this {type(self).__name__} follows {self._learning_rate!r} and cannot "
                "be set to a number: assign another schedule, or compile with a new optimizer"
            )
        self._learning_rate = new

    # ---- steps

    @property
    def iterations(self) -> int:
        """How many steps were taken; with ``gradient_accumulation_steps`` one takes several batches."""
        return self._batches // (self.gradient_accumulation_steps or 1)

    def build(self, parameters: Sequence[Parameter]) -> None:
        """Make room for what is remembered of each trainable parameter; ``step`` does so by itself."""
        if self.built:
            self._check_same(parameters)
            return
        self._parameters = [parameter for parameter in parameters if parameter.trainable]
        self._state = [{} for _ in self._parameters]
        self._make_room()
        self.built = True

    def step(self, parameters: Sequence[Parameter]) -> None:
        """Apply every ``parameter.grad`` to its ``parameter.value``, in place.

        Other threads that predict with them meanwhile see all of the step or nothing of it.
        Raises ValueError for other parameters than those of the first step. Where a rule or a constraint of
        your own raises, all parameters and what is remembered of them are put back first.
        """
        self.build(parameters)
        changes = changes_of_step()
        with writing(self._parameters if changes is None else [*self._parameters, *changes.parameters]):
            self._step_alone()
            if changes is not None:
                changes.commit()

    def _step_alone(self) -> None:
        """While no other thread reads the parameters or writes them."""
        self._rate_of_step = self.learning_rate  # asked for once: a function may answer differently each time
        saved = None
        scalars = [(name, getattr(self, name)) for name in self.scalars] if self.scalars else ()
        try:
            arrays = self._arrays_to_update()
            arrays.options = self._options_now()
            constrained = [p for p in self._parameters if p.trainable and p.constraint is not None]
            if constrained or self._is_own:
                saved = self.state_dict(), [p.numpy() for p in self._parameters]
            if (self._batches + 1) % (self.gradient_accumulation_steps or 1) == 0:
                self.begin_step()
                self.update_all(arrays)
            else:
                arrays.gather()
                arrays.average()
            for parameter in constrained:
                parameter.value = parameter.constraint(parameter.value)
            self._batches += 1
        except BaseException:
            for name, value in scalars:
                setattr(self, name, value)
            if saved is not None:
                self._put_back(*saved)
            raise
        finally:
            self._rate_of_step = None

    def _put_back(self, state: dict[str, Any], values: list[Array]) -> None:
        self.load_state_dict(state)
        for parameter, value in zip(self._parameters, values, strict=True):
            parameter.value = value

    def exclude_from_weight_decay(
        self, var_list: Sequence[Parameter] | None = None, var_names: Sequence[str] | None = None
    ) -> None:
        """Let weight decay leave alone these parameters, and those whose name one of ``var_names`` is in.

        >>> optimizer.exclude_from_weight_decay(var_names=["bias"])

        ``var_names`` are regular expressions. Each call replaces what an earlier one said.
        """
        if isinstance(var_names, str):
            raise TypeError(f"var_names must be a list of names, got {var_names!r}: write [{var_names!r}]")
        self._excluded = DecayExclusion(var_list or (), var_names or ())
        self._arrays = None

    @property
    def excluded_from_weight_decay(self) -> DecayExclusion | None:
        """What ``exclude_from_weight_decay`` said last; None where it was not called."""
        return self._excluded

    def finalize_variable_values(self, var_list: Sequence[Parameter]) -> None:
        """Replace the values of these parameters by their moving averages, if there are any: ``use_ema``.

        ``fit`` does so when it ends. Parameters that are frozen keep their values.
        """
        if not (self.use_ema and self._batches):
            return
        given = {id(parameter) for parameter in var_list}
        with writing(self._parameters):
            for parameter, state in zip(self._parameters, self._state, strict=True):
                if id(parameter) in given and parameter.trainable:
                    parameter.value = state[AVERAGE]

    def _options_now(self) -> ops.UpdateOptions:
        frequency = self.ema_overwrite_frequency
        return ops.UpdateOptions(
            1 / (self.gradient_accumulation_steps or 1),
            self.clipvalue,
            self.clipnorm,
            self.global_clipnorm,
            self.weight_decay,
            self.ema_momentum if self.iterations else 0.0,  # the first average is the first value
            bool(frequency and (self.iterations + 1) % frequency == 0),
        )

    # ---- arrays

    def __getstate__(self) -> dict[str, Any]:
        """Without what holds the arrays of the parameters: those of a copy's parameters are others."""
        return {**self.__dict__, "_arrays": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        # Arrays of its own: those that come from a file mapped into memory cannot be written to.
        self._state = [{name: np.array(array) for name, array in each.items()} for each in self._state]

    @property
    def _all_slots(self) -> tuple[str, ...]:
        average = (AVERAGE,) if self.use_ema else ()
        gathered = (GATHERED,) if self.gradient_accumulation_steps else ()
        return (*self.slots, *average, *gathered)

    def _make_room(self) -> None:
        """An array for every slot of every parameter that has none yet."""
        for parameter, state in zip(self._parameters, self._state, strict=True):
            for slot in self._all_slots:
                if slot not in state:
                    state[slot] = np.full_like(parameter.value, self.initial_value(slot))

    def _arrays_to_update(self) -> ops.UpdateArrays:
        """Those of the parameters that are trainable now, checked when that has changed."""
        now = (self._all_slots, *(parameter.trainable for parameter in self._parameters))
        if self._arrays is None or now != self._arrays_for:
            self._make_room()
            names = self.kernel_slots or self.slots
            rows, kept = [], []
            for parameter, state in zip(self._parameters, self._state, strict=True):
                if parameter.trainable:
                    rows.append((parameter.value, parameter.grad, *(state.get(name) for name in names)))
                    gathered = state[GATHERED] if self.gradient_accumulation_steps else None
                    average = state[AVERAGE] if self.use_ema else None
                    decays = self._excluded is None or parameter not in self._excluded
                    kept.append(ops.Kept(gathered, average, decays))
            self._arrays, self._arrays_for = ops.UpdateArrays(rows, names, kept), now
        return self._arrays

    def _check_same(self, parameters: Sequence[Parameter]) -> None:
        if len(parameters) == len(self._parameters) and all(map(operator.is_, parameters, self._parameters)):
            return
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

    @property
    def _all_scalars(self) -> tuple[str, ...]:
        return ("learning_rate", *self.scalars) if isinstance(self._learning_rate, float) else self.scalars

    def state_dict(self) -> dict[str, Array | int]:
        """Copies of all that a later run needs to continue: iterations, learning rate, "momentum.0", ...

        "iterations" counts the gradients seen, of which it takes ``gradient_accumulation_steps`` for a step.
        """
        state: dict[str, Array | int] = {"iterations": self._batches}
        state |= {name: np.array(getattr(self, name), np.float64) for name in self._all_scalars}
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
        self._batches = int(state["iterations"])
        for name in self._all_scalars:
            setattr(self, name, float(state[name]))
        for index, arrays in enumerate(self._state):
            for name, array in arrays.items():
                array[...] = state[f"{name}.{index}"]

    @property
    def variables(self) -> list[Array]:
        """Copies of the numbers and arrays of ``state_dict``, in its order."""
        return [np.array(value) for value in self.state_dict().values()]

    def get_weights(self) -> list[Array]:
        """The same as ``variables``, for ``set_weights``."""
        return self.variables

    def set_weights(self, weights: Sequence[ArrayLike]) -> None:
        """Go on with what ``variables`` of an optimizer for the same parameters returned.

        Raises ValueError where number or shapes differ; nothing has changed then.
        """
        names = list(self.state_dict())
        if len(weights) != len(names):
            raise ValueError(
                f"this {type(self).__name__} has {len(names)} variables ({', '.join(names[:3])}, ...), got "
                f"{len(weights)}" + ("" if self.built else ": call build(parameters) first")
            )
        self.load_state_dict(dict(zip(names, map(np.asarray, weights), strict=True)))

    # ---- configuration

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments; ``from_config`` is the way back.

        A schedule is a dictionary in it, a function its name. What weight decay leaves alone is there as
        well, if ``exclude_from_weight_decay`` was called.
        """
        config = {"name": self.name, "learning_rate": rates.serialized(self._learning_rate)}
        config |= {option: getattr(self, option) for option in shared.DEFAULTS}
        config |= configuration(self, Optimizer, without=["learning_rate"])
        if self._excluded is not None:
            config["exclude_from_weight_decay"] = self._excluded.get_config()
        return config

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None
    ) -> Optimizer:
        """The optimizer of this configuration; schedules of your own come by name in ``custom_objects``."""
        arguments = dict(config)
        excluded = arguments.pop("exclude_from_weight_decay", None)
        if "learning_rate" in arguments:
            arguments["learning_rate"] = rates.restored(arguments["learning_rate"], custom_objects)
        optimizer = cls(**arguments)
        if excluded is not None:
            optimizer._excluded = DecayExclusion(**excluded)
        return optimizer

    def __repr__(self) -> str:
        return call_of(self, always={"learning_rate": self._learning_rate}, usual=shared.DEFAULTS)
