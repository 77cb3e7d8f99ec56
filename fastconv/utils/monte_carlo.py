"""Monte-Carlo dropout: many predictions with dropout on, and how far they lie apart."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from fastconv.layers._arguments import whole
from fastconv.layers.alpha_dropout import AlphaDropout
from fastconv.layers.dropout import Dropout
from fastconv.layers.gaussian_dropout import GaussianDropout
from fastconv.layers.layer import Layer
from fastconv.layers.random_layer import RandomLayer
from fastconv.parameter import Array

if TYPE_CHECKING:
    from fastconv.models.sequential import Sequential


class MonteCarlo(NamedTuple):
    """What ``samples`` predictions have in common, and how they differ; arrays of a prediction's shape."""

    mean: Array
    std: Array


def monte_carlo_predict(
    model: Sequential, x: ArrayLike, samples: int = 100, batch_size: int | None = None
) -> MonteCarlo:
    """Predict x (N, ...) ``samples`` times with dropout on: (mean, std) of the predictions.

    Each prediction is that of another thinned network, so the mean is an ensemble's and usually better than
    ``model.predict(x)``, and std says how sure the ensemble is: √(mean of squared distances from the mean),
    as ``np.std``.

    Dropout, SpatialDropout2D, AlphaDropout and GaussianDropout are on; everything else is as in ``predict``,
    batch normalization and noise included. What comes before the first dropout is computed only once.

    >>> mean, std = fastconv.utils.monte_carlo_predict(model, x_test)

    ``batch_size`` is 32 if None. Raises ValueError for a model without dropout. Gal & Ghahramani 2016,
    *Dropout as a Bayesian approximation: representing model uncertainty in deep learning*.
    """
    samples = whole(samples, "samples")
    step = 32 if batch_size is None else whole(batch_size, "batch_size")
    x = np.asarray(x)
    layers = list(model.layers)
    first = next((i for i, layer in enumerate(layers) if list(_dropouts(layer))), None)
    if first is None:
        raise ValueError(f"{model} has no dropout: all its predictions would be the same; use predict(x)")
    model.check_input(x.shape)
    if not model.built:
        model.build(x.shape[1:])
    means, deviations = [], []
    try:
        with _dropout_on(model):
            for start in range(0, max(len(x), 1), step):
                batch = x[start : start + step]
                for layer in layers[:first]:
                    batch = layer.forward(batch)
                mean, squares = np.float64(0), np.float64(0)
                for sample in range(1, samples + 1):  # Welford 1962: no differences of large sums
                    y = batch
                    for layer in layers[first:]:
                        y = layer.forward(y)
                    away = y - mean
                    mean = mean + away / sample
                    squares = squares + away * (y - mean)
                means.append(mean)
                deviations.append(np.sqrt(squares / samples))
    finally:
        model.forget()
    return MonteCarlo(np.concatenate(means).astype(y.dtype), np.concatenate(deviations).astype(y.dtype))


def _dropouts(layer: Layer) -> Iterator[RandomLayer]:
    """The layers that drop, of a layer or, wherever they are, of a model."""
    if isinstance(layer, (Dropout, AlphaDropout, GaussianDropout)):
        yield layer
    for inner in getattr(layer, "layers", ()):
        yield from _dropouts(inner)


@contextmanager
def _dropout_on(model: Layer) -> Iterator[None]:
    dropouts = list(_dropouts(model))
    before = [layer.always_random for layer in dropouts]
    try:
        for layer in dropouts:
            layer.always_random = True
        yield
    finally:
        for layer, was in zip(dropouts, before, strict=True):
            layer.always_random = was
