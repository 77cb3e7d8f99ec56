"""What layers share that change images at random while training."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv.layers._arguments import check_data_format
from fastconv.layers.random_layer import RandomLayer, numbers_of
from fastconv.parameter import Array


class Augmentation(RandomLayer):
    """Base of the random layers: while training no image is shown twice in the same way. Otherwise y = x.

    They learn nothing and go first in a model, or into a ``fastconv.utils.Loader``. Called by themselves, as
    ``layer(images)``, they are at work: ``training`` is True unless said otherwise.

    A subclass overrides ``roll``, which rolls the dice for a batch, ``apply``, and ``apply_backward``, the
    adjoint. Random numbers do not depend on the number of threads.
    """

    input_rank = 4
    training_by_itself = True

    def __init__(self, seed: int | None = None, data_format: str | None = None, **options: Any) -> None:
        super().__init__(seed, **options)
        check_data_format(data_format, type(self).__name__)

    def roll(self, shape: tuple[int, ...], random: np.random.Generator) -> tuple[Any, ...]:
        """What to do to each image of a batch of this shape."""
        raise NotImplementedError(f"{type(self).__name__} has no roll(shape, random)")

    def apply(self, x: Array, *drawn: Any) -> Array:
        """Do to the images x what was drawn."""
        raise NotImplementedError(f"{type(self).__name__} has no apply(x, ...)")

    def apply_backward(self, dy: Array, x: Array, *drawn: Any) -> Array:
        """dx, from dy and what ``apply`` was given."""
        raise NotImplementedError(f"{type(self).__name__} has no apply_backward(dy, x, ...)")

    def at_rest(self, shape: tuple[int, ...]) -> tuple[Any, ...] | None:
        """What to do instead of ``roll`` while not training; None for nothing."""
        return None

    def call(self, x: Array, training: bool = False) -> Array:
        if self.is_random(training):
            drawn: tuple[Any, ...] | None = self.roll(x.shape, numbers_of(self.draw()))
        else:
            drawn = self.at_rest(x.shape)
        self.remember(x, drawn)
        return x if drawn is None else self.apply(x, *drawn)

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        x, drawn = self.recall()
        if not input_gradient:
            return None
        return dy if drawn is None else self.apply_backward(dy, x, *drawn)
