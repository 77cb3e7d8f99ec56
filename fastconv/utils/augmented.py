"""Test-time augmentation: the mean of several predictions of an image, each time changed a little."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from fastconv.parameter import Array
from fastconv.utils.sampling import MonteCarlo, sampled

if TYPE_CHECKING:
    from fastconv.models.sequential import Sequential

Augment = Callable[[Array], Array]


def predict_augmented(
    model: Sequential,
    x: ArrayLike,
    augment: Augment | Iterable[Augment],
    samples: int = 10,
    batch_size: int | None = None,
) -> MonteCarlo:
    """Predict images x (N, H, W, C) ``samples`` times, augmented anew each time: (mean, std).

    ``augment`` is a function of a batch, such as a layer that flips or shifts, or several, one applied after
    the other. Best are those that the model was trained with: what it learned to overlook then averages
    out, and the mean is usually better than ``model.predict(x)``. std is √(mean of squared distances from
    the mean), as ``np.std``. ``batch_size`` is 32 if None.

    >>> flip, shift = RandomFlip("horizontal"), RandomTranslation(0.1, 0.1)
    >>> mean, std = fastconv.utils.predict_augmented(model, x_test, [flip, shift])

    Raises TypeError for what is no function. Krizhevsky, Sutskever & Hinton 2012, *ImageNet classification
    with deep convolutional neural networks*, section 4.1, average over crops and mirror images.
    """
    steps = [augment] if callable(augment) else list(augment)
    for step in steps:
        if not callable(step):
            raise TypeError(f"augment must be a function of a batch of images, or several; got {step!r}")
    x = np.asarray(x)
    model.check_input(x.shape)

    def sampler(batch: Array) -> Callable[[], Array]:
        def predict() -> Array:
            changed = batch
            for step in steps:
                changed = step(changed)
            return model.predict_on_batch(changed)

        return predict

    try:
        return sampled(x, samples, batch_size, sampler)
    finally:
        model.forget()
