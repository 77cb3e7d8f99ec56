"""From a unit back to the pixels: one walk down the layers, each by its own ``backward``.

What comes back from above is called the signal. Layers that are linear in their input, given where their
maxima were, have one way back: convolution is transposed, max pooling puts each number where its switch
points, average pooling shares it out, batch normalisation scales it. Only at a rectifier y = max(z, 0) is
there a choice:

    "gradient"    dz = dy ⊙ [z > 0]              the chain rule: passes where the image has made z positive
    "deconvnet"   dz = max(dy, 0)                Zeiler & Fergus 2013: passes where the signal is positive
    "guided"      dz = max(dy, 0) ⊙ [z > 0]      Springenberg et al. 2015: passes where both are
"""

from __future__ import annotations

import copy

import numpy as np

from fastconv import layers, ops
from fastconv._errors import unknown_name
from fastconv.layers.activated import ActivatedLayer
from fastconv.layers.adaptive_pooling import AdaptivePooling
from fastconv.layers.augmentation import Augmentation
from fastconv.layers.layer import Layer
from fastconv.layers.padding import Framing
from fastconv.layers.pooling import GlobalPooling, Pooling
from fastconv.layers.random_layer import RandomLayer
from fastconv.layers.upsampling import UpSampling
from fastconv.models import Sequential
from fastconv.parameter import Array
from fastconv.visualize._layers import LayerLike
from fastconv.visualize._way_up import layers_up_to

MODES = ("gradient", "deconvnet", "guided")

# What these compute, but for their activation, is linear in inference (Augmentation: for a given image).
_LINEAR = (
    layers.ActivityRegularization,
    layers.BatchNormalization,
    layers.CenterCrop,
    layers.Conv2D,
    layers.Dense,
    layers.Flatten,
    layers.Permute,
    layers.RepeatVector,
    layers.Rescaling,
    layers.Reshape,
    layers.Resizing,
    layers.Activation,
    AdaptivePooling,
    Augmentation,
    Framing,
    GlobalPooling,
    Pooling,
    RandomLayer,
    UpSampling,
)


class WayBack:
    """The layers of ``model`` up to ``layer``, to be gone up once and down as often as one likes.

    They are twins of the model's: the same weights, but a memory of their own, nothing to learn and no
    penalties. So neither gradients nor a training under way are disturbed.

    With ``from_score`` the way back begins before the last layer's softmax or sigmoid, if it ends in one.
    Raises ValueError for an unknown ``mode`` and, unless it is "gradient", names the first layer that is
    neither linear nor a rectifier.
    """

    def __init__(self, model: Sequential, layer: LayerLike, mode: str, from_score: bool = False) -> None:
        if mode not in MODES:
            raise unknown_name("mode", mode, MODES)
        self.model, self.mode = model, mode
        self._layers = [_twin(part) for part in layers_up_to(model, layer)]
        self._from_score = from_score and self.top.output_activation in ("softmax", "log_softmax", "sigmoid")
        if mode != "gradient":
            for part in self._layers[: -1 if self._from_score else None]:
                _check_linear_or_rectifier(part, mode)

    @property
    def top(self) -> Layer:
        """Where it begins."""
        return self._layers[-1]

    def forward(self, x: Array, first: int = 0) -> Array:
        """What the top layer puts out for the images x, in inference.

        Raises ValueError where that is not a number, counting the images from ``first``.
        """
        self.model.check_input(x.shape)
        y: Array = x
        for layer in self._layers:
            y = layer.forward(y, training=False)
        for name, array in ((str(self.top), y), ("the input", x)):
            bad = np.flatnonzero(np.isnan(array).reshape(len(array), -1).any(axis=1))
            if len(bad):
                raise ValueError(
                    f"image {first + bad[0]} has NaN in {name}: check the image and the weights with np.isnan"
                )
        return y

    def back(self, signal: Array) -> Array:
        """The signal at the pixels, (N, H, W, C) as the images of the last ``forward``."""
        *below, top = map(_with_exact_zeros, self._layers)
        signal = _given(top.backward_from_logits(signal)) if self._from_score else self._through(top, signal)
        for layer in reversed(below):
            signal = self._through(layer, signal)
        return signal

    def _through(self, layer: Layer, signal: Array) -> Array:
        if self.mode == "gradient" or not _rectifies(layer):
            return _given(layer.backward(signal))
        signal = ops.activation(signal, "relu")
        if self.mode == "guided":
            return _given(layer.backward(signal))
        return signal if isinstance(layer, layers.ReLU) else _given(layer.backward_from_logits(signal))


def _twin(layer: Layer) -> Layer:
    twin = copy.copy(layer)
    twin._trainable = False
    if twin.activity_regularizer is not None:
        twin.activity_regularizer = None  # type: ignore[misc]  # an attribute wherever it is not None
    return twin


def _with_exact_zeros(layer: Layer) -> Layer:
    """The layer, what it remembers too, but without Winograd's algorithm.

    Going back, that works on tiles of 6×6 pixels and leaves rounding errors where nothing should be, beyond
    the receptive field. Deconvnet's rectifiers would let half of this dust pass.
    """
    if not isinstance(layer, layers.Conv2D) or layer.algorithm not in ("auto", "winograd"):
        return layer
    twin = copy.copy(layer)
    twin.algorithm = "direct"
    return twin


def _given(signal: Array | None) -> Array:
    assert signal is not None  # asked for with input_gradient, which is the default
    return signal


def _rectifies(layer: Layer) -> bool:
    """True where y is z or 0 (or a ceiling), and never negative."""
    if isinstance(layer, layers.ReLU):
        return layer.negative_slope == 0
    return isinstance(layer, ActivatedLayer) and layer.activation.name in ("relu", "relu6")


def _check_linear_or_rectifier(layer: Layer, mode: str) -> None:
    activation = layer.activation.name if isinstance(layer, ActivatedLayer) else "linear"
    if _rectifies(layer) or (isinstance(layer, _LINEAR) and activation == "linear"):
        return
    what = f"{layer} with activation {activation!r}" if activation != "linear" else str(layer)
    raise ValueError(
        f"mode {mode!r} cannot be used for {what}: it is for layers that are linear or end in ReLU. "
        'mode="gradient" works for every layer'
    )
