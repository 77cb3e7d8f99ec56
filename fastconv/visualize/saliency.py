"""Which pixels a class score depends on most."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastconv.layers._arguments import not_negative, whole
from fastconv.models import Model
from fastconv.ops import _door
from fastconv.parameter import Array
from fastconv.visualize._per_image import as_batch, per_image
from fastconv.visualize._scores import chosen_labels, one_hot
from fastconv.visualize._way_back import WayBack, refuse_nan
from fastconv.visualize._way_up import way_up


def saliency(
    model: Model,
    x: ArrayLike,
    label: int | ArrayLike | None = None,
    mode: str = "gradient",
    samples: int = 0,
    noise: float = 0.15,
    seed: int = 0,
    batch_size: int = 32,
) -> Array:
    """max over channels of |∂ score / ∂ pixel|: (H, W) for an image (H, W, C), (N, H, W) for (N, H, W, C).

    The score is the number of the class before softmax (or sigmoid): the probability could also be raised by
    lowering that of other classes.

    Parameters
    ----------
    label : which class, one number or one for each image; None for the one the model says
    mode : what ReLU does on the way back: "gradient", "guided" or "deconvnet", as in ``deconvnet``
    samples : above 0, SmoothGrad: gradients are averaged over so many noisy copies of the image, so that what
        flickers from copy to copy fades
    noise : the deviation of that noise, as a share of the image's range, max − min
    seed : of that noise, which is the same for each image
    batch_size : how many images go through the network at a time

    Raises ValueError where the model is not built, does not put out one number a class, or there is NaN.

    K. Simonyan, A. Vedaldi, A. Zisserman, "Deep Inside Convolutional Networks", 2013, section 3.1;
    D. Smilkov et al., "SmoothGrad: removing noise by adding noise", 2017.
    """
    way: Any = _Taps(model) if mode == "gradient" else WayBack(model, None, mode, from_score=True)
    images, single = as_batch(model, x)
    labels = per_image(label, "label", (len(images),))
    batch_size, samples = whole(batch_size, "batch_size"), whole(samples, "samples", minimum=0)
    deviation = not_negative(noise, "noise")
    maps = np.empty(images.shape[:-1], _door.dtype())
    for start in range(0, len(images), batch_size):
        part = slice(start, start + batch_size)
        batch = _door.array(images[part], "x")
        y = way.forward(batch, first=start)
        score = one_hot(chosen_labels(model, y, None if labels is None else labels[part]), like=y)
        if samples:
            gradient = np.zeros_like(batch)
            random = np.random.default_rng(seed)
            scale = deviation * (batch.max(axis=(1, 2, 3)) - batch.min(axis=(1, 2, 3)))[:, None, None, None]
            for _ in range(samples):
                noisy = batch + scale * random.standard_normal(batch.shape[1:]).astype(batch.dtype)
                way.forward(noisy, first=start)
                gradient += way.back(score) / samples
        else:
            gradient = way.back(score)
        maps[part] = np.abs(gradient).max(axis=-1)
    return maps[0] if single else maps


class _Taps:
    """The way back by the chain rule alone: what a ``WayBack`` does, by ``model.tap``."""

    def __init__(self, model: Model) -> None:
        way_up(model, None)
        self._model, self._top = model, model._last_layers()[0]
        self._from_logits = self._top.output_activation in ("softmax", "log_softmax", "sigmoid")
        self._x: Any = None

    def forward(self, x: Array, first: int) -> Array:
        self._x, y = x, self._model.tap(x).outputs
        refuse_nan(self._top, y, x, first)
        return y

    def back(self, signal: Array) -> Array:
        (pixels,) = self._model.tap(
            self._x,
            gradients=self._model.inputs,
            output_gradient=signal,
            from_logits=self._from_logits,
        ).gradients.values()
        return pixels
