"""Monte-Carlo dropout: many predictions with dropout on, and how far they lie apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fastconv.graph import Pass, Schedule, structure
from fastconv.graph.ports import listed
from fastconv.layers.dropout import AlphaDropout, Dropout, GaussianDropout
from fastconv.layers.layer import Layer
from fastconv.layers.random_layer import RandomLayer, always_random
from fastconv.utils.sampling import MonteCarlo, sampled

if TYPE_CHECKING:
    from fastconv.models.model import Model


def monte_carlo_predict(
    model: Model, x: Any, samples: int = 100, batch_size: int | None = None
) -> MonteCarlo:
    """Predict x (N, ...) ``samples`` times with dropout on: (mean, std) of the predictions.

    Each prediction is that of another thinned network, so the mean is an ensemble's and usually better than
    ``model.predict(x)``, and std says how sure the ensemble is: √(mean of squared distances from the mean),
    as ``np.std``.

    Dropout, SpatialDropout2D, AlphaDropout and GaussianDropout are on; everything else is as in ``predict``,
    batch normalization and noise included. What depends on no dropout is computed only once. Other threads
    that use the model wait meanwhile. Inputs and outputs of a model that has several are nested as in
    ``predict``.

    >>> mean, std = fastconv.utils.monte_carlo_predict(model, x_test)

    ``batch_size`` is 32 if None. Raises ValueError for a model without dropout. Gal & Ghahramani 2016,
    *Dropout as a Bayesian approximation: representing model uncertainty in deep learning*.
    """
    x = model._inputs(x)
    dropouts = _dropouts(model)
    if not dropouts:
        raise ValueError(f"{model} has no dropout: all its predictions would be the same; use predict(x)")
    if not model.built:
        model.build(x.shape[1:])
    schedule = model.schedule(training=False)

    def sampler(batch: Any) -> Callable[[], Any]:
        if schedule is None:  # it computes by a call of its own
            return lambda: model.forward(batch)
        below, above = _cut(schedule)
        known = Pass(below, training=False).forward(listed(batch), remember=False)

        def sample() -> Any:
            outputs = Pass(above, training=False).forward(known, remember=False)
            return structure.packed(schedule.graph.outputs, outputs)

        return sample

    with model._turns.lock, always_random(dropouts):
        try:
            return sampled(x, samples, batch_size, sampler)
        finally:
            model.forget()


def _cut(schedule: Schedule) -> tuple[Schedule, Schedule]:
    """What depends on no dropout, and all else, which begins with what that makes."""
    changing: set[int] = set()
    between = list(schedule.outputs)
    for call in schedule.calls:
        if _dropouts(call.layer) or not changing.isdisjoint(call.inputs):
            changing.update(call.outputs)
            between += call.inputs
    known = list(dict.fromkeys(number for number in between if number not in changing))
    return schedule.part(known), schedule.part(schedule.outputs, known)


def _dropouts(layer: Layer) -> list[RandomLayer]:
    return [leaf for leaf in layer._leaves() if isinstance(leaf, (Dropout, AlphaDropout, GaussianDropout))]
