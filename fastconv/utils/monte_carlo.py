"""Monte-Carlo dropout: many predictions with dropout on, and how far they lie apart."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from fastconv._structure import is_exactly
from fastconv.layers.alpha_dropout import AlphaDropout
from fastconv.layers.dropout import Dropout
from fastconv.layers.gaussian_dropout import GaussianDropout
from fastconv.layers.layer import Layer
from fastconv.layers.random_layer import RandomLayer, always_random
from fastconv.parameter import Array
from fastconv.utils.sampling import MonteCarlo, sampled

if TYPE_CHECKING:
    from fastconv.models.sequential import Sequential


def monte_carlo_predict(
    model: Sequential, x: ArrayLike, samples: int = 100, batch_size: int | None = None
) -> MonteCarlo:
    """Predict x (N, ...) ``samples`` times with dropout on: (mean, std) of the predictions.

    Each prediction is that of another thinned network, so the mean is an ensemble's and usually better than
    ``model.predict(x)``, and std says how sure the ensemble is: √(mean of squared distances from the mean),
    as ``np.std``.

    Dropout, SpatialDropout2D, AlphaDropout and GaussianDropout are on; everything else is as in ``predict``,
    batch normalization and noise included. What comes before the first dropout is computed only once. Other
    threads that use the model wait meanwhile.

    >>> mean, std = fastconv.utils.monte_carlo_predict(model, x_test)

    ``batch_size`` is 32 if None. Raises ValueError for a model without dropout. Gal & Ghahramani 2016,
    *Dropout as a Bayesian approximation: representing model uncertainty in deep learning*.
    """
    from fastconv.models.sequential import Sequential  # which has imported this package

    x = np.asarray(x)
    dropouts = _dropouts(model)
    if not dropouts:
        raise ValueError(f"{model} has no dropout: all its predictions would be the same; use predict(x)")
    model.check_input(x.shape)
    if not model.built:
        model.build(x.shape[1:])
    layers: list[Layer] = list(model.layers) if is_exactly(model, Sequential) else [model]
    first = next(i for i, layer in enumerate(layers) if _dropouts(layer))

    def sampler(batch: Array) -> Callable[[], Array]:
        below = _through(layers[:first], batch)
        return lambda: _through(layers[first:], below)

    with model._turns.lock, always_random(dropouts):
        try:
            return sampled(x, samples, batch_size, sampler)
        finally:
            model.forget()


def _through(layers: Iterable[Layer], x: Array) -> Array:
    for layer in layers:
        x = layer.forward(x)
    return x


def _dropouts(layer: Layer) -> list[RandomLayer]:
    return [leaf for leaf in layer._leaves() if isinstance(leaf, (Dropout, AlphaDropout, GaussianDropout))]
