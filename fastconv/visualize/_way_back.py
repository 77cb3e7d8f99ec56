"""From a unit back to the pixels: one walk down the calls of layers, each by its own ``gradient``.

What comes back from above is called the signal. Layers that are linear in their input, given where their
maxima were, have one way back: convolution is transposed, max pooling puts each number where its switch
points, average pooling shares it out, batch normalisation scales it, a sum hands it to all that it is made
of. Where several calls read a tensor, the signals that come back from them add up. Only at a rectifier y =
max(z, 0) is there a choice:

    "gradient"    dz = dy ⊙ [z > 0]              the chain rule: passes where the image has made z positive
    "deconvnet"   dz = max(dy, 0)                Zeiler & Fergus 2013: passes where the signal is positive
    "guided"      dz = max(dy, 0) ⊙ [z > 0]      Springenberg et al. 2015: passes where both are
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from fastconv import layers, ops
from fastconv._core.checks import unknown_name
from fastconv.graph import Pass, Schedule
from fastconv.graph.schedule import Call, without_penalty
from fastconv.layers.adaptive_pooling import AdaptivePooling
from fastconv.layers.arithmetic import WithNumber
from fastconv.layers.augmentation import Augmentation
from fastconv.layers.convolution import Convolution
from fastconv.layers.layer import Layer
from fastconv.layers.padding import Framing
from fastconv.layers.pooling import GlobalPooling, Pooling
from fastconv.layers.random_layer import RandomLayer
from fastconv.layers.upsampling import UpSampling
from fastconv.layers.weighted import ActivatedLayer
from fastconv.models import Model
from fastconv.parameter import Array
from fastconv.visualize._layers import LayerLike
from fastconv.visualize._way_up import way_up

MODES = ("gradient", "deconvnet", "guided")

# What these compute, but for their activation, is linear in inference (Augmentation: for a given image).
_LINEAR = (
    layers.Activation,
    layers.ActivityRegularization,
    layers.Add,
    layers.Average,
    layers.BatchNormalization,
    layers.CenterCrop,
    layers.Concatenate,
    layers.Dense,
    layers.Flatten,
    layers.Identity,
    layers.Permute,
    layers.RepeatVector,
    layers.Rescaling,
    layers.Reshape,
    layers.Resizing,
    layers.Subtract,
    AdaptivePooling,
    Augmentation,
    Convolution,
    Framing,
    GlobalPooling,
    Pooling,
    RandomLayer,
    UpSampling,
)


class WayBack:
    """What ``model`` computes up to ``layer``, or up to its output where None, to be gone up once and down as
    often as one likes.

    The layers are twins of the model's: the same weights, but nothing to learn and no penalties. So neither
    gradients nor a training under way are disturbed.

    With ``from_score`` the way back begins before the last layer's softmax or sigmoid, if it ends in one.
    Raises ValueError for an unknown ``mode``, a model with several inputs and, unless the mode is "gradient",
    names the first layer that is neither linear nor a rectifier.
    """

    def __init__(self, model: Model, layer: LayerLike | None, mode: str, from_score: bool = False) -> None:
        if mode not in MODES:
            raise unknown_name("mode", mode, MODES)
        self.model, self.mode = model, mode
        self._schedule = way_up(model, layer)
        self._schedule.calls = [call._replace(layer=_twin(call.layer)) for call in self._schedule.calls]
        self._from_score = from_score and self.top.output_activation in ("softmax", "log_softmax", "sigmoid")
        self._pass: _WithRectifiers | None = None
        if mode != "gradient":
            for call in self._schedule.calls[: -1 if self._from_score else None]:
                _check_linear_or_rectifier(call.layer, mode)

    @property
    def top(self) -> Layer:
        """Where it begins."""
        return self._schedule.calls[-1].layer

    def forward(self, x: Array, first: int = 0) -> Array:
        """What the top layer puts out for the images x, in inference.

        Raises ValueError where that is not a number, counting the images from ``first``.
        """
        self.model.check_input(x.shape)
        self._pass = _WithRectifiers(self._schedule, self.mode)
        (y,) = self._pass.forward([x])
        refuse_nan(self.top, y, x, first)
        return y

    def back(self, signal: Array) -> Array:
        """The signal at the pixels, (N, H, W, C) as the images of the last ``forward``."""
        assert self._pass is not None
        (pixels,) = self._pass.backward([signal], [self._from_score], self._schedule.inputs)
        return _given(pixels)


def refuse_nan(layer: Layer, y: Array, x: Array, first: int) -> None:
    """Raise ValueError where ``layer`` makes NaN of the images x, which count from ``first``."""
    for name, array in ((str(layer), y), ("the input", x)):
        bad = np.flatnonzero(np.isnan(array).reshape(len(array), -1).any(axis=1))
        if len(bad):
            raise ValueError(
                f"image {first + bad[0]} has NaN in {name}: check the image and the weights with np.isnan"
            )


class _WithRectifiers(Pass):
    """A batch on its way, where on the way back rectifiers do what ``mode`` says."""

    def __init__(self, schedule: Schedule, mode: str) -> None:
        super().__init__(schedule, training=False)
        self._mode = mode

    def _gradient(
        self, call: Call, saved: Any, dy: list[Array | None], dz: Array | None, needs: list[bool]
    ) -> list[Array | None]:
        call = call._replace(layer=_with_exact_zeros(call.layer))
        if dz is not None or self._mode == "gradient" or not _rectifies(call.layer):
            return super()._gradient(call, saved, dy, dz, needs)
        signal = ops.activation(_given(dy[0]), "relu")
        if self._mode == "guided":
            return super()._gradient(call, saved, [signal], None, needs)
        if isinstance(call.layer, layers.ReLU):
            return [signal]
        return super()._gradient(call, saved, [None], signal, needs)


def _twin(layer: Layer) -> Layer:
    twin = without_penalty(copy.copy(layer))
    twin._trainable = False
    return twin


def _with_exact_zeros(layer: Layer) -> Layer:
    """The layer without Winograd's algorithm.

    Going back, that works on tiles of 6×6 pixels and leaves rounding errors where nothing should be, beyond
    the receptive field. Deconvnet's rectifiers would let half of this dust pass.
    """
    if not isinstance(layer, layers.Conv2D) or layer.algorithm not in ("auto", "winograd"):
        return layer
    twin = copy.copy(layer)
    twin.algorithm = "direct"
    return twin


def _given(signal: Array | None) -> Array:
    assert signal is not None  # the output depends on every call in the part, and each is asked
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
    if isinstance(layer, WithNumber) and (not layer.number_first or layer.operation != "divide"):
        return
    what = f"{layer} with activation {activation!r}" if activation != "linear" else str(layer)
    raise ValueError(
        f"mode {mode!r} cannot be used for {what}: it is for layers that are linear or end in ReLU. "
        'mode="gradient" works for every layer'
    )
