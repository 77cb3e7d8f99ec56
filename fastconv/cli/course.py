"""How a training of ``fastconv train`` is planned, and where in it a saved network is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

COOL_DOWN = 1 / 3  # the last third of the epochs runs at a tenth of the learning rate


class Course(NamedTuple):
    """What epochs follow from. The file of a network holds it, for ``fastconv train FILE`` to go on.

    epochs          where the training ends
    cool_down_from  the epoch, from 0, with which a tenth of the learning rate begins
    learning_rate   the rate before; None where the optimizer follows a schedule of its own
    batch_size      images in a step
    shift           pixels by which each image is moved at most
    """

    epochs: int
    cool_down_from: int
    learning_rate: float | None
    batch_size: int
    shift: int

    @classmethod
    def of_epochs(
        cls, first: int, number: int, learning_rate: float | None, batch_size: int, shift: int
    ) -> Course:
        """``number`` epochs after the first ones, with the cool-down in the last third of them."""
        end = first + number
        return cls(end, end - int(COOL_DOWN * number), learning_rate, batch_size, shift)

    def extended(self, done: int, number: int) -> Course:
        """``number`` epochs after the ``done`` ones.

        A cool-down that has begun goes on, or else takes the last third of the whole training.
        """
        end = done + number
        if done >= self.cool_down_from:
            return self._replace(epochs=end)
        return self._replace(epochs=end, cool_down_from=max(done, end - int(COOL_DOWN * end)))


def course_in(notes: Mapping[str, Any]) -> Course | None:
    """The course in the notes of a file; None where ``fastconv train`` has not written them."""
    match notes.get("course"):
        case {
            "epochs": int(epochs),
            "cool_down_from": int(cool_down_from),
            "learning_rate": float() | None as learning_rate,
            "batch_size": int(batch_size),
            "shift": int(shift),
        } if min(epochs, batch_size) > 0 and min(cool_down_from, shift) >= 0:
            return Course(epochs, cool_down_from, learning_rate, batch_size, shift)
    return None
