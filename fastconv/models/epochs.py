"""Epochs: how many batches make one, and what happens when they run out."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from typing import Any

from fastconv._core.randomness import generator_state, set_generator_state
from fastconv.graph.ports import Ports
from fastconv.layers._arguments import whole
from fastconv.models.batches import Batch, Batches, batches
from fastconv.models.mistakes import warn
from fastconv.utils.batch_source import load_state_of, state_of


class Epochs:
    """Deals the batches of a source out in epochs of ``steps``, or of one whole pass where that is None.

    With ``steps``, each epoch goes on where the one before stopped, and starts from the beginning when the
    source is used up. A generator cannot start again: ``exhausted`` then turns True.

    The hooks ``on_epoch_begin`` and ``on_epoch_end`` of a data set are called for each epoch.
    """

    def __init__(self, source: Batches, steps: int | None = None) -> None:
        self.source = source
        self.steps = steps
        self.exhausted = False
        self._pass: Generator[Batch] | None = None
        self._dealt = 0  # batches of the pass
        self._before_pass: dict[str, Any] = {}  # what its order and its batches follow from
        self._before_epoch: dict[str, Any] | None = None  # the data set's state; None between epochs
        self._together = False  # whether pass and epoch began together

    @property
    def number(self) -> int | None:
        """How many batches an epoch has, where that is known beforehand."""
        return self.steps or self.source.number

    def check_repeats(self, epochs: int, what: str, steps_argument: str) -> None:
        """ValueError where ``epochs`` passes are wanted of something that can be passed through only once."""
        if epochs > 1 and self.steps is None and not self.source.repeatable:
            raise ValueError(
                f"{what} is a generator and can run only once, but {epochs} passes over it are wanted: say "
                f"how many batches make an epoch with {steps_argument}, or give something that can start "
                "again, such as a list of batches or an object with __iter__"
            )

    def restart(self) -> None:
        """Begin the next epoch with the first batch, if the source can: evaluations see the same ones."""
        if self.source.repeatable:
            self.close()

    def close(self) -> None:
        """Let go of the source in the middle of a pass: a thread that prepares batches ends here."""
        if self._pass is not None:
            self._pass.close()
            self._pass = None

    def __iter__(self) -> Iterator[Batch]:
        return self.epoch()

    def epoch(self, first_step: int = 0) -> Iterator[Batch]:
        """The batches of an epoch; of one that was begun before ``load_state_dict``, those from a step on.

        No batch at all means that the source has run dry: what to do about it is up to the caller.
        """
        if first_step == 0:
            if self.steps is None:
                self.restart()
            self._begin_epoch()
        if self.steps is None:
            while (batch := self._next()) is not None:
                yield batch
        else:
            for step in range(first_step, self.steps):
                batch = self._next()
                if batch is None and self.source.repeatable:
                    batch = self._next()
                if batch is None:
                    self.exhausted = True
                    if step > 0:
                        warn(f"the data ran out after {step} of the epoch's {self.steps} batches")
                    break
                yield batch
        self._before_epoch = None
        self._call("on_epoch_end")

    def _begin_epoch(self) -> None:
        self._before_epoch = state_of(self._dataset)
        if self._pass is None:
            self._start()
        else:
            self._together = False
            self._call("on_epoch_begin")

    @property
    def _dataset(self) -> Any:
        return getattr(self.source, "dataset", None)

    def _call(self, hook: str) -> None:
        if hasattr(self._dataset, hook):
            getattr(self._dataset, hook)()

    def _next(self) -> Batch | None:
        """The next batch of the pass, or of a new one; None where it ends."""
        if self._pass is None:
            self._start(begins_epoch=False)
        assert self._pass is not None
        batch = next(self._pass, None)
        if batch is not None:
            self._dealt += 1
        elif self.source.repeatable:
            self._pass = None
        return batch

    def _start(self, skip: int = 0, begins_epoch: bool = True) -> None:
        self._before_pass = {"generator": generator_state(), "source": self.source.state_dict()}
        self._together = begins_epoch
        if begins_epoch:
            self._call("on_epoch_begin")
        self._pass = self.source.start(skip)
        self._dealt = skip

    # ---- for going on in another process

    def state_dict(self) -> dict[str, Any]:
        """Where in the data this is: how far a pass has come, and all it follows from."""
        if self._pass is None:
            return {"source": self.source.state_dict()}
        begun = self._before_epoch is not None
        return {
            **self._before_pass,
            "dealt": self._dealt,
            "dataset": self._before_epoch if begun else state_of(self._dataset),
            "begun": begun,
            "together": begun and self._together,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go to where ``state_dict`` was taken, in the same data.

        The global generator is left where beginning a pass brings it.
        """
        self.close()
        self.source.load_state_dict(state["source"])
        if "dealt" not in state:
            return
        set_generator_state(state["generator"])
        self._start(state["dealt"], begins_epoch=state["together"])
        if state["begun"]:
            self._before_epoch = state["dataset"]
        if not state["together"]:
            load_state_of(self._dataset, state["dataset"])
            if state["begun"]:
                self._call("on_epoch_begin")


def epochs_of(
    x: Any,
    y: Any,
    sample_weight: Any,
    batch_size: int | None,
    steps: int | None,
    steps_argument: str,
    shuffle: bool | str = False,
    class_weight: Mapping[int, float] | None = None,
    *,
    ports: Ports | None = None,
) -> Epochs:
    """The epochs of the data given to a model; errors speak of ``steps_argument``."""
    if x is None:
        raise ValueError("there is no data: x is missing")
    steps = None if steps is None else whole(steps, steps_argument)
    source = batches(
        x,
        y,
        sample_weight,
        batch_size=batch_size,
        steps=steps,
        shuffle=shuffle,
        class_weight=class_weight,
        ports=ports,
    )
    if source.number == 0:
        raise ValueError(f"there is no data: {type(x).__name__} has a length of 0 batches")
    return Epochs(source, steps)
