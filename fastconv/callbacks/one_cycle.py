"""1cycle: the whole training as one rise and fall of the learning rate."""

from __future__ import annotations

from typing import Any

from fastconv.callbacks.callback import Callback, Logs
from fastconv.optimizers import schedules


class OneCycle(Callback):
    """Sets learning rate and momentum before each batch, as ``optimizers.schedules.OneCycle`` has them.

    The rate climbs in a straight line from η₀ to η₁ and back, and in the last steps falls far below η₀; the
    momentum does the opposite. η₁ comes from a range test, ``LRFinder``::

        finder = LRFinder().find(model, x, y)
        model.fit(x, y, epochs=20, callbacks=[OneCycle(finder.suggestion())])

    Parameters
    ----------
    max_learning_rate : η₁
    total_steps : batches of the whole training; where None, those of all epochs of ``fit``
    initial_learning_rate : η₀; η₁ / 10 where None
    final_learning_rate : where it ends; η₀ / 1000 where None
    final_share : which share of all steps that last fall takes
    max_momentum, min_momentum : at both ends; where the rate is highest. An optimizer without momentum, such
        as SGD(momentum=0), stays without. Adam's and its relatives' is beta_1

    Logs get the rate of the epoch's last batch as "learning_rate".

    Smith 2018, "A disciplined approach to neural network hyper-parameters: part 1", section 4.
    """

    remembers = ("step", "total_steps")

    def __init__(
        self,
        max_learning_rate: float,
        total_steps: int | None = None,
        initial_learning_rate: float | None = None,
        final_learning_rate: float | None = None,
        final_share: float = 0.1,
        max_momentum: float = 0.95,
        min_momentum: float = 0.85,
    ) -> None:
        self.options: dict[str, Any] = {
            "max_learning_rate": max_learning_rate,
            "initial_learning_rate": initial_learning_rate,
            "final_learning_rate": final_learning_rate,
            "final_share": final_share,
            "max_momentum": max_momentum,
            "min_momentum": min_momentum,
        }
        schedules.OneCycle(total_steps=total_steps or 1, **self.options)  # what is wrong is an error now
        self._given_steps = total_steps
        self.total_steps = total_steps
        self.step = 0

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.step = 0
        self.total_steps = self._given_steps

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        if self.total_steps is None:
            params = self.params or {}
            if params.get("steps") is None:
                raise ValueError(
                    "OneCycle: the number of batches per epoch is not known beforehand: give "
                    "OneCycle(total_steps=...), or fit(steps_per_epoch=...)"
                )
            self.total_steps = (params["epochs"] - epoch) * params["steps"]

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        assert self.total_steps is not None
        schedule = schedules.OneCycle(total_steps=self.total_steps, **self.options)
        optimizer = self.model.optimizer
        optimizer.learning_rate = float(schedule(self.step))
        name = "momentum" if hasattr(optimizer, "momentum") else "beta_1"
        if getattr(optimizer, name, 0):
            setattr(optimizer, name, float(schedule.momentum(self.step)))

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        self.step += 1

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if logs is not None:
            logs["learning_rate"] = self.model.optimizer.learning_rate
