"""Small networks as plans: a whole training step as one call into C (csrc/plan.c).

A plan takes as many images at a time as a vector has lanes through all layers, so that what lies between the
layers never leaves the cache. It computes what the layers compute, up to rounding. A model uses it where it
applies and pays; ``compile(jit_compile=False)`` does without.

What a plan computes is written here and in C, not in the layers. So it takes layers of exactly the classes it
knows: a subclass may compute something else, and is run as it is, layer by layer. Whenever an attribute of a
layer has been assigned to, the layers are described anew, and a plan goes on only if it was made for the same
description.

Layers at the bottom that have nothing to learn, such as Rescaling and augmentation, run as they are, and the
plan takes what they return. An activation that is a layer of its own becomes part of the step below it.

Networks that cannot be trained so can often predict so: what only matters while training, dropout say, is
left out, and single images go through large kernels by the algorithms that the layers would use.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from contextlib import ExitStack
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastconv import _kernels
from fastconv._core import versions
from fastconv._core.geometry import window
from fastconv._core.targets import broadcast_weights
from fastconv._core.turns import Turns
from fastconv._core.versions import is_exactly
from fastconv.activations import ActivationFunction
from fastconv.layers import (
    ELU,
    Activation,
    AlphaDropout,
    AveragePooling2D,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GaussianDropout,
    GaussianNoise,
    LeakyReLU,
    MaxPooling2D,
    RandomLayer,
    ReLU,
    Softmax,
    SpatialDropout2D,
)
from fastconv.layers.layer import Layer, Shape
from fastconv.layers.weighted import WeightedLayer
from fastconv.losses import CategoricalCrossentropy, Loss, SparseCategoricalCrossentropy
from fastconv.losses.loss import EPSILON
from fastconv.ops._door import array as floats
from fastconv.ops._door import on_reference
from fastconv.ops.activations import DEFAULT_ALPHA
from fastconv.ops.convolution import algorithm_index
from fastconv.parameter import Array, Parameter, is_roomy

if TYPE_CHECKING:
    from fastconv.graph import Node
    from fastconv.models.model import Model

Step = dict[str, Any]

# A kernel's gradient is summed with a vector of images for each element. Where that would not stay in the
# cache, channels are many enough to fill the lanes, and the layers' own way is the faster one.
_MOST_KERNEL_ELEMENTS = 1 << 14
_MOST_KERNEL_ROWS = 32  # FC_PLAN_MOST_ROWS

# Where a plan only saves the way from layer to layer: from this many images on that is nothing.
_FEW_IMAGES = 4

_ACTIVATIONS = (Activation, ELU, LeakyReLU, ReLU, Softmax)
_ONLY_WHILE_TRAINING = (Dropout, SpatialDropout2D, AlphaDropout, GaussianDropout, GaussianNoise)

# What clipped probabilities can cost.
_LOSSES = (-math.log1p(-EPSILON), -math.log(EPSILON))


class NoPlan(ValueError):
    """Says which layer a plan cannot run, and why."""


class Description(NamedTuple):
    """All that a plan is made of."""

    before: list[Layer]  # those at the bottom that run as they are
    first: Layer  # the next one
    input_shape: Shape  # of that one
    steps: list[Step]

    def is_same_as(self, other: Description) -> bool:
        """Whether both are the same computation with the same arrays."""
        own, others = [*self.before, self.first], [*other.before, other.first]
        return (
            len(own) == len(others)
            and all(map(operator.is_, own, others))
            and self.input_shape == other.input_shape
            and len(self.steps) == len(other.steps)
            and all(map(_is_same, self.steps, other.steps))
        )


def _is_same(one: Step, other: Step) -> bool:
    return all(
        value is other[name] or (not isinstance(value, np.ndarray) and value == other[name])
        for name, value in one.items()
    )


def describe(layers: list[Layer], inference: bool = False) -> Description:
    """The layers as a plan takes them. Raises NoPlan where they do not suit."""
    before, planned = _split(layers)
    steps = _steps(planned, inference)
    return Description(before, planned[0], planned[0].shapes()[0], steps)


class Plan:
    """The layers of a network, ready to run in one call. Raises NoPlan where they do not suit.

    It works on the parameters' own arrays: it sees their values as they are at each call, and fills
    ``parameter.grad`` as the layers' ``backward`` does. Penalties on weights are added afterwards, as always.
    With ``inference`` it can predict and not ``train``, and more layers suit.

    It knows the layers as they were when it was made: ``Plans`` makes another one when they have changed.
    Several threads may use it, one at a time.
    """

    def __init__(self, layers: list[Layer], inference: bool = False) -> None:
        self.description = describe(layers, inference)
        self._plan = _kernels.Plan(self.description.steps)
        self._turns = Turns()  # a plan has one workspace

    def pays_for(self, images: int) -> bool:
        """Whether it predicts so many images faster than layer by layer."""
        return images <= _FEW_IMAGES or all(step["algorithm"] is None for step in self.description.steps)

    def predict(self, x: Array) -> Array:
        """The probabilities (N, classes) for images x (N, H, W, C)."""
        probabilities = np.empty((len(x), self._plan.classes), np.float32)
        if len(x):
            x = self._prepared(x, training=False)
            with self._turns.lock:
                self._whole().predict(x, probabilities)
        return probabilities

    def train(self, x: Array, y: Array, loss: Loss, sample_weight: Array | None) -> tuple[Array, float]:
        """Fill the gradients of all parameters; returns the probabilities and the loss."""
        probabilities = np.empty((len(x), self._plan.classes), np.float32)
        targets, _ = loss.prepare(y, probabilities)  # which asks for their shape alone
        labels = rows = weights = None
        if isinstance(loss, SparseCategoricalCrossentropy):
            labels = np.ascontiguousarray(targets, np.int64)
        else:
            rows = np.ascontiguousarray(targets, np.float32)
        if sample_weight is not None:
            weights = np.ascontiguousarray(broadcast_weights(sample_weight, (len(x),), np.float32))
        scale = loss.scale((len(x),))
        x = self._prepared(x, training=True)
        with self._turns.lock:
            total = self._whole().train(x, labels, rows, weights, scale, probabilities, *_LOSSES)
        added = sum(sum(layer.activity_losses) for layer in self.description.before)  # by add_loss
        if labels is None:  # probabilities are clipped class by class, which a sum does not tell
            return probabilities, loss(y, probabilities, sample_weight) + added
        return probabilities, total * scale + added

    def _prepared(self, x: Array, training: bool) -> Array:
        """x as the layers before the plan leave it. Nothing there learns, so no gradient goes back."""
        before, first, input_shape, _ = self.description
        for layer in before:
            x = layer.forward(x, training)
            layer.forget()
        if before:
            x = floats(x, f"the input of {first}")
            if x.shape[1:] != input_shape:
                raise ValueError(
                    f"{before[-1]} returned images of shape {x.shape[1:]} to {first}, which was built for "
                    f"{input_shape}: call and compute_output_shape of a layer must agree, and its "
                    "arguments stay as they are once it is built"
                )
        return x

    def _whole(self) -> _kernels.Plan:
        """The plan in C. In a forked child, another one if a thread of the parent was at work on it."""
        if self._turns.lost:
            _abandoned.append(self._plan)  # for it may be half done with giving back its memory
            self._plan, self._turns.lost = _kernels.Plan(self.description.steps), False
        return self._plan


_abandoned: list[_kernels.Plan] = []


class _Found(NamedTuple):
    """What there was to be found, and when."""

    version: object
    plan: Plan | None


class Plans:
    """The plan of a model, made when it is first wanted and again when the layers have changed.

    Copies of a model do not share it: a plan works on the arrays it was made for.
    """

    def __init__(self, inference: bool = False) -> None:
        self._inference = inference
        self._found = _Found(None, None)

    def find(self, model: Model) -> Plan | None:
        """The plan for the model as it is now; None where there is none."""
        if on_reference():
            return None
        found, version = self._found, versions.version()
        if found.version is not version:
            plan = self._made(model._opened(not self._inference), model._input_shape, found.plan)
            self._found = found = _Found(version, plan)  # in one piece, once the plan is there
        return found.plan

    def _made(self, calls: list[Node] | None, input_shape: Any, earlier: Plan | None) -> Plan | None:
        if calls is None or len({id(call.layer) for call in calls}) < len(calls):
            return None
        layers = [call.layer for call in calls]
        try:
            with ExitStack() as shapes:
                for call in calls:
                    shapes.enter_context(call.layer.at(call))
                _check_sizes(layers, input_shape)
                if earlier is not None and earlier.description.is_same_as(describe(layers, self._inference)):
                    return earlier
                return Plan(layers, self._inference)
        except NoPlan:
            return None

    def __reduce__(self) -> tuple[type[Plans], tuple[bool]]:
        return Plans, (self._inference,)


def can_train_with(loss: Loss) -> bool:
    """True for the losses whose gradient at the logits a plan knows."""
    if type(loss) is not SparseCategoricalCrossentropy and type(loss) is not CategoricalCrossentropy:
        return False  # what extends them has a derivative of its own
    return not loss.from_logits and loss.reduction in ("sum_over_batch_size", "sum")


# ---- layers as steps ----------------------------------------------------------------------------


def _check_sizes(layers: list[Layer], input_shape: Shape | None) -> None:
    """A layer knows the size of the images of the last model that was built with it; a plan relies on it."""
    if not layers:
        raise NoPlan("there are no layers")
    fits = layers[0].input_shape == input_shape
    if not fits or any(below.output_shape != above.input_shape for below, above in pairwise(layers)):
        raise NoPlan("some of its layers are shared with a model for images of another size")


def _check_arguments(layer: Layer) -> None:
    """Sizes that were assigned to after the layer was built are no longer those of its output and weights."""
    input_shape, output_shape = layer.shapes()
    try:
        unchanged = layer.compute_output_shape(input_shape) == output_shape
    except ValueError:
        unchanged = False
    if not unchanged:
        raise NoPlan(f"{layer} has other arguments now than when it was built")


def _split(layers: list[Layer]) -> tuple[list[Layer], list[Layer]]:
    """The layers at the bottom that have nothing to learn and no place in a plan; and all from there on."""

    def is_planned(layer: Layer) -> bool:
        learns = bool(layer.weights) or layer.activity_regularizer is not None
        return learns or type(layer) in (*_DESCRIBE, Flatten)

    first = next((i for i, layer in enumerate(layers) if is_planned(layer)), 0)
    return layers[:first], layers[first:]


def _steps(layers: list[Layer], inference: bool) -> list[Step]:
    """The layers as the steps of a plan; the softmax at the end is understood."""
    steps: list[Step] = []
    for layer in layers:
        if not layer.trainable and not inference:
            raise NoPlan(f"{layer} is frozen")
        if layer.activity_regularizer is not None:
            raise NoPlan(f"{layer} penalizes its outputs (activity_regularizer)")
        if not is_exactly(layer, *_DESCRIBE, *_ACTIVATIONS, *_ONLY_WHILE_TRAINING, Flatten):
            raise NoPlan(f"{layer} has no place in a plan")
        _check_arguments(layer)
        if type(layer) is Flatten or (inference and _rests(layer)):
            continue
        if type(layer) not in _DESCRIBE:
            _activate(steps, layer)
            continue
        step = _DESCRIBE[type(layer)](layer)
        if step["algorithm"] is not None and not inference:
            raise NoPlan(_why_not_by_bundles(layer))
        steps.append(step)
    dense = [step["kind"] == "dense" for step in steps]
    if not any(dense) or dense != sorted(dense):
        raise NoPlan("a plan is convolutions and pooling, then dense layers")
    if len(layers[0].input_shape or ()) != 3:
        raise NoPlan("a plan begins with images")
    if [step["activation"] == "softmax" for step in steps] != [False] * (len(steps) - 1) + [True]:
        raise NoPlan("a plan has one softmax, at the end")
    steps[-1]["activation"] = "linear"
    return steps


def _why_not_by_bundles(layer: Any) -> str:
    if layer.algorithm != "auto":
        return f"{layer} asks for algorithm={layer.algorithm!r}"
    return f"{layer} has a kernel of {layer.kernel.size} numbers, {layer.kernel_size[0]} rows"


def _activate(steps: list[Step], layer: Layer) -> None:
    """Give the step below the activation that is a layer of its own."""
    function = getattr(layer, "as_activation", None)
    if function is None:
        raise NoPlan(f"{layer} has no place in a plan")
    if not steps or steps[-1]["kind"] not in ("conv", "dense") or steps[-1]["activation"] != "linear":
        raise NoPlan(f"{layer} does not follow a convolution or dense layer without activation")
    steps[-1] |= _activation(layer, function)


def _rests(layer: Layer) -> bool:
    """Whether a layer passes on what it gets, but for training."""
    return isinstance(layer, RandomLayer) and not layer.always_random


def _step(layer: Layer, kind: str, **fields: Any) -> Step:
    """The fields of fc_step in csrc/plan.h, those that matter to this kind of layer as given."""
    step = {
        "kind": kind,
        "input": layer.input_shape,
        "output": layer.output_shape,
        "size": (1, 1),
        "padding": (0, 0),
        "activation": "linear",
        "alpha": 0.0,
        "kernel": None,
        "bias": None,
        "dkernel": None,
        "dbias": None,
        "algorithm": None,
    }
    return step | fields


def _activation(layer: Layer, function: ActivationFunction) -> Step:
    if not is_exactly(function, ActivationFunction):
        raise NoPlan(f"{layer} has an activation of another class than ActivationFunction")
    if function.needs_input or function.name in ("log_softmax", "sparsemax"):
        raise NoPlan(f"{layer} has the activation {function.name}, which plans do not know")
    alpha = DEFAULT_ALPHA.get(function.name, 0.0) if function.alpha is None else function.alpha
    return {"activation": function.name, "alpha": alpha}


def _weighted(layer: WeightedLayer, kernel_shape: Shape) -> Step:
    """What layers with weights and an activation have in common."""
    kernel: Parameter = layer.kernel
    bias: Parameter | None = layer.bias
    if kernel.shape != kernel_shape or (bias is not None and bias.shape != kernel_shape[-1:]):
        raise NoPlan(f"{layer} has weights of other shapes than it was built with")
    if not all(is_roomy(parameter.value) for parameter in (kernel, bias) if parameter is not None):
        raise NoPlan(f"{layer} has weights in arrays that are not its parameters' own")
    return {
        **_activation(layer, layer.activation),
        "kernel": kernel.value,
        "dkernel": kernel.grad,
        "bias": None if bias is None else bias.value,
        "dbias": None if bias is None else bias.grad,
    }


def _conv2d(layer: Conv2D) -> Step:
    if (layer.strides, layer.dilation_rate, layer.groups) != ((1, 1), (1, 1), 1):
        raise NoPlan(f"{layer} has strides, dilation_rate or groups")
    if layer.connections is not None:
        raise NoPlan(f"{layer} has connections")
    H, W, C = layer.input_shape  # type: ignore[misc]
    KH, KW = layer.kernel_size
    weights = _weighted(layer, (KH, KW, C, layer.filters))
    view = window((H, W), (KH, KW), 1, layer.padding)
    algorithm = None
    if layer.algorithm != "auto" or layer.kernel.size > _MOST_KERNEL_ELEMENTS or KH > _MOST_KERNEL_ROWS:
        wanted = algorithm_index(layer.algorithm, view, 1)
        shapes = (1, H, W, C), layer.kernel.shape, (1, *view.output_size, layer.filters)
        algorithm = _kernels.chosen_algorithm("forward", wanted, *shapes, view, 1)
    elif max(view.rows[1:]) >= KH or max(view.columns[1:]) >= KW:
        raise NoPlan(f"{layer} is padded by more than its kernel covers")
    padding = (view.rows.before, view.columns.before)
    return _step(layer, "conv", size=(KH, KW), padding=padding, algorithm=algorithm, **weights)


def _pooling(kind: str) -> Callable[[Any], Step]:
    def describe(layer: MaxPooling2D | AveragePooling2D) -> Step:
        if layer.strides != layer.pool_size or layer.padding != "valid":
            raise NoPlan(f"{layer} has windows that overlap or are padded")
        return _step(layer, kind, size=layer.pool_size)

    return describe


def _dense(layer: Dense) -> Step:
    shape = layer.input_shape or ()
    if len(shape) != 1:
        raise NoPlan(f"{layer} is applied to more than one vector per image")
    weights = _weighted(layer, (*shape, layer.units))
    return _step(layer, "dense", input=(1, 1, *shape), output=(1, 1, layer.units), **weights)


_DESCRIBE: dict[type[Layer], Callable[[Any], Step]] = {
    Conv2D: _conv2d,
    MaxPooling2D: _pooling("max_pool"),
    AveragePooling2D: _pooling("avg_pool"),
    Dense: _dense,
}
