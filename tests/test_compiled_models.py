"""Programs of the engine compute what the layers compute one by one, whatever is done to a model."""

from __future__ import annotations

import copy
import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import fastconv
from fastconv import _kernels
from fastconv._core import versions
from fastconv.activations import ActivationFunction
from fastconv.engine.program import Compiled, Program
from fastconv.layers import (
    ELU,
    Activation,
    AveragePooling2D,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePooling2D,
    Input,
    LeakyReLU,
    MaxPooling2D,
    RandomFlip,
    RandomTranslation,
    ReLU,
    Rescaling,
    Softmax,
    SpatialDropout2D,
    ZeroPadding2D,
)
from fastconv.layers.random_layer import always_random
from fastconv.losses import (
    BinaryCrossentropy,
    BinaryFocalCrossentropy,
    CategoricalCrossentropy,
    CategoricalFocalCrossentropy,
    SparseCategoricalCrossentropy,
)
from fastconv.models import Sequential
from fastconv.models.batches import Batch
from fastconv.models.executor import fuses
from fastconv.models.objective import Objective
from fastconv.parameter import Parameter

CLASSES = 7

# What each network has to do with the edges: sizes that tiles do not divide, one channel and 17, borders of
# every kind, pooling that leaves rows over, all activations.
NETWORKS = {
    "one channel, same": [
        Input((9, 11, 1)),
        Conv2D(6, 5, padding="same", activation="relu"),
        MaxPooling2D(2),
    ],
    "17 channels, valid": [
        Input((7, 6, 17)),
        Conv2D(19, 3, activation="tanh"),
        Conv2D(5, (2, 3), activation="elu", use_bias=False),
    ],
    "average pooling, lopsided padding": [
        Input((10, 9, 3)),
        Conv2D(4, (4, 3), padding=((3, 0), (1, 2)), activation="sigmoid"),
        AveragePooling2D((3, 2)),
        Conv2D(3, 1, activation="leaky_relu"),
    ],
    "pooling first and twice": [Input((12, 12, 2)), AveragePooling2D(2), MaxPooling2D((2, 3)), Conv2D(1, 2)],
    "two dense layers, selu": [
        Input((5, 5, 2)),
        Conv2D(3, 3, padding="same", activation="selu"),
        Flatten(),
        Dense(21, activation="tanh"),
        Dense(33, activation="relu", use_bias=False),
    ],
    "fewer multiplications": [
        Input((11, 9, 6)),
        Conv2D(16, 5, padding="same", activation="relu"),
        Conv2D(19, 5, activation="relu"),
        Conv2D(18, 3, padding="same", activation="relu"),
        Conv2D(17, 3, padding="same"),
    ],
    "fewer multiplications, whole tiles": [
        Input((12, 8, 7)),
        Conv2D(12, 3, padding="same"),
        Conv2D(13, 3, padding="same"),
        Conv2D(14, 5, padding="same"),
    ],
    "fewer multiplications, lopsided padding": [
        Input((13, 10, 7)),
        Conv2D(12, 3, padding="same"),
        Conv2D(13, 3, padding=((2, 0), (0, 1)), activation="tanh"),
        Conv2D(12, 5, padding=((1, 3), (4, 0))),
        AveragePooling2D(3),
    ],
    "more tiles than are transformed at once": [
        Input((28, 45, 8)),
        Conv2D(10, 3, padding="same", activation="relu"),
        Conv2D(11, 3, activation="relu"),
        MaxPooling2D(5),
    ],
    "LeNet-5": [
        Input((28, 28, 1)),
        Conv2D(6, 5, padding="same", activation="relu"),
        AveragePooling2D(2),
        Conv2D(16, 5, activation="relu"),
        AveragePooling2D(2),
        Flatten(),
        Dense(23, activation="relu"),
    ],
    "nothing but dense": [Input((4, 3, 2)), Flatten(), Dense(5, activation="relu")],
    "activations as layers": [
        Input((8, 9, 3)),
        Conv2D(4, 3, padding="same"),
        ReLU(),
        Conv2D(5, 3),
        LeakyReLU(negative_slope=0.3),
        MaxPooling2D(2),
        Conv2D(6, 2, padding="same"),
        Activation("tanh"),
        Flatten(),
        Dense(8),
        ELU(0.7),
    ],
    "layers below that do not learn": [
        Input((6, 7, 2)),
        Rescaling([2.0, 0.5], offset=[-0.5, 0.1]),
        ZeroPadding2D(1),
        Activation("gelu"),
        Conv2D(5, 3, activation="relu"),
    ],
    "models inside": [
        Input((9, 8, 1)),
        Sequential([Rescaling(1.0, offset=-0.5), Conv2D(4, 3)]),
        ReLU(),
        Sequential([MaxPooling2D(2), Sequential([Flatten(), Dense(6)])]),
        ReLU(),
    ],
    "the kernel covers the image": [Input((5, 5, 3)), Conv2D(20, 5, activation="relu")],
    "the border is wider than the image": [
        Input((3, 2, 2)),
        Conv2D(3, (1, 7), padding=((0, 0), (6, 5))),
        Conv2D(9, (5, 4), padding=((4, 4), (3, 3))),
    ],
}


def network(name: str) -> Sequential:
    fastconv.utils.set_random_seed(1)
    layers = copy.deepcopy(NETWORKS[name])
    if name != "models inside" and not any(isinstance(layer, Flatten) for layer in layers):
        layers.append(Flatten())
    top = [Dense(CLASSES), Softmax()] if name == "activations as layers" else [Dense(CLASSES, "softmax")]
    model = Sequential([*layers, *top])
    rng = np.random.default_rng(2)
    for parameter in model.parameters:  # biases too, so that a missing one shows
        fan_in = np.prod(parameter.shape[:-1])
        parameter.value = rng.normal(0, min(0.3, np.sqrt(2 / fan_in)), parameter.shape)
    return model


def batch(model: Sequential, images: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(images, *model.input_shape[1:])).astype(np.float32)
    return x, rng.integers(0, CLASSES, images)


def by_layers(model: Sequential, x, y, loss, sample_weight=None) -> tuple[np.ndarray, list[np.ndarray]]:
    probabilities = model.forward(x, training=True)
    model.backward_from_logits(loss.gradient_at_logits(y, probabilities, sample_weight))
    return probabilities, [parameter.grad.copy() for parameter in model.parameters]


def by_program(model: Sequential, x, y, loss, sample_weight=None) -> tuple[np.ndarray, list[np.ndarray]]:
    for parameter in model.parameters:
        parameter.grad = np.full(parameter.shape, 7.0)  # a gradient left out would show
    batch = Batch(x, y, sample_weight)
    probabilities, value = model._executor.loss_and_gradients(model, Objective(loss, None), batch)
    assert value.total == pytest.approx(loss(y, probabilities, sample_weight), rel=1e-5)
    program = found_program(model, training=True)
    assert program is not None
    assert program.heads is not None
    return probabilities, [parameter.grad.copy() for parameter in model.parameters]


def loss_of(model: Sequential, x, y, loss, sample_weight=None) -> float:
    _, value = model._executor.loss_and_gradients(model, Objective(loss, None), Batch(x, y, sample_weight))
    return value.total


def predicted(model: Sequential, x) -> np.ndarray:
    return model._executor.infer(model, x)


def found_program(model: Sequential, training: bool):
    """The program that the model ran last; None where it ran layer by layer."""
    found = [f.program for f in model._executor._programs._found.values() if f.program is not None]
    return next((program for program in found[::-1] if program.training == training), None)


def in_c(model: Sequential) -> list:
    """What stands for the layers in the program that predicts."""
    return [call.layer for call in found_program(model, training=False).schedule.calls]


def assert_same(found, expected) -> None:
    """Both ways round their sums, of fewer than 2,000 terms, in their own order: √n ε, with room to spare."""
    tolerance = 4 * np.sqrt(2000) * np.finfo(np.float32).eps
    np.testing.assert_allclose(found[0], expected[0], atol=tolerance)
    assert len(found[1]) == len(expected[1])
    for gradient, wanted in zip(found[1], expected[1], strict=True):
        np.testing.assert_allclose(gradient, wanted, atol=tolerance * max(1.0, np.abs(wanted).max()))


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("isa", fastconv.available_isas())
@pytest.mark.parametrize("images", [1, 5, 16, 37])
def test_gradients_are_those_of_the_layers(name, isa, images):
    loss = SparseCategoricalCrossentropy()
    model = network(name)
    x, y = batch(model, images)
    with fastconv.set_isa(isa):
        assert_same(by_program(model, x, y, loss), by_layers(model, x, y, loss))


@pytest.mark.parametrize(
    "loss",
    [
        CategoricalCrossentropy(),
        CategoricalCrossentropy(label_smoothing=0.2),
        CategoricalCrossentropy(reduction="sum"),
    ],
    ids=["mean", "smoothed", "sum"],
)
def test_distributions_as_targets_and_weighted_samples(loss):
    model = network("one channel, same")
    x, y = batch(model, 21)
    targets = np.eye(CLASSES)[y] * np.linspace(0.5, 1, 21)[:, None]
    weights = np.linspace(0, 2, 21)
    assert_same(by_program(model, x, targets, loss, weights), by_layers(model, x, targets, loss, weights))


def test_predictions_are_those_of_the_layers():
    model = network("average pooling, lopsided padding")
    x, _ = batch(model, 50)
    expected = model.forward(x)
    np.testing.assert_allclose(predicted(model, x), expected, atol=1e-6)
    np.testing.assert_allclose(model.predict(x, batch_size=32, verbose=0), expected, atol=1e-6)
    assert predicted(model, x[:0]).shape == (0, CLASSES)


@pytest.mark.parametrize("name", ["one channel, same", "fewer multiplications", "LeNet-5"])
@pytest.mark.parametrize("isa", fastconv.available_isas())
def test_any_number_of_threads_gives_the_same_bits(isa, name):
    model = network(name)
    x, y = batch(model, 100)
    loss = SparseCategoricalCrossentropy()
    with fastconv.set_isa(isa):
        results = []
        for threads in (1, 2, 3, 8):
            with fastconv.set_num_threads(threads):
                results.append(by_program(model, x, y, loss))
    for probabilities, gradients in results[1:]:
        assert np.array_equal(probabilities, results[0][0])
        for one, other in zip(gradients, results[0][1], strict=True):
            assert np.array_equal(one, other)


@pytest.mark.parametrize("images", [1, 20])
def test_the_loss_is_that_of_clipped_probabilities(images):
    """A class as good as impossible costs -log 1e-7, one that is certain almost nothing, NaN is NaN."""
    model, loss = network("one channel, same"), SparseCategoricalCrossentropy()
    x, _ = batch(model, images)
    model.layers[-1].kernel.value[...], model.layers[-1].bias.value[...] = 0, 0
    model.layers[-1].bias.value[:2] = 0, 100
    right, wrong = np.ones(images, np.int64), np.zeros(images, np.int64)
    assert loss_of(model, x, wrong, loss) == pytest.approx(-np.log(1e-7), rel=1e-6)
    assert 0 < loss_of(model, x, right, loss) < 2e-7
    halves = np.full(images, 0.5)
    assert loss_of(model, x, wrong, loss, halves) == pytest.approx(-np.log(1e-7) / 2, rel=1e-6)
    assert np.isnan(loss_of(model, np.full_like(x, np.nan), wrong, loss))


def test_one_program_may_be_asked_from_several_threads():
    model = network("17 channels, valid")
    batches = [batch(model, images)[0] for images in (1, 20, 3, 33)]
    expected = [predicted(model, x) for x in batches]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda x: predicted(model, x), batches * 20))
    for one, other in zip(found, expected * 20, strict=True):
        assert np.array_equal(one, other)


def test_a_program_used_again_for_other_batch_sizes_and_instruction_sets():
    model, loss = network("17 channels, valid"), SparseCategoricalCrossentropy()
    for images, isa in [(3, -1), (40, -1), (7, 0), (40, 0), (1, -1)]:
        x, y = batch(model, images)
        with fastconv.set_isa(fastconv.available_isas()[isa]):
            assert_same(by_program(model, x, y, loss), by_layers(model, x, y, loss))


@pytest.mark.parametrize("name", ["one channel, same", "fewer multiplications"])
def test_nan_in_one_image_stays_in_its_row(name):
    model = network(name)
    x, _ = batch(model, 20)
    clean = predicted(model, x)
    x[4, 2, 2, 0] = np.nan
    found = predicted(model, x)
    assert np.isnan(found[4]).all()
    assert np.array_equal(np.delete(found, 4, 0), np.delete(clean, 4, 0))


# ---- in a model ---------------------------------------------------------------------------------


def trained(jit_compile: bool | str) -> Sequential:
    model = network("one channel, same")
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"], jit_compile=jit_compile)
    x, y = batch(model, 96)
    model.fit(x, y, batch_size=32, epochs=3, verbose=0, shuffle=False)
    return model


def test_training_by_program_and_by_layers_agree():
    """Nine steps of Adam, which divides small gradients by their own size: 1e-4 of the weights' scale."""
    compiled, layered = trained(True), trained(False)
    for one, other in zip(compiled.get_weights(), layered.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)
    compiled_loss, layered_loss = compiled.history.history["loss"], layered.history.history["loss"]
    np.testing.assert_allclose(compiled_loss, layered_loss, rtol=1e-4)


def test_auto_takes_the_program_unless_told_not_to(monkeypatch):
    used = []
    train = Program.train

    def train_and_note(program, inputs, losses):
        used.append(len(inputs[0]))
        return train(program, inputs, losses)

    monkeypatch.setattr(Program, "train", train_and_note)
    model = network("one channel, same")
    x, y = batch(model, 32)
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.train_on_batch(x, y)
    with fastconv.set_backend("reference"):
        model.train_on_batch(x[:2], y[:2])
    model.compile("sgd", "sparse_categorical_crossentropy", jit_compile=False)
    model.train_on_batch(x[:3], y[:3])
    assert used == [32]


def test_activations_as_layers_cost_nothing():
    """They are fused with the layers below: the same steps, and so the same bits."""
    layers = [Conv2D(4, 3), ReLU(), MaxPooling2D(2), Flatten(), Dense(CLASSES), Softmax()]
    separate = Sequential([Input((9, 9, 2)), *layers])
    fused = Sequential(
        [
            Input((9, 9, 2)), Conv2D(4, 3, activation="relu"), MaxPooling2D(2), Flatten(),
            Dense(CLASSES, activation="softmax"),
        ]
    )  # fmt: skip
    fused.set_weights(separate.get_weights())
    x, y = batch(separate, 40)
    for model in (separate, fused):
        model.compile("nadam", "sparse_categorical_crossentropy", jit_compile=True)
        model.fit(x, y, batch_size=16, epochs=2, shuffle=False, verbose=0)
    for one, other in zip(separate.get_weights(), fused.get_weights(), strict=True):
        assert np.array_equal(one, other)


def test_augmentation_inside_a_model_draws_as_the_layers_do():
    def trained(jit_compile):
        fastconv.utils.set_random_seed(4)
        augment = [RandomFlip("horizontal"), RandomTranslation(0.2, 0.2), Dropout(0.1)]
        model = Sequential([Input((9, 11, 1)), *augment, *network("one channel, same").layers])
        model.compile("sgd", "sparse_categorical_crossentropy", jit_compile=jit_compile)
        x, y = batch(model, 40)
        model.fit(x, y, batch_size=16, epochs=2, verbose=0)
        assert model.random_state()[augment[0].name]["draws"] == 6
        np.testing.assert_allclose(model.predict(x, verbose=0), model.forward(x), atol=1e-6)  # at rest
        return model.get_weights()

    for one, other in zip(trained(True), trained(False), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


def test_frozen_models_inside_are_not_trained():
    model = network("models inside")
    model.layers[2].trainable = False
    before = model.layers[2].get_weights()
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.train_on_batch(*batch(model, 20))
    x, _ = batch(model, 20)
    np.testing.assert_allclose(predicted(model, x), model.forward(x), atol=1e-6)
    for one, other in zip(model.layers[2].get_weights(), before, strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize("jit_compile", [True, False, "auto"])
def test_a_saved_model_keeps_the_choice(jit_compile, tmp_path):
    model = network("one channel, same")
    model.compile("sgd", "sparse_categorical_crossentropy", jit_compile=jit_compile)
    model.save(tmp_path / "model.safetensors")
    loaded = fastconv.models.load_model(tmp_path / "model.safetensors")
    assert loaded.get_compile_config()["jit_compile"] == jit_compile
    loaded.predict(batch(loaded, 2)[0], verbose=0)
    assert (found_program(loaded, training=False) is None) == (jit_compile is False)


def test_a_program_follows_the_layers():
    model = network("one channel, same")
    x, _ = batch(model, 32)
    model.predict(x, verbose=0)
    model.pop()
    model.add(Dense(3, activation="softmax", name="head"))
    assert model.predict(x, verbose=0).shape == (32, 3)
    np.testing.assert_allclose(model.predict(x, verbose=0), model.forward(x), atol=1e-6)
    model.set_weights([weight * 2 for weight in model.get_weights()])
    np.testing.assert_allclose(model.predict(x, verbose=0), model.forward(x), atol=1e-6)


def test_copies_have_programs_of_their_own():
    model = network("one channel, same")
    x, _ = batch(model, 32)
    before = model.predict(x, verbose=0)
    twin = copy.deepcopy(model)
    twin.set_weights([weight * 0 for weight in twin.get_weights()])
    np.testing.assert_allclose(twin.predict(x, verbose=0), np.full((32, CLASSES), 1 / CLASSES), rtol=1e-6)
    assert np.array_equal(model.predict(x, verbose=0), before)


def test_a_network_without_images_is_compiled_too():
    """As in Keras, where jit_compile=True is for every network."""
    weights = []
    for jit_compile in (True, "auto", False):
        fastconv.utils.set_random_seed(3)
        model = Sequential([Input((4,)), Dense(3, activation="softmax")])
        model.compile("sgd", "sparse_categorical_crossentropy", jit_compile=jit_compile)
        model.train_on_batch(np.ones((8, 4)), np.zeros(8, int))
        assert (found_program(model, training=True) is None) == (jit_compile is False)
        weights.append(model.get_weights()[0])
    assert np.array_equal(weights[0], weights[1])
    np.testing.assert_allclose(weights[1], weights[2], atol=1e-6)
    with pytest.raises(ValueError, match="jit_compile must be"):
        model.compile("sgd", "sparse_categorical_crossentropy", jit_compile="yes")


# ---- large networks --------------------------------------------------------------------------------


def large_network() -> Sequential:
    """Wide kernels, one that asks for an algorithm; dropout; a frozen layer."""
    fastconv.utils.set_random_seed(4)
    return Sequential(
        [
            Input((36, 9, 3)),
            Conv2D(35, 3, padding="same", activation="relu"),
            MaxPooling2D(2),
            SpatialDropout2D(0.3),
            Conv2D(64, 3, padding="same", activation="tanh", kernel_initializer="he_normal"),
            Conv2D(
                64, 3, padding="same", activation="elu", bias_initializer="random_normal", trainable=False
            ),
            Conv2D(4, (17, 4), padding=((9, 7), (1, 2)), algorithm="im2col"),
            Flatten(),
            Dense(20, activation="relu"),
            Dropout(0.5),
            Dense(CLASSES, activation="softmax"),
        ]
    )


@pytest.mark.parametrize("isa", fastconv.available_isas())
@pytest.mark.parametrize("images", [1, 2, 4, 9])
def test_large_networks_predict_what_they_predict_by_layers(isa, images):
    model = large_network()
    x, _ = batch(model, images)
    with fastconv.set_isa(isa):
        np.testing.assert_allclose(predicted(model, x), model.forward(x, training=False), rtol=0, atol=1e-6)
    assert all(isinstance(part, Compiled) for part in in_c(model))


def test_large_networks_predict_the_same_bits_on_any_number_of_threads():
    model = large_network()
    x, _ = batch(model, 1)
    found = []
    for threads in (1, 2, 3, 7):
        with fastconv.set_num_threads(threads):
            found.append(predicted(model, x).tobytes())
    assert len(set(found)) == 1


def test_networks_with_dropout_or_frozen_layers_predict_as_a_program(monkeypatch):
    model = Sequential(
        [
            Input((8, 8, 1)),
            Conv2D(3, 3, trainable=False, activation="relu"),
            Flatten(),
            Dropout(0.9),
            Dense(CLASSES, activation="softmax"),
        ]
    )
    x, _ = batch(model, 40)
    expected = model.forward(x, training=False)
    for layer in (Conv2D, Flatten, Dropout, Dense):
        monkeypatch.setattr(layer, "compute", None)
    np.testing.assert_allclose(model.predict_on_batch(x), expected, rtol=0, atol=1e-6)


def test_dropout_that_stays_on_draws():
    model = large_network()
    x, _ = batch(model, 1)
    steady = model.predict_on_batch(x)
    dropout = model.layers[-2]
    dropout.always_random = True
    assert (model.predict_on_batch(x) != model.predict_on_batch(x)).any()
    dropout.always_random = False
    assert (model.predict_on_batch(x) == steady).all()


def test_without_programs_nothing_predicts_as_one(monkeypatch):
    model = large_network()
    model.compile("sgd", "sparse_categorical_crossentropy", jit_compile=False)
    monkeypatch.setattr(Program, "infer", None)
    assert model.predict_on_batch(batch(model, 1)[0]).shape == (1, CLASSES)


# ---- what is asked for is what runs --------------------------------------------------------------


def attribute_network() -> Sequential:
    fastconv.utils.set_random_seed(11)
    return Sequential(
        [
            Input((9, 9, 2)),
            Conv2D(4, 3, activation="relu", bias_initializer="random_normal", name="conv"),
            MaxPooling2D(2, name="max"),
            Conv2D(4, 1, name="thin"),
            ReLU(name="relu"),
            AveragePooling2D(1, name="average"),
            Flatten(),
            Dropout(0.5, name="dropout"),
            Dense(6, bias_initializer="random_normal", name="hidden"),
            Activation("tanh", name="tanh"),
            Dense(CLASSES, name="scores"),
            Softmax(name="softmax"),
        ]
    )


def another_kernel(layer) -> Parameter:
    return layer.add_weight(layer.kernel.shape, np.flip(layer.kernel.value), name="another")


CHANGES = [
    ("conv", "activation", lambda layer: fastconv.activations.get("tanh")),
    ("conv", "activation", lambda layer: fastconv.activations.get("gelu")),
    ("conv", "strides", lambda layer: (2, 2)),
    ("conv", "dilation_rate", lambda layer: (2, 2)),
    ("conv", "padding", lambda layer: "same"),
    ("conv", "padding", lambda layer: ((9, 9), (9, 9))),
    ("conv", "algorithm", lambda layer: "im2col"),
    ("conv", "filters", lambda layer: 400),
    ("conv", "kernel_size", lambda layer: (5, 5)),
    ("conv", "groups", lambda layer: 2),
    ("conv", "kernel", another_kernel),
    ("conv", "kernel", lambda layer: layer.add_weight((1, 1, 2, 4), "ones", name="another")),
    ("conv", "bias", lambda layer: None),
    ("conv", "bias", lambda layer: layer.add_weight((2,), "ones", name="another")),
    ("max", "pool_size", lambda layer: (3, 3)),
    ("max", "pool_size", lambda layer: (7, 7)),
    ("max", "strides", lambda layer: (1, 1)),
    ("max", "padding", lambda layer: "same"),
    ("average", "pool_size", lambda layer: (3, 3)),
    ("relu", "max_value", lambda layer: 0.1),
    ("relu", "negative_slope", lambda layer: 0.5),
    ("relu", "threshold", lambda layer: 0.2),
    ("relu", "__class__", lambda layer: Flatten),
    ("dropout", "call", lambda layer: lambda x, training: 2 * x),
    ("hidden", "kernel", another_kernel),
    ("hidden", "units", lambda layer: 600),
    ("hidden", "bias", lambda layer: None),
    ("tanh", "activation", lambda layer: fastconv.activations.get("sigmoid")),
    ("tanh", "call", lambda layer: lambda x, training: np.cos(x)),
    ("scores", "kernel", another_kernel),
    ("softmax", "call", lambda layer: lambda x, training: x),
]


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize(
    ("name", "attribute", "value"), CHANGES, ids=[f"{i}-{change[1]}" for i, change in enumerate(CHANGES)]
)
def test_an_attribute_assigned_later_counts(name, attribute, value, compiled):
    model = attribute_network()
    x, _ = batch(model, 3)
    if compiled:
        model.compile("sgd", "sparse_categorical_crossentropy")
    before = model.predict(x, verbose=0)
    assert found_program(model, training=False) is not None
    layer = model.get_layer(name)
    setattr(layer, attribute, value(layer))
    try:
        expected = model(x)
    except ValueError as error:
        with pytest.raises(ValueError, match=re.escape(str(error))):
            model.predict(x, verbose=0)
    else:
        np.testing.assert_allclose(model.predict(x, verbose=0), expected, atol=1e-6)
        unused = attribute in ("algorithm", "filters", "kernel_size", "units")  # by a layer that is built
        assert expected.shape != before.shape or unused == np.allclose(expected, before)


@pytest.mark.parametrize("jit_compile", [True, False])
def test_a_shape_that_changes_below_layers_that_take_any(jit_compile):
    conv = Conv2D(4, 3)
    pooled = [GlobalAveragePooling2D(), Dense(CLASSES, activation="softmax")]
    model = Sequential([Input((9, 9, 2)), conv, ReLU(), *pooled])
    model.compile("sgd", "sparse_categorical_crossentropy", jit_compile=jit_compile)
    x, _ = batch(model, 3)
    before = model.predict(x, verbose=0)
    conv.strides = (2, 2)
    np.testing.assert_allclose(model.predict(x, verbose=0), model(x), atol=1e-6)
    assert not np.allclose(model(x), before)


def test_an_attribute_taken_away_counts():
    model = attribute_network()
    x, _ = batch(model, 3)
    before = model.predict(x, verbose=0)
    layer = model.get_layer("tanh")
    layer.call = lambda x, training: np.cos(x)
    assert not np.allclose(model.predict(x, verbose=0), before)
    del layer.call
    np.testing.assert_array_equal(model.predict(x, verbose=0), before)


def test_the_parameter_of_an_activation_counts():
    function = fastconv.activations.leaky_relu.with_parameters(negative_slope=0.1)
    model = Sequential(
        [Input((3, 3, 1)), Conv2D(2, 2, activation=function), Flatten(), Dense(CLASSES, "softmax")]
    )
    x, _ = batch(model, 4)
    model.predict(x, verbose=0)
    function.alpha = 0.9
    np.testing.assert_allclose(model.predict(x, verbose=0), model(x), atol=1e-6)


def test_an_activation_assigned_between_two_steps_is_trained():
    def trained(jit_compile):
        fastconv.utils.set_random_seed(5)
        model = Sequential([Input((5, 5, 1)), Conv2D(3, 3), Flatten(), Dense(CLASSES, activation="softmax")])
        model.compile("sgd", "sparse_categorical_crossentropy", jit_compile=jit_compile)
        x, y = batch(model, 8)
        model.train_on_batch(x, y)
        model.layers[0].activation = fastconv.activations.get("relu")
        model.train_on_batch(x, y)
        return model.get_weights()

    for compiled, layered in zip(trained("auto"), trained(False), strict=True):
        np.testing.assert_allclose(compiled, layered, atol=1e-6)


@pytest.mark.parametrize(
    "base",
    [
        Conv2D, Dense, MaxPooling2D, AveragePooling2D, Flatten, ReLU, LeakyReLU, ELU, Softmax, Activation,
        Dropout, SpatialDropout2D,
    ],
)  # fmt: skip
@pytest.mark.parametrize("how", ["subclass", "instance"])
def test_a_layer_that_is_not_quite_one_of_ours_runs_as_it_is(base, how):
    """A subclass that doubles what its base computes, or an instance with a ``call`` of its own."""

    class Doubled(base):
        def call(self, x, training):
            return 2 * super().call(x, training)

    arguments = {
        Conv2D: (2, 3),
        Dense: (5,),
        Activation: ("tanh",),
        Dropout: (0.5,),
        SpatialDropout2D: (0.5,),
    }
    layer = (Doubled if how == "subclass" else base)(*arguments.get(base, ()))
    if how == "instance":
        usual = layer.call
        layer.call = lambda x, training: 2 * usual(x, training)
    images = base in (Conv2D, MaxPooling2D, AveragePooling2D, Flatten, SpatialDropout2D)
    flat = [] if base is Flatten else [Flatten()]
    hidden = [layer, *flat] if images else [Flatten(), Dense(6), layer]
    model = Sequential([Input((6, 6, 2)), Conv2D(3, 3), *hidden, Dense(CLASSES, activation="softmax")])
    x, y = batch(model, 8)
    expected = model(x)
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, atol=1e-6)
    assert not np.allclose(expected, halved(model, layer, x))
    model.compile("sgd", "sparse_categorical_crossentropy")
    if base not in (Dropout, SpatialDropout2D):
        assert model.train_on_batch(x, y) == pytest.approx(-np.log(expected[range(8), y]).mean(), rel=1e-5)


def halved(model, layer, x):
    """What the model would compute if ``layer`` were one of ours."""
    for each in model.layers:
        x = each.forward(x)
        if each is layer:
            x = x / 2
    return x


class Sharper(Sequential):
    """y = p² / Σ p² of the probabilities p, with the derivative of the squares left to the tests."""

    def call(self, x, training):
        squares = super().call(x, training) ** 2
        return squares / squares.sum(-1, keepdims=True)


@pytest.mark.parametrize("nested", [False, True])
def test_a_model_that_overrides_call_runs_as_it_is(nested):
    fastconv.utils.set_random_seed(6)
    layers = [Conv2D(3, 3, activation="relu"), Flatten(), Dense(CLASSES, activation="softmax")]
    plain = Sequential([Input((5, 5, 1)), *layers])
    x, _ = batch(plain, 6)
    squares = plain.predict(x, verbose=0) ** 2
    model = Sharper([Input((5, 5, 1)), *layers])
    if nested:
        model = Sequential([Input((5, 5, 1)), model])
    for found in (model.predict(x, verbose=0), model.predict_on_batch(x), model(x)):
        np.testing.assert_allclose(found, squares / squares.sum(-1, keepdims=True), atol=1e-6)
    model.compile("sgd", "mse")
    with pytest.raises(
        TypeError, match=r"no derivative: its call does more than call layers\. \*\* needs numbers"
    ):
        model.train_on_batch(x, squares)


def test_what_comes_before_a_program_must_return_what_it_says():
    class Growing(ZeroPadding2D):
        def call(self, x, training):
            return np.pad(super().call(x, training), ((0, 0), (0, 9), (0, 9), (0, 0)))

    layers = [Conv2D(2, 3), Flatten(), Dense(CLASSES, activation="softmax")]
    model = Sequential([Input((4, 4, 1)), Growing(1, name="growing"), *layers])
    with pytest.raises(ValueError, match=r"was to be given \(6, 6, 1\) for each example, got \(15, 15, 1\)"):
        model.predict_on_batch(np.zeros((2, 4, 4, 1)))


def test_training_changes_nothing_that_programs_depend_on():
    """Otherwise each step, or each call of fit or predict, would describe all layers anew."""
    for jit_compile in (True, False):
        model = attribute_network()
        model.compile("sgd", "sparse_categorical_crossentropy", jit_compile=jit_compile)
        x, y = batch(model, 8)
        model.train_on_batch(x, y)
        version = versions.version()
        model.train_on_batch(x, y)
        model.predict_on_batch(x)
        model.fit(x, y, validation_data=(x, y), epochs=2, verbose=0)
        model.evaluate(x, y, verbose=0)
        model.predict(x, verbose=0)
        assert versions.version() is version
        model.layers[0].activation = model.layers[0].activation
        assert versions.version() is not version


@pytest.mark.parametrize("failure", [MemoryError, KeyboardInterrupt])
def test_a_program_that_could_not_be_made_is_made_the_next_time(failure, monkeypatch):
    model = network("one channel, same")
    x, _ = batch(model, 5)
    model.predict(x, verbose=0)
    model.pop()
    model.add(Dense(CLASSES, activation="softmax", name="head"))

    def fail(*table):
        raise failure

    with monkeypatch.context() as patch:
        patch.setattr(_kernels, "Program", fail)
        with pytest.raises(failure):
            model.predict_on_batch(x)
    np.testing.assert_allclose(model.predict_on_batch(x), model(x), atol=1e-6)


def test_nobody_gets_the_old_program_while_a_new_one_is_made(monkeypatch):
    """What a second thread would find, in the middle of the first one's search."""
    model = network("one channel, same")
    x, _ = batch(model, 5)
    programs = model._executor._programs
    old = programs.find(model, [x], training=False)
    model.layers[0].activation = fastconv.activations.get("tanh")
    usual, found = Program.__init__, []

    def make(program, *arguments):
        if not found:
            found.append(None)
            found[0] = programs.find(model, [x], training=False)
        usual(program, *arguments)

    monkeypatch.setattr(Program, "__init__", make)
    programs.find(model, [x], training=False)
    assert found[0] is not old
    np.testing.assert_allclose(found[0].infer([x])[0], model(x), atol=1e-6)


def test_a_shallow_copy_has_a_program_of_its_own():
    model = network("one channel, same")
    x, _ = batch(model, 5)
    before = model.predict_on_batch(x)
    other = copy.copy(model)
    other.pop()
    other.add(Dense(3, activation="softmax", name="head"))
    assert other.predict_on_batch(x).shape == (5, 3)
    np.testing.assert_array_equal(model.predict_on_batch(x), before)
    assert other.predict_on_batch(x).shape == (5, 3)


# ---- derivatives that skip the last activation ---------------------------------------------------


class Tempered(Dense):
    """A softmax layer whose ``backward`` halves the gradient, as ``call`` does the scores."""

    def call(self, x, training):
        return super().call(x / 2, training)

    def backward(self, dy, input_gradient=True):
        self.went_back = True
        dx = super().backward(dy, input_gradient)
        return None if dx is None else dx / 2


def test_a_backward_of_ones_own_is_called():
    layer = Tempered(3, activation="softmax")
    model = Sequential([Input((4,)), layer])
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.train_on_batch(np.ones((2, 4)), [0, 1])
    assert layer.went_back


class Steeper(SparseCategoricalCrossentropy):
    """Three times the cross-entropy, in the two methods that a loss of one's own overrides."""

    def call(self, y_true, y_pred):
        return 3 * super().call(y_true, y_pred)

    def derivative(self, y_true, y_pred):
        return 3 * super().derivative(y_true, y_pred)


def test_a_loss_that_extends_one_that_fuses():
    moved = []
    for loss, rate in ((Steeper(), 0.01), (SparseCategoricalCrossentropy(), 0.03)):
        fastconv.utils.set_random_seed(1)
        model = Sequential([Input((4,)), Dense(3, activation="softmax")])
        model.compile(fastconv.optimizers.SGD(rate), loss)
        model.train_on_batch(np.eye(4), [0, 1, 2, 0])
        moved.append(model.get_weights()[0])
    np.testing.assert_allclose(moved[0], moved[1], rtol=1e-5, atol=1e-7)


def test_all_of_our_losses_fuse_still():
    model = Sequential([Input((4,)), Dense(3, activation="softmax")])
    nested = Sequential([Input((4,)), Dense(8), Sequential([Dense(3, activation="softmax")])])
    for loss in (SparseCategoricalCrossentropy(), CategoricalCrossentropy(), CategoricalFocalCrossentropy()):
        assert fuses(loss, model._last_layers()[0])
        assert fuses(loss, nested._last_layers()[0])
    binary = Sequential([Input((4,)), Dense(1), Activation("sigmoid")])
    assert fuses(BinaryCrossentropy(), binary._last_layers()[0])
    assert fuses(BinaryFocalCrossentropy(), binary._last_layers()[0])


def test_an_activation_of_ones_own_class():
    class Squared(ActivationFunction):
        def __call__(self, x, **parameters):
            return super().__call__(x, **parameters) ** 2

    model = Sequential(
        [
            Input((5, 5, 1)),
            Conv2D(3, 3, activation=Squared("relu")),
            Flatten(),
            Dense(CLASSES, activation="softmax"),
        ]
    )
    x, _ = batch(model, 4)
    conv = model.layers[0]
    inside = fastconv.ops.conv2d(x, conv.kernel.value, conv.bias.value)
    np.testing.assert_allclose(conv(x), np.maximum(inside, 0) ** 2, rtol=1e-6)
    np.testing.assert_allclose(model.predict(x, verbose=0), model(x), atol=1e-6)


# ---- predict_on_batch takes a short way for an array like the one before


def small(cls: type[Sequential] = Sequential) -> Sequential:
    fastconv.utils.set_random_seed(3)
    model = cls([Input((6, 5, 2)), Conv2D(3, 3), ReLU(), Dropout(0.5), Flatten(), Dense(4)])
    model.compile("sgd", SparseCategoricalCrossentropy(from_logits=True))
    return model


def ready(model: Sequential) -> Sequential:
    """The same, once the next array may take the short way."""
    model.predict_on_batch(np.zeros((1, 6, 5, 2), np.float32))
    assert model._executor.at_once(np.zeros((1, 6, 5, 2), np.float32)) is not None
    return model


IMAGES = np.random.default_rng(5).standard_normal((3, 6, 5, 2), dtype=np.float32)


@pytest.mark.parametrize("batch", [1, 3])
def test_a_prediction_at_once_is_that_of_the_layers(batch):
    model = ready(small())
    x = IMAGES[:batch]
    expected = model.forward(x)
    first, second = model.predict_on_batch(x), model.predict_on_batch(x)
    np.testing.assert_allclose(first, expected, atol=1e-6)
    np.testing.assert_array_equal(first, second)
    assert not np.shares_memory(first, second)


@pytest.mark.parametrize(
    "x",
    [
        IMAGES.astype(np.float64),
        np.asfortranarray(IMAGES),
        IMAGES[::2],
        IMAGES.astype(">f4"),
        np.frombuffer(b"\0" + IMAGES.tobytes(), np.uint8)[1:].view(np.float32).reshape(IMAGES.shape),
        np.ma.masked_array(IMAGES),
        IMAGES.tolist(),
        (IMAGES * 50).astype(np.int32),
        [IMAGES],
    ],
    ids=["float64", "Fortran", "strided", "big-endian", "unaligned", "masked", "list", "int32", "in a list"],
)
def test_what_c_does_not_read_as_it_is_goes_the_long_way(x):
    model = ready(small())
    assert model._executor.at_once(x) is None
    plain = x[0] if isinstance(x, list) and isinstance(x[0], np.ndarray) else x
    expected = model.forward(np.ascontiguousarray(np.asarray(plain), np.float32))
    np.testing.assert_allclose(model.predict_on_batch(x), expected, rtol=1e-4, atol=1e-5)


def without_numbers(raised) -> str:
    """The message, without the numbers at the ends of the layers' names."""
    return re.sub(r"_\d+'", "'", str(raised.value))


def test_errors_are_those_of_the_long_way():
    model = ready(small())
    for wrong in (IMAGES[:, :5], IMAGES[..., 0], np.float32(3), None, IMAGES.astype(complex)):
        with pytest.raises((TypeError, ValueError)) as short:
            model.predict_on_batch(wrong)
        with pytest.raises(type(short.value)) as long:
            small().predict_on_batch(wrong)
        assert without_numbers(short) == without_numbers(long)
    assert model.predict_on_batch(IMAGES[:0]).shape == (0, 4)


def test_what_is_assigned_later_counts_in_a_prediction_at_once():
    model = ready(small())
    before = model.predict_on_batch(IMAGES)
    model.layers[0].activation = "tanh"
    changed = model.predict_on_batch(IMAGES)
    assert not np.allclose(before, changed)
    np.testing.assert_allclose(changed, model.forward(IMAGES), atol=1e-6)
    ready(model).layers[-1].kernel.value[...] *= 0.5
    np.testing.assert_allclose(model.predict_on_batch(IMAGES), model.forward(IMAGES), atol=1e-6)
    ready(model).jit_compile = False
    assert model._executor.at_once(IMAGES) is None


def test_hooks_that_come_later_are_called_for_a_prediction_at_once(monkeypatch):
    class Mine(Sequential):
        pass

    def by_hand(data):
        return np.ones(7)

    model = ready(small(Mine))
    monkeypatch.setattr(Mine, "predict_step", lambda self, data: by_hand(data), raising=False)
    assert model.predict_on_batch(IMAGES).shape == (7,)
    monkeypatch.undo()
    assert ready(model).predict_on_batch(IMAGES).shape == (3, 4)
    model.predict_step = by_hand
    assert model.predict_on_batch(IMAGES).shape == (7,)


def test_a_prediction_at_once_draws_where_the_layers_are_to_be_random():
    model = ready(small())
    dropout = model.layers[2]
    fixed = model.predict_on_batch(IMAGES)
    with always_random([dropout]):
        drawn = [model.predict_on_batch(IMAGES) for _ in range(2)]
    assert not np.array_equal(*drawn)
    np.testing.assert_array_equal(model.predict_on_batch(IMAGES), fixed)
    with fastconv.set_backend("reference"):
        np.testing.assert_allclose(model.predict_on_batch(IMAGES), fixed, atol=1e-5)


def test_a_step_does_not_fill_pre_activations_that_only_the_loss_reads():
    model = Sequential([Input((4, 4, 1)), Flatten(), Dense(3, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.train_on_batch(np.ones((2, 4, 4, 1), np.float32), np.array([0, 2]))
    (program,) = found_program(model, training=True).heads.last._in_c.values()
    assert program.output_count == 1
