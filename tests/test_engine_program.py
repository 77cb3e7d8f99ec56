"""Programs compute what the layers compute one by one, and what the reference computes: by enumeration.

Every registered layer stands here, with its options, or in ``WITHOUT_LOWER`` with the reason.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
from own_layers import Shifted

import fastconv
import fastconv.graph.structure
from fastconv import activations, layers, losses
from fastconv.engine.explaining import Explanation
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
    Maximum,
    MaxPooling1D,
    MaxPooling2D,
    Minimum,
    Multiply,
    Normalization,
    PReLU,
    RandomFlip,
    ReLU,
    RepeatVector,
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
        {"kernel_size": (3, 2), "strides": (2, 1), "padding": "same", "depth_multiplier": 2},
        {"kernel_size": 3, "dilation_rate": 2, "use_bias": False, "activation": "silu"},
    ],
    SeparableConv2D: [
        {"filters": 5, "kernel_size": 3},
        {"filters": 4, "kernel_size": 3, "strides": 2, "activation": "relu", "depth_multiplier": 2},
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
    Dropout: [
        {"rate": 0.4, "seed": 3},
        {"rate": 0.3, "seed": 4, "noise_shape": (None, 1, 1, 6)},
        {"rate": 0.0},
    ],
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
        assert not program.in_python, program.why


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(("shape", "cls", "given"), cases())
def test_layers(shape, cls, given, place):
    model = compiled(filled(place(cls, given, shape)))
    assert_all_in_c(hold_against_layers(model))


@pytest.mark.parametrize("cls", MERGES)
@pytest.mark.parametrize("shapes", ["alike", "a channel each", "a sequence and an image", "three"])
def test_merges(cls, shapes):
    x = Input(IMAGE)
    a = Conv2D(6, 3, padding="same")(x)
    b = Conv2D(6, 1, activation="tanh")(x)
    if cls is Divide:  # by nothing near 0
        a, b = Activation("softplus")(a), Activation("exponential")(b)
    inputs = [a, b]
    if shapes == "a channel each":
        inputs = [GlobalAveragePooling2D(keepdims=cls is not Add)(b), a]
        if cls is Concatenate:
            inputs = [a, Conv2D(3, 1)(x)]
    elif shapes == "a sequence and an image" and cls is not Concatenate:
        inputs = [a, GlobalMaxPooling1D(keepdims=True)(Reshape((8, 42))(b))]
        inputs[1] = Dense(6)(Reshape((7, 6))(inputs[1]))
    elif shapes == "three":
        inputs = [a, b, *([] if cls in (Subtract, Divide) else [x])]
    assert_all_in_c(hold_against_layers(compiled(filled(Model(x, cls()(inputs))))))


def test_concatenate_of_many_and_of_sequences():
    x = Input(SEQUENCE)
    many = [Dense(n % 3 + 1, activation="tanh")(x) for n in range(19)]
    assert_all_in_c(hold_against_layers(compiled(filled(Model(x, Concatenate()(many))))))


def test_arithmetic_on_tensors():
    x = Input(IMAGE)
    y = below(x, IMAGE)
    model = Model(x, 0.5 * (1 - y) * y - x / 3 + (-y + 2))
    assert_all_in_c(hold_against_layers(compiled(filled(model))))


# ---- losses

LOSSES: dict[str, tuple[Any, str | None, str]] = {
    "sparse, softmax": (losses.SparseCategoricalCrossentropy(), "softmax", "labels"),
    "sparse, logits": (losses.SparseCategoricalCrossentropy(from_logits=True), None, "labels"),
    "sparse, probabilities from elsewhere": (losses.SparseCategoricalCrossentropy(), "sigmoid", "labels"),
    "categorical, softmax": (losses.CategoricalCrossentropy(label_smoothing=0.1), "softmax", "rows"),
    "categorical, logits, sum": (losses.CategoricalCrossentropy(True, reduction="sum"), None, "rows"),
    "binary, sigmoid": (losses.BinaryCrossentropy(), "sigmoid", "rows"),
    "binary, logits": (losses.BinaryCrossentropy(from_logits=True, label_smoothing=0.2), None, "rows"),
    "mse": (losses.MeanSquaredError(), "relu", "numbers"),
    "mse, sum": (losses.MeanSquaredError(reduction="sum"), None, "numbers"),
    "mae": (losses.MeanAbsoluteError(), "tanh", "numbers"),
    "huber": (losses.Huber(0.3), None, "numbers"),
    "python: hinge": (losses.Hinge(), None, "numbers"),
    "python: focal, softmax": (losses.CategoricalFocalCrossentropy(), "softmax", "rows"),
    "python: focal, sigmoid": (losses.BinaryFocalCrossentropy(), "sigmoid", "rows"),
}


def targets(kind: str, shape: tuple[int, ...]) -> np.ndarray:
    rng = np.random.default_rng(4)
    if kind == "labels":
        return rng.integers(0, shape[-1], shape[:-1])
    if kind == "rows":
        rows = rng.uniform(0.05, 1, shape)
        return (rows / rows.sum(-1, keepdims=True)).astype(np.float32)
    return rng.normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize("map_of", [False, True], ids=["a vector", "a map"])
@pytest.mark.parametrize("name", LOSSES)
def test_losses(name, map_of, weighted):
    loss, activation, kind = LOSSES[name]
    x = Input(IMAGE)
    y = below(x, IMAGE)
    top = Conv2D(5, 3, activation=activation) if map_of else Dense(5, activation=activation)
    model = compiled(filled(Model(x, top(y if map_of else Flatten()(y)))), loss, loss_weights=[0.7])
    y_true = targets(kind, (6, *model.output_shape[1:]))
    weights = np.random.default_rng(5).uniform(0, 2, 6) if weighted else None
    executor = hold_against_layers(model, 6, weights, y=y_true)
    assert_all_in_c(executor)
    program = programs(executor)[-1]
    assert program.training
    assert program.heads is not None


def test_weights_of_each_pixel_are_for_python():
    x = Input(IMAGE)
    model = compiled(
        filled(Model(x, Conv2D(5, 3, activation="softmax")(x))), "sparse_categorical_crossentropy"
    )
    shape = (6, *model.output_shape[1:-1])
    weights = np.random.default_rng(5).uniform(0, 2, shape)
    hold_against_layers(model, 6, weights, y=targets("labels", (*shape, 5)))


@pytest.mark.parametrize("layer", [True, False], ids=["a layer", "an argument"])
def test_hopeless_samples(layer):
    """Probabilities that are 0 or 1 to the last bit: clipped in the loss, with gradients at full strength."""
    x = Input((6,))
    dense = Dense(3, use_bias=False, activation=None if layer else "softmax")
    y = dense(x)
    model = compiled(Model(x, Softmax()(y) if layer else y), "sparse_categorical_crossentropy")
    dense.kernel.value = np.random.default_rng(1).normal(0, 100, (6, 3))
    hold_against_layers(model, 8, y=np.arange(8) % 3)


def test_one_activation_that_others_read_too():
    x = Input(VECTOR)
    p = Dense(4, activation="softmax")(x)
    model = compiled(
        filled(Model(x, [p, Dense(2)(p)])),
        ["sparse_categorical_crossentropy", "mse"],
        loss_weights=[0.5, 2.0],
    )
    y = [np.arange(5) % 4, targets("numbers", (5, 2))]
    assert_all_in_c(hold_against_layers(model, y=y))


# ---- passes over the table of operations


def test_two_activations_and_their_arguments():
    x = Input(IMAGE)
    y = Conv2D(6, 3, activation="tanh")(x)
    y = LeakyReLU(0.05)(ReLU()(y))  # the first ends in one already; the second follows another
    y = ELU(0.3)(Conv2D(5, 3)(y))
    assert_all_in_c(hold_against_layers(compiled(filled(Model(x, head(y))))))


def test_convolutions_that_cover_the_image_or_nearly():
    """Dense layers in the table, where the kernel is the image, pixel for pixel."""
    x = Input(IMAGE)
    options: list[dict[str, Any]] = [
        {"kernel_size": (8, 7)},
        {"kernel_size": (8, 7), "groups": 3},
        {"kernel_size": (8, 7), "padding": ((7, 0), (6, 0)), "strides": (8, 7)},  # it sees one pixel
        {"kernel_size": (7, 7)},  # two places
        {"kernel_size": (4, 7), "strides": 2},  # (3, 1)
        {"kernel_size": (5, 4), "strides": (4, 4)},  # one place, a part of the image
        {"kernel_size": (4, 4), "dilation_rate": 2},
    ]
    for given in options:
        y = Conv2D(6, **given)(below(x, IMAGE))
        assert_all_in_c(hold_against_layers(compiled(filled(Model(x, head(y))))))


def test_what_is_asked_for_or_read_twice_is_not_fused():
    x = Input(IMAGE)
    y = Conv2D(6, 3)(x)
    z = ReLU()(y)  # y is an output
    w = Conv2D(6, 3)(x)
    v = Add()([w, ReLU()(w)])
    assert_all_in_c(hold_against_layers(compiled(filled(Model(x, [y, Conv2D(2, 1)(z), v])))))


def test_reshapes_of_reshapes():
    a, x = Input(VECTOR), Input((4, 6))
    y = Reshape((2, 12))(Reshape((8, 3))(Dense(6, activation="tanh")(x)))
    y = Multiply()([Dense(12)(y), Reshape((1, 12))(Reshape((3, 4))(Dense(12)(a)))])
    assert_all_in_c(hold_against_layers(compiled(filled(Model([a, x], head(y))))))


def test_a_batch_normalization_moves_and_is_not_read():
    x = Input(IMAGE)
    inner = Model(x, [Conv2D(5, 3)(x), BatchNormalization(momentum=0.5)(Conv2D(4, 3)(x))])
    y, _ = inner(x)  # the second output leads nowhere
    assert_all_in_c(hold_against_layers(compiled(filled(Model(x, head(y))))))


def test_a_tensor_read_twice_by_layers_of_ones_own():
    """In two shapes that are the same numbers in C."""
    x = Input(VECTOR)
    y = Dense(12, activation="tanh")(x)
    pixel = Shifted()(Reshape((1, 1, 12))(y))
    z = Add()([Flatten()(pixel), Shifted()(y), Shifted()(y)])
    hold_against_layers(compiled(filled(Model(x, head(z)))))


def test_a_tensor_of_a_layer_of_ones_own_that_is_an_output_and_read():
    x = Input(VECTOR)
    y = Shifted()(Dense(12, activation="tanh")(x))
    hold_against_layers(compiled(filled(Model(x, [Reshape((1, 1, 12))(y), Dense(5)(y)]))))


# ---- networks of several parts


def test_several_inputs_and_outputs():
    a, b = Input(IMAGE), Input(VECTOR)
    y = Conv2D(6, 3, padding="same", activation="relu")(a)
    z = Dense(6, activation="tanh")(b)
    both = Multiply()([y, Reshape((1, 1, 6))(z)])
    outputs = [GlobalAveragePooling2D()(both), z, Conv2D(2, 1)(y)]
    assert_all_in_c(hold_against_layers(compiled(filled(Model([a, b], outputs)), ["mse", None, "mae"])))


def test_shared_layers_add_up():
    x = Input(IMAGE)
    shared, dense = Conv2D(6, 3, padding="same", activation="tanh"), Dense(3)
    y = shared(shared(x))
    z = shared(y)
    model = Model(x, Add()([dense(GlobalMaxPooling2D()(z)), dense(GlobalAveragePooling2D()(x))]))
    assert_all_in_c(hold_against_layers(compiled(filled(model))))


def test_shared_batch_normalization_moves_twice():
    x = Input(IMAGE)
    shared = BatchNormalization(momentum=0.8)
    assert_all_in_c(hold_against_layers(compiled(filled(Model(x, shared(shared(below(x, IMAGE))))))))


def test_frozen_layers_and_models():
    x = Input(IMAGE)
    inner = Sequential([Conv2D(6, 3, activation="relu"), BatchNormalization()])
    inner.build((None, *IMAGE))
    inner.trainable = False
    y = BatchNormalization()(inner(Conv2D(6, 3, padding="same")(x)))
    frozen = Conv2D(4, 3, trainable=False)
    model = compiled(filled(Model(x, Dense(3)(Flatten()(frozen(y))))))
    executor = hold_against_layers(model)
    assert_all_in_c(executor)
    model = executor.model
    model.get_layer(frozen.name).trainable = True
    hold_against_layers(model)
    frozen.bias.trainable = False  # a weight by itself
    hold_against_layers(model)


def test_nothing_goes_back_below_what_learns():
    x = Input(IMAGE)
    model = compiled(filled(Model(x, Dense(3)(Dropout(0.2, seed=1)(Flatten()(below(x, IMAGE)))))))
    model.layers[1].trainable = False
    executor, (xs, ys) = Programmed(), batch(model, 5)
    Result(model, executor, xs, ys)
    compiled_part = programs(executor)[-1].schedule.calls[0].layer
    gradients = [array for op in compiled_part.ops for array in op.get("gradients", ()) if array is not None]
    assert [array.shape for array in gradients] == [(336, 3), (3,)]
    described, _ = compiled_part.in_c.describe(5, True)
    assert described[0]["back_stage"] == -1  # of the convolution


def test_a_weight_by_itself_is_frozen_and_noticed():
    model = compiled(filled(middle(Dense, {"units": 5}, VECTOR)))
    (x, y), executor = batch(model, 4), Programmed()
    Result(model, executor, x, y)
    for layer, trainable in ((model.layers[1], False), (model.layers[2], False), (model.layers[1], True)):
        layer.kernel.trainable = trainable
        assert_close(Result(model, executor, x, y), Result(copy.deepcopy(model), LayerByLayer(), x, y))


def test_inputs_of_different_lengths():
    a, b = Input(VECTOR), Input(VECTOR)
    model = compiled(filled(Model([a, b], Add()([Dense(3)(a), Dense(3)(b)]))))
    x, _ = batch(model, 4)
    with pytest.raises(ValueError, match="4 and 3 examples"):
        Programmed().infer(model, [x[0], x[1][:3]])


def test_each_instruction_set_has_its_own_way():
    x = Input(IMAGE)
    model = compiled(filled(Model(x, head(Conv2D(5, 3, activation="relu")(below(x, IMAGE))))))
    (xs, _), executor = batch(model, 9), Programmed()
    expected = model.forward(xs)
    for isa in (*fastconv.available_isas(), *fastconv.available_isas()):
        with fastconv.set_isa(isa):
            np.testing.assert_allclose(executor.infer(model, xs), expected, atol=1e-5)


def test_call_with_its_own_training():
    x = Input(IMAGE)
    norm, drop = BatchNormalization(), Dropout(0.5, seed=1)
    y = norm(below(x, IMAGE), training=False)
    model = Model(x, drop(norm(y, training=True), training=True))
    assert_all_in_c(hold_against_layers(compiled(filled(model))))


def test_regularizers_of_weights_and_outputs():
    x = Input(IMAGE)
    y = Conv2D(6, 3, kernel_regularizer="l2", activity_regularizer="l2", activation="tanh")(below(x, IMAGE))
    y = ActivityRegularization(l1=0.1)(Conv2D(4, 3)(y))
    executor = hold_against_layers(compiled(filled(Model(x, Flatten()(y)))))
    assert {layer.name.partition("_")[0] for layer in programs(executor)[-1].in_python} >= {
        "conv2d",
        "activity",
    }


class Halved(Dense):
    """A user's subclass that computes something else."""

    def call(self, x: Any, training: bool = False) -> Any:
        return super().call(x * np.float32(0.5), training)

    def backward_from_logits(self, dz: Any, input_gradient: bool = True) -> Any:
        dx = super().backward_from_logits(dz, input_gradient)
        return None if dx is None else dx * np.float32(0.5)


class Renamed(Conv2D):
    """A user's subclass that computes the same."""

    def __init__(self, filters: int, **options: Any) -> None:
        super().__init__(filters, 3, padding="same", **options)


def test_layers_of_ones_own_cut_the_program():
    x = Input(IMAGE)
    shared = Shifted()
    y = shared(below(x, IMAGE))
    y = Renamed(6, activation="relu")(y)
    y = Add()([shared(y), y])
    y = Halved(5, activation="tanh")(Flatten()(y))
    model = compiled(filled(Model(x, Dense(3, activation="softmax")(y))), "sparse_categorical_crossentropy")
    executor = hold_against_layers(model, y=np.arange(5) % 3)
    in_python = [type(layer) for layer in programs(executor)[-1].in_python]
    assert in_python == [Shifted, Shifted, Halved]


def test_a_layer_of_ones_own_at_the_top_that_ends_in_softmax():
    x = Input(VECTOR)
    model = compiled(filled(Model(x, Halved(3, activation="softmax")(Dense(9, activation="relu")(x)))), "mse")
    hold_against_layers(model)
    for activation in ("softmax", None):  # a softmax behind a layer in Python, and one of its own
        y = Halved(3, activation=activation)(Dense(9, activation="relu")(x))
        model = Model(x, y if activation else Softmax()(y))
        compiled(filled(model), "sparse_categorical_crossentropy")
        hold_against_layers(model, y=np.arange(5) % 3)


def test_several_results_and_nested_arguments():
    class Split(Layer):
        takes_several = True

        def compute_output_shape(self, input_shape: Any) -> Any:
            return [(*input_shape[:-1], 2), (*input_shape[:-1], input_shape[-1] - 2)]

        def call(self, x: Any, training: bool = False) -> Any:
            self.remember(x.shape)
            return [x[..., :2], x[..., 2:]]

        def backward(self, dy: Any, input_gradient: bool = True) -> Any:
            return np.concatenate(dy, axis=-1) if input_gradient else None

    x = Input(IMAGE)
    a, b = Split()(below(x, IMAGE))
    model = compiled(filled(Model(x, [Conv2D(3, 2)(a), Concatenate()([b, a])])))
    hold_against_layers(model)
    hold_against_layers(compiled(filled(Model(x, Conv2D(3, 2)(a)))))  # b leads nowhere


def test_methods_assigned_to_a_layer():
    model = compiled(filled(middle(Conv2D, {"filters": 6, "kernel_size": 3}, IMAGE)))
    layer = model.layers[2]
    assert why_not(layer) is None
    executor, (x, _) = Programmed(), batch(model, 4)
    before = executor.infer(model, x)
    original = layer.call
    layer.call = lambda x, training=False: -original(x, training)
    assert why_not(layer) == "the layer has a call of its own"
    np.testing.assert_allclose(executor.infer(model, x), model.forward(x), atol=1e-5)
    assert np.abs(executor.infer(model, x) - before).max() > 1e-2
    layer.activation = "relu"
    del layer.call
    np.testing.assert_allclose(executor.infer(model, x), model.forward(x), atol=1e-5)


@pytest.mark.parametrize("change", ["activation", "trainable", "momentum", "rate", "alpha", "loss"])
def test_changes_are_noticed(change):
    x = Input(IMAGE)
    conv, norm, drop, relu = Conv2D(6, 3), BatchNormalization(), Dropout(0.2, seed=1), LeakyReLU(0.2)
    model = compiled(filled(Model(x, Dense(3)(Flatten()(drop(relu(norm(conv(x)))))))))
    xs, ys = batch(model, 5)
    executor = Programmed()
    Result(model, executor, xs, ys)
    if change == "activation":
        conv.activation = "tanh"
    elif change == "trainable":
        conv.trainable = norm.trainable = False
    elif change == "momentum":
        norm.momentum = 0.5
    elif change == "rate":
        drop.rate = 0.7
    elif change == "alpha":
        relu.negative_slope = 0.7
    else:
        model.compile("sgd", "mae")
    copied = copy.deepcopy(model)
    assert_close(Result(model, executor, xs, ys), Result(copied, LayerByLayer(), xs, ys))


def test_a_program_is_kept_while_nothing_changes_that_it_depends_on():
    model = compiled(filled(middle(Conv2D, {"filters": 6, "kernel_size": 3}, IMAGE)))
    executor, (x, _) = Programmed(), batch(model, 4)
    executor.infer(model, x)
    (program,) = programs(executor)
    executor.infer(model, x)
    assert programs(executor) == [program]
    model.layers[1].name = "another"
    executor.infer(model, x)
    (again,) = programs(executor)
    assert again is not program
    assert again.schedule.calls[0].layer is program.schedule.calls[0].layer  # what is in C stays


def test_sizes_left_open():
    x = Input((None, None, 3))
    y = MaxPooling2D(2)(Conv2D(5, 3, padding="same", activation="relu")(x))
    y = UpSampling2D()(Shifted()(y))
    model = compiled(filled(Model(x, GlobalAveragePooling2D()(Conv2D(4, 3)(y)))))
    rng, executor = np.random.default_rng(1), Programmed()
    for size in ((8, 12), (14, 6), (8, 12)):
        xs, ys = rng.normal(size=(3, *size, 3)).astype(np.float32), rng.normal(size=(3, 4)).astype(np.float32)
        copied = copy.deepcopy(model)
        assert_close(Result(model, executor, xs, ys), Result(copied, LayerByLayer(), xs, ys))
    assert len(executor._programs._found) == 4


def test_models_composed_in_call():
    class Block(Layer):
        def __init__(self, filters: int, **options: Any) -> None:
            super().__init__(**options)
            self.conv = Conv2D(filters, 3, padding="same", activation="relu")
            self.norm, self.drop = BatchNormalization(), Dropout(0.3, seed=2)

        def call(self, x: Any, training: bool = False) -> Any:
            return self.drop(self.norm(self.conv(x)) + x)

    class Net(Model):
        def __init__(self) -> None:
            super().__init__()
            self.block, self.top = Block(6), Dense(3)

        def call(self, x: Any, training: bool = False) -> Any:
            y = self.block(x)
            return self.top(GlobalAveragePooling2D()(y if training else 2 * y))

    model = Net()
    model.build((None, *IMAGE))
    compiled(filled(model))
    x = np.random.default_rng(1).normal(size=(4, *IMAGE)).astype(np.float32)
    y = np.random.default_rng(2).normal(size=(4, 3)).astype(np.float32)
    a, b = copy.deepcopy(model), copy.deepcopy(model)
    executor = Programmed()
    assert_close(Result(a, executor, x, y), Result(b, LayerByLayer(), x, y))
    assert_all_in_c(executor)


def test_dropout_outside_training():
    from fastconv.layers.random_layer import always_random

    model = compiled(filled(middle(Dropout, {"rate": 0.5, "seed": 3}, IMAGE)))
    copied, (x, _) = copy.deepcopy(model), batch(model, 4)
    executor = Programmed()
    at_rest = executor.infer(model, x)
    with always_random([model.layers[2]]):
        drawn = [executor.infer(model, x) for _ in range(2)]
    with always_random([copied.layers[2]]):
        expected = [copied.forward(x) for _ in range(2)]
    np.testing.assert_allclose(drawn, expected, atol=1e-5)
    assert np.abs(drawn[0] - drawn[1]).max() > 1e-3
    np.testing.assert_array_equal(executor.infer(model, x), at_rest)


def test_normalization_of_a_constant_channel():
    x, norm = Input(VECTOR), Normalization()
    model = compiled(filled(Model(x, norm(x))))
    norm.adapt_variance.value[3] = 0
    executor, (xs, _) = Programmed(), batch(model, 9)
    np.testing.assert_allclose(executor.infer(model, xs), model.forward(xs), rtol=1e-5, atol=1e-5)
    assert_all_in_c(executor)


def test_random_layers_at_rest_are_nothing():
    x = Input(IMAGE)
    model = compiled(filled(Model(x, head(GaussianNoise(0.1)(RandomFlip()(below(x, IMAGE)))))))
    executor, (xs, _) = Programmed(), batch(model, 3)
    np.testing.assert_allclose(executor.infer(model, xs), model.forward(xs), atol=1e-5)
    assert_all_in_c(executor)


# ---- networks drawn at random


ANYWHERE: list[Any] = [
    lambda rng: Conv2D(
        int(rng.integers(1, 12)), int(rng.choice([1, 2, 3])), padding="same", activation="relu"
    ),
    lambda rng: Conv2D(int(rng.integers(1, 40)), 3, int(rng.integers(1, 3)), "same", use_bias=False),
    lambda rng: DepthwiseConv2D(
        3, padding="same", depth_multiplier=int(rng.integers(1, 3)), activation="elu"
    ),
    lambda rng: SeparableConv2D(int(rng.integers(1, 9)), 2, activation="tanh", padding="same"),
    lambda rng: Conv2DTranspose(int(rng.integers(1, 9)), 2, padding="same", activation="sigmoid"),
    lambda rng: BatchNormalization(),
    lambda rng: Activation(str(rng.choice(["relu", "gelu", "softmax", "tanh"]))),
    lambda rng: PReLU(shared_axes=[1, 2] if rng.random() < 0.5 else None),
    lambda rng: MaxPooling2D(2, int(rng.integers(1, 3)), "same"),
    lambda rng: AveragePooling2D(3, 1, "same"),
    lambda rng: Dropout(0.3, seed=int(rng.integers(9))),
    lambda rng: SpatialDropout2D(0.3, seed=int(rng.integers(9))),
    lambda rng: UpSampling2D((1, 2)),
    lambda rng: ZeroPadding2D(((0, 1), (1, 0))),
    lambda rng: Rescaling(0.5, -0.25),
    lambda rng: Dense(int(rng.integers(1, 9)), activation="relu"),
]
HEADS: list[Any] = [
    lambda y: Flatten()(y),
    lambda y: GlobalAveragePooling2D()(y),
    lambda y: Dense(9, activation="relu")(GlobalMaxPooling2D()(y)),
    lambda y: BatchNormalization()(Dense(7)(Flatten()(y))),
]


def random_graph(rng: np.random.Generator) -> Model:
    """Layers on any of the tensors before them; some are called twice, some tensors are merged."""
    x = Input((int(rng.integers(4, 9)), int(rng.integers(4, 9)), int(rng.integers(1, 7))))
    tensors = [x]
    for _ in range(rng.integers(2, 8)):
        y = tensors[-1] if rng.random() < 0.7 else tensors[rng.integers(len(tensors))]
        layer = ANYWHERE[rng.integers(len(ANYWHERE))](rng)
        z = layer(y)
        if rng.random() < 0.2 and z.shape == y.shape:
            z = layer(z)
        alike = [t for t in tensors if t.shape == z.shape]
        level = [t for t in tensors if t.shape[:-1] == z.shape[:-1]]
        if alike and rng.random() < 0.4:
            z = (Add, Multiply, Maximum, Subtract)[rng.integers(4)]()([z, alike[rng.integers(len(alike))]])
        elif level and rng.random() < 0.3:
            z = Concatenate()([level[rng.integers(len(level))], z])
        tensors.append(z)
    y = HEADS[rng.integers(len(HEADS))](tensors[-1])
    return Model(x, Dense(4, activation="softmax")(y))


@pytest.mark.parametrize("seed", range(40))
def test_random_networks_in_any_ways(seed, monkeypatch):
    """Each operation runs in a way drawn at random, where it takes the operation."""
    rng = np.random.default_rng(seed)
    model = compiled(filled(random_graph(rng)), "sparse_categorical_crossentropy")
    images = int(rng.choice([2, 7, 9, 16, 19]))
    original = fastconv._kernels.Program

    def forced(ops: Any, *table: Any) -> Any:
        ways = [None if rng.random() < 0.1 else str(rng.choice(["lanes", "pixels", "whole"])) for _ in ops]
        return original(ops, *table, ways)

    monkeypatch.setattr(fastconv._kernels, "Program", forced)
    assert_all_in_c(hold_against_layers(model, images, y=np.arange(images) % 4))


# ---- programs and the world around them


@pytest.mark.parametrize("images", [1, 2, 7, 16, 33])
def test_batches_of_all_sizes(images):
    x = Input(IMAGE)
    y = MaxPooling2D(2)(Activation("relu")(BatchNormalization()(Conv2D(9, 3, padding="same")(x))))
    y = Dropout(0.3, seed=1)(y)
    y = Dense(4, activation="softmax")(Flatten()(Conv2D(17, 3)(y)))
    model = compiled(filled(Model(x, y)), "sparse_categorical_crossentropy")
    assert_all_in_c(hold_against_layers(model, images, y=np.arange(images) % 4))


@pytest.mark.parametrize("images", [3, 8, 20, 37])
def test_batch_normalization_of_vectors(images):
    x = Input((6, 6, 2))
    y = ReLU()(BatchNormalization(momentum=0.5)(Conv2D(4, 3, use_bias=False)(x)))
    y = BatchNormalization(center=False)(Dense(5)(Flatten()(y)))
    model = compiled(filled(Model(x, Dense(3, activation="softmax")(y))), "sparse_categorical_crossentropy")
    hold_against_layers(model, images, y=np.arange(images) % 3)


def test_no_program_on_the_reference_for_empty_batches_and_where_the_model_says_no():
    model = compiled(filled(middle(Conv2D, {"filters": 6, "kernel_size": 3}, (5, 5, 6))))
    executor, (x, _) = Programmed(), batch(model, 2)
    with fastconv.set_backend("reference"):
        assert executor.infer(model, x).dtype == np.float64
    assert executor.infer(model, x[:0]).shape == (0, 4)
    model.jit_compile = False
    executor.infer(model, x)
    assert programs(executor) == []
    for value in (True, "auto"):
        model.jit_compile = value
        executor.infer(model, x)
        assert len(programs(executor)) == 1


def test_reference():
    """Programs against the formulas in double precision."""
    x = Input((6, 5, 3))
    y = Conv2D(5, 3, padding="same", activation="elu")(x)
    y = Add()([BatchNormalization()(y), DepthwiseConv2D(3, padding="same")(y)])
    y = Conv2DTranspose(4, 3, strides=2)(MaxPooling2D(2)(y))
    y = Dense(4, activation="softmax")(Flatten()(PReLU()(y)))
    model = compiled(filled(Model(x, y)), "sparse_categorical_crossentropy")
    xs, ys = batch(model, 3)[0], np.arange(3)
    a, b = copy.deepcopy(model), copy.deepcopy(model)
    found = Result(a, Programmed(), xs, ys)
    with fastconv.set_backend("reference"):
        assert_close(found, Result(b, LayerByLayer(), xs, ys))


def test_bits_do_not_depend_on_the_number_of_threads():
    x = Input((20, 20, 3))
    y = MaxPooling2D(2)(Conv2D(8, 5, activation="relu")(x))
    y = Conv2D(24, 3, padding="same", activation="relu")(BatchNormalization()(y))
    y = Shifted()(Dropout(0.2, seed=1)(y))
    model = compiled(
        filled(Model(x, Dense(5, activation="softmax")(Flatten()(y)))), "sparse_categorical_crossentropy"
    )
    xs = batch(model, 37)[0]
    results = []
    for threads in (1, 2, 3):
        with fastconv.set_num_threads(threads):
            results.append(Result(copy.deepcopy(model), Programmed(), xs, np.arange(37) % 5).numbers)
    for other in results[1:]:
        for name, array in results[0].items():
            np.testing.assert_array_equal(other[name], array, err_msg=name)


def test_copies_and_files_do_not_share_programs():
    import pickle

    model = compiled(filled(middle(Conv2D, {"filters": 6, "kernel_size": 3}, IMAGE)))
    x, _ = batch(model, 3)
    model._executor = Programmed()
    expected = model.predict(x, verbose=0)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert programs(other._executor) == []
        np.testing.assert_array_equal(other.predict(x, verbose=0), expected)
        for weight in other.weights:
            weight.value = np.zeros(weight.shape)
        assert not np.array_equal(other.predict(x, verbose=0), expected)
        np.testing.assert_array_equal(model.predict(x, verbose=0), expected)


def test_a_failed_step_leaves_nothing_moved():
    x = Input(IMAGE)
    model = compiled(filled(Model(x, head(Dropout(0.5)(BatchNormalization()(below(x, IMAGE)))))))
    model._executor = Programmed()
    xs, ys = batch(model, 4)
    model.train_on_batch(xs, ys)
    weights, states = model.get_weights(), model.random_state()

    def fails(parameters: Any) -> None:
        raise RuntimeError("no step")

    model.optimizer.step = fails
    with pytest.raises(RuntimeError, match="no step"):
        model.train_on_batch(xs, ys)
    for before, after in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
    assert states == model.random_state()


def test_training_reaches_what_it_reaches_layer_by_layer():
    x = Input(IMAGE)
    y = Dropout(0.3, seed=5)(Conv2D(8, 3, activation="relu", kernel_regularizer="l2")(x))
    y = Dense(3, activation="softmax")(Flatten()(BatchNormalization()(y)))
    model = filled(Model(x, y))
    rng = np.random.default_rng(1)
    xs, ys = rng.normal(size=(40, *IMAGE)).astype(np.float32), rng.integers(0, 3, 40)
    histories = []
    for executor in (Programmed(), LayerByLayer()):
        copied = copy.deepcopy(model)
        copied.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        copied._executor = executor
        history = copied.fit(xs, ys, 8, 3, 0, validation_data=(xs, ys), shuffle=False, class_weight={0: 2.0})
        histories.append(history.history)
    for name, values in histories[1].items():
        np.testing.assert_allclose(histories[0][name], values, rtol=2e-3, err_msg=name)


def explained(model: Model, images: int = 9, training: bool = True, measured: bool = False) -> Explanation:
    xs, _ = batch(model, images)
    objective = model._compiled.objective
    inputs = xs if isinstance(xs, list) else [xs]
    return Programmed().explain(model, objective, inputs, training, measured)


def test_explain(capsys):
    x = Input(IMAGE)
    y = Shifted(name="mine")(Conv2D(6, 3, activation="relu", name="edges")(x))
    model = compiled(filled(Model(x, Dense(3)(Flatten()(y)))))
    model._executor = Programmed()
    model.explain()
    printed = capsys.readouterr().out
    for word in ("conv + relu", "edges", "mine", "Shifted has no lower", "dense", "fastest", "python"):
        assert word in printed
    assert "Measured" not in printed
    before = [*model.get_weights(), *(p.grad.copy() for p in model.parameters)]
    model.explain(20, training=True, measure=True)
    printed = capsys.readouterr().out
    for word in ("fastest", "1.1", "2.1", "Measured", "At best", "Shifted", "layers in Python: 1"):
        assert word in printed
    for one, other in zip(before, [*model.get_weights(), *(p.grad for p in model.parameters)], strict=True):
        np.testing.assert_array_equal(one, other)


def test_explained_stages_algorithms_and_bytes():
    x = Input((12, 12, 3))
    y = BatchNormalization()(Conv2D(6, 3, padding="same", use_bias=False)(x))
    y = Conv2D(40, 3, padding="same", algorithm="im2col")(Conv2D(40, 3, padding="same")(y))
    model = compiled(
        filled(Model(x, Dense(2, activation="softmax")(Flatten()(y)))), "categorical_crossentropy"
    )
    conv, norm = explained(model, 16, training=False).rows[:2]
    assert conv.stages == ("1",)
    assert conv.at_best[1] == 0
    assert norm.why == "folded into another"
    assert norm.stages == ()
    assert norm.at_best == (0, 0)
    training = explained(model, 16)
    conv, norm, wide, by_hand = training.rows[:4]
    assert conv.way == "lanes"
    assert conv.why == "fastest"
    assert conv.stages[0] == "1"
    assert norm.stages[0] == "2"
    assert int(norm.stages[1]) < int(conv.stages[1]) or norm.stages[1] == conv.stages[1]
    assert conv.bytes >= 4 * 16 * 12 * 12 * 6  # for the statistics of all images
    assert by_hand.way == "whole"
    assert by_hand.algorithms == ("im2col", "im2col", "im2col")
    assert wide.algorithms[0] in ("winograd", "direct")
    flops = 2 * 16 * 12 * 12 * 9 * 40 * 40
    assert by_hand.at_best[0] >= flops / training.flops
    assert by_hand.at_best[1] >= 2 * flops / training.flops
    assert training.footprint["batch"] >= conv.bytes
    assert training.rows[-1].operation == "softmax"
    assert len(training.rows[-1].stages) == 1  # the loss begins at its input


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("mine", [False, True])
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("end", ["softplus", "softmax"])
def test_measured_seconds_are_those_of_the_run(end, training, mine, threads):
    x = Input((24, 24, 8))
    y = Conv2D(8, 3)(x)
    y = BatchNormalization()(Conv2D(16, 5, activation="relu")(Shifted()(y) if mine else y))
    model = filled(Model(x, Dense(4, activation=end)(Flatten()(y))))
    compiled(model, "mse" if end == "softplus" else "categorical_crossentropy")
    with fastconv.set_num_threads(threads):
        found = explained(copy.deepcopy(model), 24, training, True)
    run, layouts, losses = found.measured
    each = [sum(row.measured) for row in found.rows]
    assert min(each) > 0
    assert (layouts > 0) == any(row.way == "lanes" for row in found.rows)  # the rest reads arrays as they are
    assert (losses > 0) == (training and not mine)  # else Python takes the loss
    assert sum(each) + layouts + losses <= 1.05 * run
    for row in found.rows:
        assert row.measured[0] > 0
        back = training if row.way == "python" else len(row.stages) == 2
        assert (row.measured[1] > 0) == back
    assert len(found.rows[0].stages) == 1 + training


def test_what_is_not_timed_has_no_seconds():
    program = one_program(compiled(filled(middle(Dense, {"units": 5}, VECTOR))))
    with pytest.raises(ValueError, match="not timed"):
        program.take_seconds()
    program.time(True)
    assert program.take_seconds() == [0.0] * (2 * program.op_count + 2)
    program.time(False)
    with pytest.raises(ValueError, match="at most 8 losses; got 9"):
        program.describe(4, True, [0] * 9)


def one_program(model: Model) -> Any:
    executor = Programmed()
    executor.infer(model, batch(model, 4)[0])
    return programs(executor)[0].schedule.calls[0].layer.in_c
