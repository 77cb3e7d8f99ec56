"""Programs compute what the layers compute one by one, and what the reference computes: by enumeration.

Every registered layer stands here, with its options, or in ``WITHOUT_LOWER`` with the reason.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

import fastconv
import fastconv.graph.structure
from fastconv import activations, layers, losses
from fastconv.engine.lower import why_not
from fastconv.layers import (
    ELU,
    Activation,
    ActivityRegularization,
    Add,
    AlphaDropout,
    Average,
    AveragePooling1D,
    AveragePooling2D,
    BatchNormalization,
    Concatenate,
    Conv1D,
    Conv1DTranspose,
    Conv2D,
    Conv2DTranspose,
    Cropping1D,
    Cropping2D,
    Dense,
    DepthwiseConv1D,
    DepthwiseConv2D,
    Dropout,
    Flatten,
    GaussianNoise,
    GlobalAveragePooling1D,
    GlobalAveragePooling2D,
    GlobalMaxPooling1D,
    GlobalMaxPooling2D,
    Identity,
    Input,
    LeakyReLU,
    MaxPooling1D,
    MaxPooling2D,
    Maximum,
    Minimum,
    Multiply,
    Normalization,
    PReLU,
    RandomFlip,
    RepeatVector,
    ReLU,
    Rescaling,
    Reshape,
    SeparableConv1D,
    SeparableConv2D,
    Softmax,
    SpatialDropout2D,
    Subsampling2D,
    Subtract,
    UpSampling1D,
    UpSampling2D,
    ZeroPadding1D,
    ZeroPadding2D,
)
from fastconv.layers.arithmetic import WithNumber
from fastconv.layers.layer import Layer
from fastconv.layers.merging import Divide
from fastconv.models import Model, Sequential
from fastconv.models.executor import LayerByLayer, Programmed

IMAGE, SEQUENCE, VECTOR = (8, 7, 6), (9, 6), (12,)

# Of each class, what it is made with. Numbers are small and odd: no size is a multiple of a vector's lanes.
IMAGES: dict[type[Layer], list[dict[str, Any]]] = {
    Conv2D: [
        {"filters": 5, "kernel_size": 3},
        {"filters": 5, "kernel_size": (3, 2), "strides": (2, 1), "padding": "same", "activation": "relu"},
        {"filters": 6, "kernel_size": 3, "dilation_rate": 2, "use_bias": False, "activation": "gelu"},
        {"filters": 6, "kernel_size": 3, "groups": 3, "padding": "same", "activation": "tanh"},
        {"filters": 4, "kernel_size": 3, "padding": ((2, 0), (1, 3)), "activation": "softmax"},
        {"filters": 5, "kernel_size": (8, 7), "activation": "elu"},
        {"filters": 5, "kernel_size": 1, "algorithm": "im2col", "kernel_regularizer": "l2"},
        {"filters": 5, "kernel_size": 3, "algorithm": "winograd", "padding": "same"},
    ],
    DepthwiseConv2D: [
        {"kernel_size": 3},
        {"kernel_size": (3, 2), "strides": (2, 1), "padding": "same", "activation": "relu", "depth_multiplier": 2},
        {"kernel_size": 3, "dilation_rate": 2, "use_bias": False, "activation": "silu"},
    ],
    SeparableConv2D: [
        {"filters": 5, "kernel_size": 3},
        {"filters": 4, "kernel_size": 3, "strides": 2, "padding": "same", "activation": "relu", "depth_multiplier": 2},
    ],
    Conv2DTranspose: [
        {"filters": 4, "kernel_size": 3},
        {"filters": 4, "kernel_size": 3, "strides": 2, "padding": "same", "activation": "relu"},
        {"filters": 4, "kernel_size": (2, 3), "strides": (3, 2), "output_padding": (1, 0), "use_bias": False},
        {"filters": 4, "kernel_size": 3, "dilation_rate": 2, "activation": "softplus"},
    ],
    Dense: [{"units": 5, "activation": "relu"}, {"units": 5, "use_bias": False, "activation": "mish"}],
    MaxPooling2D: [
        {},
        {"pool_size": 3, "strides": 2},
        {"pool_size": (2, 3), "strides": 1, "padding": "same"},
        {"pool_size": 3, "padding": ((1, 0), (0, 2))},
    ],
    AveragePooling2D: [{}, {"pool_size": 3, "strides": 2, "padding": "same"}, {"pool_size": (8, 7)}],
    GlobalAveragePooling2D: [{}, {"keepdims": True}],
    GlobalMaxPooling2D: [{}, {"keepdims": True}],
    Subsampling2D: [{}, {"pool_size": 3, "strides": 2, "activation": "scaled_tanh"}],
    BatchNormalization: [{}, {"center": False, "scale": False, "momentum": 0.9, "epsilon": 1e-2}],
    Activation: [
        *({"activation": name} for name in sorted({*fastconv._kernels.ACTIVATIONS, "softmax"})),
        {"activation": activations.leaky_relu.with_parameters(negative_slope=0.1)},
    ],
    ReLU: [{}, {"max_value": 6.0}, {"negative_slope": 0.1}],
    LeakyReLU: [{}],
    ELU: [{"alpha": 0.7}],
    Softmax: [{}, {"axis": 3}],
    PReLU: [{}, {"shared_axes": [1, 2]}],
    Dropout: [{"rate": 0.4, "seed": 3}, {"rate": 0.3, "seed": 4, "noise_shape": (None, 1, 7, 1)}, {"rate": 0.0}],
    SpatialDropout2D: [{"rate": 0.5, "seed": 3}],
    AlphaDropout: [{"rate": 0.4, "seed": 5}],
    Rescaling: [{"scale": 0.5, "offset": -1.0}],
    Normalization: [{}],
    Flatten: [{}],
    Reshape: [{"target_shape": (7, 8, 6)}, {"target_shape": (-1,)}, {"target_shape": (28, 12)}],
    ZeroPadding2D: [{}, {"padding": ((0, 2), (1, 0))}],
    Cropping2D: [{"cropping": ((1, 0), (2, 1))}],
    UpSampling2D: [{}, {"size": (1, 3)}],
    Identity: [{}],
    WithNumber: [
        {"operation": "add", "number": 0.5},
        {"operation": "subtract", "number": 0.5, "number_first": True},
        {"operation": "subtract", "number": 0.5},
        {"operation": "multiply", "number": -0.5},
        {"operation": "divide", "number": 3.0},
    ],
}  # fmt: skip
SEQUENCES: dict[type[Layer], list[dict[str, Any]]] = {
    Conv1D: [
        {"filters": 5, "kernel_size": 3, "padding": "causal", "activation": "relu"},
        {"filters": 6, "kernel_size": 3, "strides": 2, "groups": 2},
        {"filters": 4, "kernel_size": 2, "dilation_rate": 3, "padding": "same"},
        {"filters": 4, "kernel_size": 9},
    ],
    DepthwiseConv1D: [{"kernel_size": 3, "padding": "same", "activation": "relu"}],
    SeparableConv1D: [{"filters": 5, "kernel_size": 3, "depth_multiplier": 2}],
    Conv1DTranspose: [{"filters": 4, "kernel_size": 3, "strides": 2, "padding": "same"}],
    Dense: [{"units": 5, "activation": "relu"}],
    MaxPooling1D: [{}, {"pool_size": 3, "strides": 2, "padding": "same"}],
    AveragePooling1D: [{"pool_size": 3, "strides": 1, "padding": "same"}],
    GlobalAveragePooling1D: [{}, {"keepdims": True}],
    GlobalMaxPooling1D: [{}, {"keepdims": True}],
    BatchNormalization: [{}],
    PReLU: [{}, {"shared_axes": [1]}],
    Dropout: [{"rate": 0.4, "seed": 3}],
    Flatten: [{}],
    Reshape: [{"target_shape": (6, 3, 3)}],
    ZeroPadding1D: [{}, {"padding": (0, 2)}],
    Cropping1D: [{"cropping": (2, 1)}],
    UpSampling1D: [{"size": 3}],
    Softmax: [{}],
}
VECTORS: dict[type[Layer], list[dict[str, Any]]] = {
    Dense: [{"units": 7, "activation": "sigmoid"}],
    BatchNormalization: [{}],
    PReLU: [{}],
    Dropout: [{"rate": 0.4, "seed": 3}],
    RepeatVector: [{"n": 3}],
    Reshape: [{"target_shape": (2, 3, 2)}],
    Flatten: [{}],
    Normalization: [{}],
    Softmax: [{}],
}
# Called on several tensors: by what a second and third input of an image are made of it.
MERGES: dict[type[Layer], list[dict[str, Any]]] = {
    Add: [{}],
    Subtract: [{}],
    Multiply: [{}],
    Divide: [{}],
    Average: [{}],
    Maximum: [{}],
    Minimum: [{}],
    Concatenate: [{}],
}

# Layers that run in Python, and why.
WITHOUT_LOWER = {
    "ActivityRegularization": "it penalizes its outputs",
    "AdaptiveAveragePooling1D": "bins of unequal size",
    "AdaptiveAveragePooling2D": "bins of unequal size",
    "AdaptiveMaxPooling1D": "bins of unequal size",
    "AdaptiveMaxPooling2D": "bins of unequal size",
    "CenterCrop": "it may have to resize",
    "Dot": "a product of two tensors",
    "GroupNormalization": "sums over a group of channels",
    "InputLayer": "it is where a graph begins",
    "Lambda": "its function is the user's",
    "LayerNormalization": "sums over an example",
    "Permute": "it moves axes",
    "Pipeline": "it is made of other layers",
    "RBF": "distances",
    "RMSNormalization": "sums over an example",
    "Resizing": "it resizes",
    "SpectralNormalization": "it wraps another layer",
    "UnitNormalization": "sums over an example",
}
# Layers that are nothing but the identity when they lower, outside training.
AT_REST = {
    "GaussianDropout", "GaussianNoise", "RandomBrightness", "RandomContrast", "RandomCrop", "RandomErasing",
    "RandomFlip", "RandomRotation", "RandomTranslation", "RandomZoom",
}  # fmt: skip


def registered() -> set[type[Layer]]:
    """Every layer that files know by name, of this package."""
    classes = {
        thing for thing in vars(layers).values() if isinstance(thing, type) and issubclass(thing, Layer)
    }
    return {cls for cls in classes | {Divide, WithNumber} if cls not in (Layer, layers.RandomLayer)}


def test_every_layer_is_here_or_has_a_reason_not_to_lower():
    tested = {*IMAGES, *SEQUENCES, *VECTORS, *MERGES}
    for cls in registered():
        name = cls.__name__
        if name in WITHOUT_LOWER:
            assert getattr(cls, "lower", None) is None, f"{name} lowers now: it belongs into a test"
        else:
            assert getattr(cls, "lower", None) is not None, (
                f"{name} has no lower: write one, or the reason here"
            )
            assert cls in tested or name in AT_REST, (
                f"{name} lowers, and no test here holds it against its call"
            )


# ---- networks


def cases() -> list[Any]:
    listed = []
    for shape, table in ((IMAGE, IMAGES), (SEQUENCE, SEQUENCES), (VECTOR, VECTORS)):
        for cls, options in table.items():
            for number, given in enumerate(options):
                words = "-".join(str(value) for value in given.values())
                listed.append(
                    pytest.param(shape, cls, given, id=f"{cls.__name__}{len(shape)}-{number}-{words}")
                )
    return listed


def below(x: Any, shape: tuple[int, ...]) -> Any:
    """Something that learns, of the same shape."""
    if len(shape) == 3:
        return Conv2D(shape[-1], 3, padding="same", activation="tanh")(x)
    return Dense(shape[-1], activation="tanh")(x)


def head(y: Any) -> Any:
    return Dense(4)(Flatten()(y) if len(y.shape) > 2 else y)


def first(cls: type[Layer], given: dict[str, Any], shape: tuple[int, ...]) -> Model:
    x = Input(shape)
    return Model(x, head(cls(**given)(x)))


def middle(cls: type[Layer], given: dict[str, Any], shape: tuple[int, ...]) -> Model:
    x = Input(shape)
    return Model(x, head(cls(**given)(below(x, shape))))


def last(cls: type[Layer], given: dict[str, Any], shape: tuple[int, ...]) -> Model:
    x = Input(shape)
    return Model(x, cls(**given)(below(x, shape)))


def branch(cls: type[Layer], given: dict[str, Any], shape: tuple[int, ...]) -> Model:
    x = Input(shape)
    y = below(x, shape)
    z = cls(**given)(y)
    both = Add()([y, z]) if z.shape == y.shape else Concatenate()([head(y), head(z)])
    return Model(x, head(both))


PLACES = [first, middle, last, branch]


def filled(model: Model, seed: int = 1) -> Model:
    """With weights that are all different, moving statistics among them."""
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        scale = np.sqrt(2 / max(int(np.prod(weight.shape[:-1])), 1)) if weight.ndim > 1 else 0.5
        value = rng.normal(0, min(scale, 0.5), weight.shape)
        if "variance" in weight.name:
            value = 0.5 + np.abs(value)
        weight.value = value
    return model


def batch(model: Model, images: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(2)

    def numbers(shape: Any) -> np.ndarray:
        return rng.normal(size=(images, *shape[1:])).astype(np.float32)

    xs = [numbers(tensor.shape) for tensor in model.inputs]
    ys = [numbers(tensor.shape) for tensor in model.outputs]
    return (xs[0] if len(xs) == 1 else xs), (ys[0] if len(ys) == 1 else ys)


class Result:
    """All that a training step computes, and what the model predicts after it."""

    def __init__(self, model: Model, executor: Any, x: Any, y: Any, sample_weight: Any = None) -> None:
        model._executor = executor
        for parameter in model.parameters:
            parameter.grad = np.full(parameter.shape, 7.0)  # a gradient that is left out would show
        inputs = model._checked(x)
        objective = model._ready("test").objective
        arranged = model._arranged(inputs, y, sample_weight)
        from fastconv.models.batches import Batch

        predicted = executor.infer(model, inputs)
        outputs, value = executor.loss_and_gradients(model, objective, Batch(*arranged))
        as_list = fastconv.graph.structure.leaves
        self.numbers = {
            **{f"prediction {i}": array for i, array in enumerate(as_list(predicted))},
            **{f"output {i}": array for i, array in enumerate(as_list(outputs))},
            "loss": np.asarray(value.total),
            **{f"loss {i}": np.asarray(loss) for i, loss in enumerate(value.each)},
            **{f"gradient of {i}: {p.path}": p.grad.copy() for i, p in enumerate(model.parameters)},
            **{f"weight {i}: {p.path}": p.numpy() for i, p in enumerate(model.weights)},
        }


def assert_close(found: Result, expected: Result, factor: float = 1.0) -> None:
    """Sums of at most 2,000 terms in another order, through a few layers: √n ε, with room to spare."""
    tolerance = 8 * np.sqrt(2000) * np.finfo(np.float32).eps * factor
    assert found.numbers.keys() == expected.numbers.keys()
    for name, array in expected.numbers.items():
        scale = max(1.0, float(np.abs(array).max(initial=0)))
        np.testing.assert_allclose(found.numbers[name], array, rtol=0, atol=tolerance * scale, err_msg=name)


def compiled(model: Model, loss: Any = "mse", **options: Any) -> Model:
    model.compile("sgd", loss, **options)
    return model


def hold_against_layers(model: Model, images: int = 5, sample_weight: Any = None, **kept: Any) -> Programmed:
    """The program of a copy computes what the layers of the model compute one by one."""
    x, y = batch(model, images)
    x, y = kept.get("x", x), kept.get("y", y)
    programmed = Programmed()
    with np.errstate(all="ignore"):
        ours = copy.deepcopy(model)
        found = Result(ours, programmed, x, y, sample_weight)
        expected = Result(copy.deepcopy(model), LayerByLayer(), x, y, sample_weight)
    assert_close(found, expected)
    programmed.model = ours
    return programmed


def programs(executor: Programmed) -> list[Any]:
    return [found.program for found in executor._programs._found.values()]


def assert_all_in_c(executor: Programmed) -> None:
    for program in programs(executor):
        assert program is not None
        assert not program.in_python, program.rows(1)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(("shape", "cls", "given"), cases())
def test_layers(shape, cls, given, place):
    model = compiled(filled(place(cls, given, shape)))
    assert_all_in_c(hold_against_layers(model))
