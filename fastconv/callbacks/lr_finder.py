"""The learning-rate range test: which rates make the loss fall, and which make it explode."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastconv._core.snapshot import restore, snapshot
from fastconv.callbacks.callback import Callback, Logs
from fastconv.utils.batch_source import load_state_of, state_of

TURNING_POINT_OVER_SUGGESTION = 10


class LRFinder(Callback):
    """Trains ``steps`` batches while the learning rate grows exponentially, then undoes all of it.

    ::

        finder = LRFinder().find(model, x, y, batch_size=32)
        finder.plot()
        model.optimizer.learning_rate = finder.suggestion()

    Before batch i, counted from 0, the rate is min · (max / min)^(i / (steps - 1)). The test ends early once
    the smoothed loss is NaN, infinite, or more than ``explosion`` times its smallest value. Afterwards
    weights, optimizer and random states are what they were.

    Parameters
    ----------
    min_learning_rate, max_learning_rate : from where to where
    steps : how many batches
    smoothing : s in [0, 1). The smoothed loss is a running mean of the batches' losses,
        m ← s m + (1 - s) loss, over 1 - s^(i + 1), which corrects for its start at 0
    explosion : above 1

    Afterwards ``learning_rates``, ``losses`` and ``smoothed_losses`` are lists of what was seen.

    Smith 2015, "Cyclical learning rates for training neural networks", section 3.3.
    """

    def __init__(
        self,
        min_learning_rate: float = 1e-6,
        max_learning_rate: float = 10.0,
        steps: int = 100,
        smoothing: float = 0.9,
        explosion: float = 4.0,
    ) -> None:
        if not 0 < min_learning_rate < max_learning_rate < math.inf:
            raise ValueError(
                "LRFinder: learning rates grow from min_learning_rate > 0 to a larger max_learning_rate; got "
                f"{min_learning_rate!r} and {max_learning_rate!r}"
            )
        if steps < 2:
            raise ValueError(f"LRFinder: steps must be at least 2, got {steps!r}")
        if not 0 <= smoothing < 1:
            raise ValueError(f"LRFinder: smoothing must lie in [0, 1), got {smoothing!r}")
        if not explosion > 1:
            raise ValueError(f"LRFinder: explosion must be above 1, got {explosion!r}")
        self.min_learning_rate = min_learning_rate
        self.max_learning_rate = max_learning_rate
        self.steps = steps
        self.smoothing = smoothing
        self.explosion = explosion
        self._before: dict[str, Any] | None = None
        self._forget()

    def _forget(self) -> None:
        self.learning_rates: list[float] = []
        self.losses: list[float] = []
        self.smoothed_losses: list[float] = []
        self._mean = 0.0

    def find(
        self, model: Any, x: Any, y: Any = None, batch_size: int | None = None, **fit_arguments: Any
    ) -> LRFinder:
        """Run the test on a compiled model; data and further arguments as for ``fit``. Returns self.

        However many batches the data has: it is gone through again, or not to its end.
        """
        own = {"epochs": 1, "steps_per_epoch": self.steps, "callbacks": self}
        batch_size = batch_size or 32  # steps_per_epoch would cut the arrays into so many batches
        for argument in own.keys() & fit_arguments.keys():
            raise TypeError(
                f"LRFinder.find: {argument} cannot be set here; LRFinder(steps=...) sets the length"
            )
        if not model.built and hasattr(x, "shape"):
            model.build(x.shape[1:])
        before, history, place = snapshot(model), model.history, state_of(x)
        try:
            model.fit(x, y, batch_size, **{"verbose": 0, **fit_arguments, **own})
        finally:  # also what comes after on_train_end
            restore(model, before)
            model.history = history
            load_state_of(x, place)
        return self

    # ---- the test

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._forget()
        self._before = snapshot(self.model)

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        self.model.reset_metrics()  # so that the loss in the logs is that of the batch alone
        share = len(self.learning_rates) / (self.steps - 1)
        rate = self.min_learning_rate * (self.max_learning_rate / self.min_learning_rate) ** share
        self.model.optimizer.learning_rate = rate
        self.learning_rates.append(rate)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        loss = float((logs or {})["loss"])
        self.losses.append(loss)
        self._mean = self.smoothing * self._mean + (1 - self.smoothing) * loss
        smoothed = self._mean / (1 - self.smoothing ** len(self.losses))
        exploded = not math.isfinite(smoothed) or (
            smoothed > self.explosion * min(self.smoothed_losses, default=math.inf)
        )
        self.smoothed_losses.append(smoothed)
        if exploded or len(self.losses) == self.steps:
            self.model.stop_training = True

    def on_train_end(self, logs: Logs | None = None) -> None:
        if self._before is not None:
            restore(self.model, self._before)
        self._before = None

    # ---- what came of it

    def suggestion(self) -> float:
        """A tenth of the rate at which the smoothed loss was smallest: from there on it climbs.

        The first tenth of the test does not count: there the smoothed loss is a mean of few batches, and the
        rates hardly change anything. It shows the loss before the test, and the standard deviation between
        batches: the loss has to fall by more than twice that.

        Géron 2019, "Hands-On Machine Learning", 2nd ed., chapter 11: the best rate is a bit lower than the
        point at which the loss starts to climb, typically 10 times lower. ``OneCycle``, which is at its
        largest rate for a moment only, can take several times as much (docs/results: 5 times was best for
        LeNet-5).

        Raises ValueError where the test has not been run, where the loss did not fall, as of a model that has
        been trained, and where the turning point or the suggestion is outside the range tested.
        """
        if not self.smoothed_losses:
            raise ValueError("LRFinder: the test has not been run: call find(model, x, y)")
        start = max(1, len(self.losses) // 10)
        finite = [loss if math.isfinite(loss) else math.inf for loss in self.smoothed_losses]
        lowest = start + int(np.argmin(finite[start:])) if len(finite) > start else 0
        before, noise = np.mean(self.losses[:start]), np.std(self.losses[:start])
        if not finite[lowest] < before - 2 * noise:
            raise ValueError(
                f"LRFinder: the loss did not fall at any rate from {self.learning_rates[0]:.1e} to "
                f"{self.learning_rates[-1]:.1e}: test a model that has not been trained yet, and if it has "
                "not, lower min_learning_rate"
            )
        if lowest == len(finite) - 1:
            raise ValueError(
                f"LRFinder: at a rate of {self.learning_rates[-1]:.1e} the loss was still falling: raise "
                "max_learning_rate"
            )
        rate = self.learning_rates[lowest] / TURNING_POINT_OVER_SUGGESTION
        if rate < self.learning_rates[0]:
            raise ValueError(
                f"LRFinder: the loss was smallest at a rate of {self.learning_rates[lowest]:.1e}, and a "
                "tenth of that is below the range tested: lower min_learning_rate"
            )
        return rate

    def plot(self, axes: Any = None, *, figure: Any = None) -> Any:
        """Draw the losses over the learning rates; returns matplotlib's Figure.

        They are drawn into ``axes``, or into new axes of ``figure``, or into a new figure. Raises ImportError
        where matplotlib is missing.
        """
        from fastconv.visualize._figure import new_figure, plain_axes

        if axes is None:
            axes = new_figure(6, 4, figure=figure).add_subplot()
            plain_axes(axes)
        axes.plot(self.learning_rates, self.losses, alpha=0.3, label="each batch")
        axes.plot(self.learning_rates, self.smoothed_losses, label="smoothed")
        axes.set(xscale="log", xlabel="learning rate", ylabel="loss")
        visible = [loss for loss in self.smoothed_losses if math.isfinite(loss)]
        if visible:
            axes.set_ylim(0, 1.5 * max(visible[0], min(visible)))
        try:
            rate = self.suggestion()
        except ValueError:
            pass  # there is a curve to look at all the same
        else:
            axes.axvline(rate, linestyle="--", color="gray", label=f"suggestion: {rate:.1e}")
        axes.legend()
        return axes.get_figure()
