"""Test-time augmentation: the mean of several predictions of an image, each time changed a little."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fastconv._core.checks import unknown_name
from fastconv.graph.ports import Several, listed
from fastconv.parameter import Array
from fastconv.utils.sampling import MonteCarlo, sampled

if TYPE_CHECKING:
    from fastconv.models.model import Model

Augment = Callable[[Array], Array]


def predict_augmented(
    model: Model,
    x: Any,
    augment: Augment | Iterable[Augment] | Mapping[str, Augment | Iterable[Augment]],
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
    x = model._inputs(x)
    names = model._ports.inputs
    steps = _by_input(model, augment, names)

    def sampler(batch: Any) -> Callable[[], Any]:
        def predict() -> Any:
            changed = listed(batch)
            for index, name in enumerate(names):
                for step in steps.get(name, ()):
                    changed[index] = step(changed[index])
            return model.predict_on_batch(changed if isinstance(batch, Several) else changed[0])

        return predict

    try:
        return sampled(x, samples, batch_size, sampler)
    finally:
        model.forget()


def _by_input(model: Model, augment: Any, names: Sequence[str]) -> dict[str, list[Augment]]:
    """The functions for each input that is changed."""
    if not isinstance(augment, Mapping):
        if len(names) > 1:
            raise TypeError(
                f"{model} has the inputs {', '.join(names)}: augment is a dictionary {{name: function}} of "
                "some of them"
            )
        augment = {names[0]: augment}
    found: dict[str, list[Augment]] = {}
    for name, given in augment.items():
        if name not in names:
            raise unknown_name("input", name, names)
        found[name] = [given] if callable(given) else list(given)
        for step in found[name]:
            if not callable(step):
                raise TypeError(f"augment must be a function of a batch of images, or several; got {step!r}")
    return found
