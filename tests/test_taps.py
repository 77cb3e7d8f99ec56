"""``Model.tap``: the value and gradient of every tensor of networks of all kinds, as layer by layer finds
them, and as finite differences do; nothing else changes.
"""

from __future__ import annotations

import copy
import threading
from typing import Any

import numpy as np
import pytest
from own_layers import Shifted

import fastconv
from fastconv import _kernels, layers, losses
from fastconv.engine.program import Program
from fastconv.graph import structure
from fastconv.layers import Input, Layer
from fastconv.models import Model, Sequential
from fastconv.models.executor import LayerByLayer, Programmed

IMAGE = (9, 8, 3)
CLASSES = 4


class Counted(Shifted):
    """Counts its calls into the loss."""

    def call(self, x: Any, training: bool = False) -> Any:
        self.add_loss(0.25)
        return super().call(x, training)


class Halves(Layer):
    """A user's layer with two outputs."""

    takes_several = False

    def compute_output_shape(self, input_shape: Any) -> Any:
        return [input_shape, input_shape]

    def call(self, x: Any, training: bool = False) -> Any:
        return [x * np.float32(0.5), x * np.float32(2)]

    def backward(self, dy: Any, input_gradient: bool = True) -> Any:
        return dy[0] * np.float32(0.5) + dy[1] * np.float32(2)


def conv(filters: int = 6, **options: Any) -> Any:
    return layers.Conv2D(filters, 3, padding="same", **options)


def top(y: Any, activation: str | None = "softmax") -> Any:
    return layers.Dense(CLASSES, activation=activation)(layers.Flatten()(y))


# ---- networks, each as (inputs, outputs), with their losses where they are not the usual one


def chain() -> Model:
    x = Input(IMAGE)
    y = layers.MaxPooling2D(2)(conv(activation="relu")(x))
    y = layers.AveragePooling2D(2)(layers.ReLU()(conv(7)(y)))
    return Model(x, layers.Softmax()(layers.Dense(CLASSES)(layers.Flatten()(y))))


def residual() -> Model:
    x = Input(IMAGE)
    y = layers.ReLU()(layers.BatchNormalization()(conv(use_bias=False)(x)))
    z = layers.BatchNormalization()(conv(use_bias=False)(y))
    y = layers.ReLU()(layers.Add()([y, z]))
    z = layers.BatchNormalization()(conv()(y))
    y = layers.Activation("relu")(layers.Add()([z, y]))
    return Model(x, layers.Dense(CLASSES, activation="softmax")(layers.GlobalAveragePooling2D()(y)))


def two_heads() -> Model:
    x = Input(IMAGE)
    y = conv(activation="relu")(x)
    kind = layers.Dense(CLASSES, activation="softmax", name="kind")(layers.GlobalMaxPooling2D()(y))
    size = layers.Dense(2, name="size")(layers.Concatenate()([layers.GlobalAveragePooling2D()(y), kind]))
    return Model(x, [kind, size])


def an_output_that_is_not_judged() -> Model:
    x = Input(IMAGE)
    y = conv(activation="relu")(x)
    return Model(x, [top(y), layers.Dense(2, name="free")(layers.GlobalMaxPooling2D()(conv()(y)))])


def shared() -> Model:
    x = Input(IMAGE)
    twice = conv(3, activation="tanh")
    y = layers.Add()([x, twice(x)])
    return Model(x, top(layers.MaxPooling2D(2)(twice(y))))


def aliases() -> Model:
    """Layers that return what they are given, read beside it."""
    x = Input(IMAGE)
    same = layers.Identity()(x)
    y = conv(3, activation="relu")(same)
    dropped = layers.Dropout(0.4, seed=5)(y)
    y = layers.Add()([y, conv(3)(dropped), x, same])
    flat = layers.Flatten()(y)
    flat = layers.Reshape((9 * 8 * 3,))(layers.Reshape((8, 9, 3))(flat))
    y = layers.Dense(CLASSES)(flat)
    return Model(x, layers.Activation("softmax")(layers.Dropout(0.1, seed=6)(y)))


def random() -> Model:
    x = Input(IMAGE)
    y = layers.SpatialDropout2D(0.3, seed=3)(conv(activation="relu")(x))
    y = layers.GaussianNoise(0.1, seed=4)(layers.MaxPooling2D(3, strides=2)(y))
    return Model(x, top(layers.Dropout(0.5, seed=2)(y)))


def in_python() -> Model:
    x = Input(IMAGE)
    y = Counted()(layers.ReLU()(layers.BatchNormalization()(conv()(x))))
    a, b = Halves()(layers.MaxPooling2D(2)(y))
    return Model(x, top(layers.Subtract()([conv(6)(a), b])))


def in_python_at_the_top() -> Model:
    x = Input(IMAGE)
    y = layers.Dense(CLASSES)(layers.Flatten()(conv(activation="relu")(x)))
    return Model(x, layers.Softmax()(Counted()(y)))


def nested() -> Model:
    inner = Input((9, 8, 6))
    y = conv(activation="relu", name="first")(inner)
    block = Model(inner, layers.Add()([inner, layers.BatchNormalization()(y)]), name="block")
    x = Input(IMAGE)
    y = block(conv()(x))
    return Model(x, top(block(layers.ReLU()(y))))


def sequential() -> Model:
    return Sequential(
        [
            Input(IMAGE),
            layers.Rescaling(0.5, 0.1),
            layers.SeparableConv2D(6, 3, activation="relu"),
            layers.BatchNormalization(),
            layers.DepthwiseConv2D(3, padding="same"),
            layers.PReLU(),
            layers.UpSampling2D(2),
            layers.ZeroPadding2D(1),
            layers.Conv2DTranspose(5, 2, strides=2, activation="elu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(CLASSES, activation="softmax"),
        ]
    )


def several_inputs() -> Model:
    image, extra = Input(IMAGE, name="image"), Input((5,), name="extra")
    y = layers.GlobalMaxPooling2D()(conv(activation="relu")(image))
    y = layers.Concatenate()([y, layers.Dense(4, activation="tanh")(extra)])
    return Model([image, extra], layers.Dense(CLASSES, activation="softmax")(y))


def frozen() -> Model:
    model = residual()
    for layer in model.layers[1:5]:
        layer.trainable = False
    return model


def normalised_rows() -> Model:
    """Everything that has no operation of its own, and penalties on outputs."""
    x = Input(IMAGE)
    y = conv(activity_regularizer="l2")(x)
    y = layers.ActivityRegularization(l2=0.1)(layers.LayerNormalization()(y))
    return Model(x, top(layers.ReLU()(y), None))


class Subclassed(Model):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = conv(activation="relu"), layers.BatchNormalization()
        self.out = layers.Dense(CLASSES, activation="softmax")

    def call(self, x: Any, training: Any = None) -> Any:
        y = self.first(x)
        y = y + self.norm(y, training=training) * 0.5
        return self.out(layers.Flatten()(y))


def subclassed() -> Model:
    model = Subclassed()
    model.build((None, *IMAGE))
    return model


NETWORKS = {
    make.__name__: make
    for make in (
        chain,
        residual,
        two_heads,
        an_output_that_is_not_judged,
        shared,
        aliases,
        random,
        in_python,
        in_python_at_the_top,
        nested,
        sequential,
        several_inputs,
        frozen,
        normalised_rows,
        subclassed,
    )
}
NAMED = [name for name in NETWORKS if name != "subclassed"]  # whose tensors keep their names when it changes
LOSSES: dict[str, Any] = {
    "two_heads": ["sparse_categorical_crossentropy", "mse"],
    "an_output_that_is_not_judged": ["sparse_categorical_crossentropy", None],
    "normalised_rows": losses.SparseCategoricalCrossentropy(from_logits=True),
}


def filled(model: Model, loss: Any = "sparse_categorical_crossentropy", **options: Any) -> Model:
    """Compiled, with weights that are all different, moving statistics among them."""
    rng = np.random.default_rng(1)
    for weight in model.weights:
        scale = np.sqrt(2 / max(int(np.prod(weight.shape[:-1])), 1)) if weight.ndim > 1 else 0.3
        value = rng.normal(0, min(scale, 0.5), weight.shape)
        weight.value = 0.5 + np.abs(value) if "variance" in weight.name else value
    model.compile("sgd", loss, **options)
    return model


def network(name: str) -> Model:
    return filled(NETWORKS[name](), LOSSES.get(name, "sparse_categorical_crossentropy"))


def batch(model: Model, images: int = 11) -> tuple[Any, Any]:
    rng = np.random.default_rng(2)
    x = [rng.normal(size=(images, *t.shape[1:])).astype(np.float32) for t in model.inputs]
    y: list[Any] = [np.arange(images) % CLASSES]
    y += [rng.normal(size=(images, *t.shape[1:])).astype(np.float32) for t in model.outputs[1:]]
    return (x if len(x) > 1 else x[0]), (y if len(y) > 1 else y[0])


def everything(model: Model, training: bool) -> list[Any]:
    """Every tensor of the network: inputs, and each call of each layer, of models inside too."""
    schedule = model.schedule(training)
    asked: list[Any] = [tensor.node.layer.name for tensor in schedule.graph.input_list]
    paths: dict[str, int] = {}
    for made in schedule.made_by:
        number = paths.get(made.path, 0)
        paths[made.path] = number + 1
        asked.append((made.path, number))
    return asked


def arrays(tapped: Any) -> dict[Any, np.ndarray]:
    """All numbers of a result by name."""
    found = {("output", i): array for i, array in enumerate(structure.leaves(tapped.outputs))}
    if tapped.loss is not None:
        found["loss",] = np.asarray(tapped.loss)
    for kind, results in (("value", tapped.values), ("gradient", tapped.gradients)):
        for what, result in results.items():
            for i, array in enumerate(structure.leaves(result)):
                found[kind, what, i] = array
    return found


def assert_close(found: Any, expected: Any, factor: float = 1.0) -> None:
    """Sums of at most 2,000 terms in another order, through a few layers: √n ε of the largest number."""
    tolerance = 8 * np.sqrt(2000) * np.finfo(np.float32).eps * factor
    found, expected = arrays(found), arrays(expected)
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        scale = float(np.abs(array).max(initial=0))
        assert found[name].shape == array.shape, name
        np.testing.assert_allclose(found[name], array, rtol=0, atol=tolerance * scale, err_msg=str(name))


def assert_same(found: Any, expected: Any) -> None:
    found, expected = arrays(found), arrays(expected)
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, err_msg=str(name))


def by_layers(model: Model, *arguments: Any, **options: Any) -> Any:
    own = model._executor
    object.__setattr__(
        model, "_executor", LayerByLayer()
    )  # past __setattr__, after which ``call`` is traced anew
    try:
        return model.tap(*arguments, **options)
    finally:
        object.__setattr__(model, "_executor", own)


def state(model: Model) -> list[Any]:
    """All that a tap must leave as it is."""
    return [
        *(weight.numpy() for weight in model.weights),
        *(weight.grad.copy() for weight in model.weights),
        model.random_state(),
        fastconv._core.randomness.generator_state(),
        model.losses,
        model.get_metrics_result(),
    ]


def assert_unchanged(model: Model, before: list[Any]) -> None:
    for now, then in zip(state(model), before, strict=True):
        np.testing.assert_equal(now, then)


# ---- every tensor of every kind of network


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", NETWORKS)
def test_every_tensor(name, training):
    model = network(name)
    x, y = batch(model)
    asked = everything(model, training)
    for weight in model.weights:
        weight.grad = np.full(weight.shape, 7.0)
    before = state(model)
    found = model.tap(x, y, values=asked, gradients=asked, training=training)
    assert_unchanged(model, before)
    expected = by_layers(model, x, y, values=asked, gradients=asked, training=training)
    assert_unchanged(model, before)
    assert_close(found, expected)
    assert list(found.values) == list(found.gradients) == asked
    for what, array in found.values.items():
        shapes = [one.shape for one in structure.leaves(array)]
        assert shapes == [one.shape for one in structure.leaves(found.gradients[what])]
    if name != "an_output_that_is_not_judged":
        assert all(
            np.abs(one).max() > 0 for array in found.gradients.values() for one in structure.leaves(array)
        )


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", ["chain", "residual", "aliases", "in_python", "nested", "sequential"])
def test_one_tensor_at_a_time(name, training):
    """What else is tapped does not matter."""
    model = network(name)
    x, y = batch(model, 5)
    asked = everything(model, training)
    expected = by_layers(model, x, y, values=asked, gradients=asked, training=training)
    for what in asked:
        found = model.tap(x, y, gradients=what, training=training)
        of_one = expected._replace(values={}, gradients={what: expected.gradients[what]})
        assert_close(found, of_one)
        if not training:
            found = model.tap(x, values=what)
            of_one = expected._replace(loss=None, values={what: expected.values[what]}, gradients={})
            assert_close(found, of_one)


@pytest.mark.parametrize("name", NETWORKS)
def test_threads_give_the_same_bits(name):
    model = network(name)
    x, y = batch(model, 37)
    asked = everything(model, True)
    found = []
    for threads in (1, 2):
        with fastconv.set_num_threads(threads):
            found.append(model.tap(x, y, values=asked, gradients=asked, training=True))
    assert_same(*found)


@pytest.mark.parametrize("name", NAMED)
def test_without_jit(name):
    model = network(name)
    x, y = batch(model, 3)
    asked = everything(model, True)
    expected = by_layers(model, x, y, values=asked, gradients=asked, training=True)
    model.jit_compile = False
    assert_same(model.tap(x, y, values=asked, gradients=asked, training=True), expected)


@pytest.mark.parametrize("seed", range(12))
def test_operations_in_any_ways(seed, monkeypatch):
    """Each operation runs in a way drawn at random, where it takes the operation."""
    rng = np.random.default_rng(seed)
    original = _kernels.Program

    def forced(ops: Any, *table: Any, **tapped: Any) -> Any:
        ways = [None if rng.random() < 0.1 else str(rng.choice(["lanes", "pixels", "whole"])) for _ in ops]
        return original(ops, *table, ways, **tapped)

    monkeypatch.setattr(_kernels, "Program", forced)
    name = ["residual", "aliases", "nested", "sequential"][seed % 4]
    model, images = network(name), int(rng.choice([2, 7, 16, 19]))
    x, y = batch(model, images)
    asked = everything(model, True)
    found = model.tap(x, y, values=asked, gradients=asked, training=True)
    assert_close(found, by_layers(model, x, y, values=asked, gradients=asked, training=True))


def test_losses_in_c_stay_in_c(monkeypatch):
    """The whole of a tapped network is one call of C, losses included; and where a layer in Python comes
    first, what comes behind it.
    """
    taken: list[Program] = []
    original = Program.train
    monkeypatch.setattr(Program, "train", lambda self, *given: taken.append(self) or original(self, *given))
    model = network("residual")
    (x, y), add = batch(model), next(layer for layer in model.layers if isinstance(layer, layers.Add))
    for training in (False, True):
        model.tap(x, y, values=add, gradients=[add, model.input], training=training)
    assert [len(program.schedule.calls) for program in taken] == [1, 1]
    inputs = Input(IMAGE)
    seen = Counted()(inputs)
    h = conv(activation="relu")(seen)
    model = filled(Model(inputs, top(h)))
    found = model.tap(x, y, values=[seen, h], gradients=h)
    assert len(taken) == 3
    assert_close(found, by_layers(model, x, y, values=[seen, h], gradients=h))


# ---- against finite differences


class Bump(Layer):
    """x + h, for a difference with respect to x."""

    h: Any = 0.0

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def call(self, x: Any, training: bool = False) -> Any:
        return x + self.h

    def backward(self, dy: Any, input_gradient: bool = True) -> Any:
        return dy


def bumped() -> Model:
    """A residual block, every tensor of which a Bump has made."""
    x = Input((6, 5, 2))
    tensors = [Bump()(x)]
    for layer in (conv(4), layers.BatchNormalization(), layers.ELU(), conv(4), layers.BatchNormalization()):
        tensors.append(Bump()(layer(tensors[-1])))
    tensors.append(Bump()(layers.Add()([tensors[-1], tensors[3]])))
    y = layers.GlobalAveragePooling2D()(layers.Activation("tanh")(tensors[-1]))
    return filled(Model(x, layers.Dense(CLASSES, activation="softmax")(Bump()(y))))


@pytest.mark.parametrize("training", [False, True])
def test_finite_differences(training):
    model = bumped()
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(3, 6, 5, 2)).astype(np.float32), np.array([0, 3, 1])
    bumps = [layer for layer in model.layers if isinstance(layer, Bump)]
    found = model.tap(x, y, gradients=bumps, training=training)
    tolerance = 8 * np.sqrt(2000) * np.finfo(np.float32).eps
    with fastconv.set_backend("reference"):
        for bump in bumps:
            gradient = found.gradients[bump]
            direction = rng.choice([-1.0, 1.0], gradient.shape)
            step, losses_there = 1e-4, []
            for sign in (1, -1):
                bump.h = sign * step * direction
                losses_there.append(model.tap(x.astype(np.float64), y, training=training).loss)
            bump.h = 0.0
            slope = (losses_there[0] - losses_there[1]) / (2 * step)
            terms = np.abs(
                gradient
            ).sum()  # each is good to a few units; a third derivative times step² is less
            np.testing.assert_allclose(
                (gradient * direction).sum(), slope, rtol=0, atol=tolerance * terms + 1e-7
            )


def test_a_gradient_that_is_given_at_the_outputs_against_a_matrix():
    """Without activations the network is a matrix, and the gradient its transpose times what is given."""
    x = Input((7,))
    hidden = layers.Dense(5, use_bias=False)
    out = layers.Dense(3, use_bias=False, activation="softmax")
    y = hidden(x)
    model = filled(Model(x, out(y)))
    given = np.random.default_rng(4).normal(size=(6, 3)).astype(np.float32)
    (a, _) = batch(model, 6)
    found = model.tap(a, gradients=[x, y], output_gradient=given, from_logits=True)
    A, B = (layer.kernel.value.astype(np.float64) for layer in (hidden, out))
    np.testing.assert_allclose(found.gradients[y], given @ B.T, rtol=0, atol=1e-6)
    np.testing.assert_allclose(found.gradients[x], given @ B.T @ A.T, rtol=0, atol=1e-6)
    p = found.outputs.astype(np.float64)
    dz = p * (given - (given * p).sum(-1, keepdims=True))
    found = model.tap(a, gradients=[x, y, out], output_gradient=given)
    np.testing.assert_allclose(found.gradients[y], dz @ B.T, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(found.gradients[out], given)
    assert found.loss is None


@pytest.mark.parametrize("from_logits", [False, True])
@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_that_are_given_at_the_outputs(name, from_logits):
    model = network(name)
    x, _ = batch(model)
    asked = everything(model, False)
    seen: list[Any] = []

    def score(outputs: Any) -> Any:
        seen.append(outputs)
        hot = [np.eye(one.shape[-1], dtype=np.float32)[one.argmax(-1)] for one in structure.leaves(outputs)]
        return structure.packed(outputs, hot)

    options = {"values": asked, "gradients": asked, "output_gradient": score, "from_logits": from_logits}
    before = state(model)
    found = model.tap(x, **options)
    assert_unchanged(model, before)
    assert_close(found, by_layers(model, x, **options))
    for ours, theirs in zip(structure.leaves(seen[0]), structure.leaves(found.outputs), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_penalties_are_part_of_the_loss_and_of_nothing_else():
    def made(penalty: Any) -> Any:
        x = Input(IMAGE)
        h = conv(activity_regularizer=penalty, activation="tanh")(x)
        model = filled(Model(x, top(h)))
        a, b = batch(model, 4)
        given = np.ones((4, CLASSES), np.float32)
        score = model.tap(a, gradients=[x, h], output_gradient=given, from_logits=True)
        loss = model.tap(a, b, values=h, gradients=[x, h])
        values, slopes = list(loss.values.values()), list(loss.gradients.values())
        return list(score.gradients.values()), values[0].astype(np.float64), loss.loss, slopes

    plain, penalized = made(None), made("l2")
    for found, expected in zip(penalized[0], plain[0], strict=True):
        np.testing.assert_array_equal(found, expected)
    penalty = 0.01 * (penalized[1] ** 2).sum() / 4  # of an example, on average
    np.testing.assert_allclose(penalized[2] - plain[2], penalty, rtol=1e-4)
    slope = plain[3][1] + 0.02 * penalized[1] / 4
    np.testing.assert_allclose(penalized[3][1], slope, rtol=0, atol=1e-6)
    assert np.abs(penalized[3][0] - plain[3][0]).max() > 1e-4


# ---- nothing else changes


@pytest.mark.parametrize("name", NAMED)
def test_outputs_and_loss_are_those_of_the_model(name):
    model = network(name)
    x, y = batch(model)
    asked = everything(model, False)
    found = model.tap(x, y, values=asked)
    evaluated = model.test_on_batch(x, y, return_dict=True)["loss"]
    np.testing.assert_allclose(found.loss, evaluated, rtol=1e-5)
    predicted = model.predict_on_batch(x)
    assert_close(
        found._replace(loss=None, values={}), found._replace(outputs=predicted, loss=None, values={})
    )
    found = model.tap(x, y, gradients=asked, training=True)
    trained = model.train_on_batch(x, y, return_dict=True)["loss"]
    np.testing.assert_allclose(found.loss, trained, rtol=1e-5)


def test_no_bit_changes_where_nothing_was_fused():
    x = Input(IMAGE)
    h = conv(name="below")(x)
    y = layers.MaxPooling2D(2)(h)
    model = filled(Model(x, top(y)))
    (a, b) = batch(model, 16)
    plain = model.tap(a, b, gradients=x, training=True)
    tapped = model.tap(a, b, values=[h, y], gradients=[x, h, y], training=True)
    np.testing.assert_array_equal(tapped.outputs, plain.outputs)
    np.testing.assert_array_equal(tapped.outputs, model.tap(a, training=True).outputs)
    np.testing.assert_array_equal(tapped.gradients[x], plain.gradients[x])
    assert tapped.loss == plain.loss


def test_a_training_goes_on_as_if_nothing_had_been_tapped():
    x = Input(IMAGE)
    y = layers.Dropout(0.4)(layers.ReLU()(layers.BatchNormalization()(conv()(x))))
    y = Counted()(layers.MaxPooling2D(2)(y))
    model = filled(Model(x, top(y)), metrics=["accuracy"])
    model.optimizer.momentum = 0.5
    a, b = batch(model, 16)
    ends = []
    for taps in (False, True):
        fastconv.utils.set_random_seed(3)
        ours = copy.deepcopy(model)
        logs = []
        for _ in range(3):
            if taps:
                ours.tap(a, b, values=ours.layers[3], gradients=ours.layers[5], training=True)
                ours.tap(a, values=ours.layers[1])
            logs.append(ours.train_on_batch(a, b, return_dict=True))
        ends.append((logs, state(ours)))
    np.testing.assert_equal(*ends)


def test_a_step_of_ones_own_may_be_interrupted():
    """Between ``forward`` and ``backward``, of the model and of its layers one by one."""
    model = network("in_python")
    x, y = batch(model, 4)

    def gradients(tapping: bool) -> list[np.ndarray]:
        ours = copy.deepcopy(model)
        outputs = ours.forward(x, training=True)
        first = ours.layers[1]
        first.forward(x)
        if tapping:
            ours.tap(x[:2], y[:2], gradients=first, training=True)
            by_layers(ours, x[:2], y[:2], gradients=first, training=True)
        dx = first.backward(np.ones((4, 9, 8, 6), np.float32))
        kernel = first.kernel.grad.copy()
        ours.backward(outputs)
        return [dx, kernel, *(parameter.grad.copy() for parameter in ours.parameters)]

    for found, expected in zip(gradients(True), gradients(False), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_dropout_draws_what_the_next_step_will_draw():
    x = Input((200,))
    dropped = layers.Dropout(0.5)(x)
    model = filled(Model(x, layers.Dense(CLASSES, activation="softmax")(dropped)))
    a, _ = batch(model, 3)
    first = model.tap(a, values=dropped, training=True).values[dropped]
    np.testing.assert_array_equal(model.tap(a, values=dropped, training=True).values[dropped], first)
    np.testing.assert_array_equal(model.layers[1](a, training=True) != 0, first != 0)
    assert not np.array_equal(model.tap(a, values=dropped, training=True).values[dropped], first)


def test_results_are_new():
    model = network("aliases")
    x, _ = batch(model)
    asked = everything(model, False)
    given = np.ones((len(x), CLASSES), np.float32)
    found = model.tap(x, values=asked, gradients=asked, output_gradient=given)
    every = [*arrays(found).values(), x, given]
    for i, one in enumerate(every):
        assert not any(np.may_share_memory(one, other) for other in every[:i])


def test_weights_that_change_are_seen():
    model = network("residual")
    x, y = batch(model)
    first = model.tap(x, y, values=model.layers[1], gradients=model.layers[1])
    model.layers[1].kernel.assign(model.layers[1].kernel * 2)
    second = model.tap(x, y, values=model.layers[1], gradients=model.layers[1])
    np.testing.assert_allclose(
        second.values[model.layers[1]], 2 * first.values[model.layers[1]], rtol=0, atol=1e-5
    )
    model.layers[5].trainable = False
    assert_close(
        model.tap(x, y, gradients=model.layers[1]), by_layers(model, x, y, gradients=model.layers[1])
    )


def test_taps_do_not_push_out_the_programs_of_training():
    model = network("chain")
    x, y = batch(model)
    model.train_on_batch(x, y)
    (trained,) = (found.program for found in model._executor._programs._found.values())
    for what in everything(model, False) * 2:
        model.tap(x, y, gradients=what)
        model.tap(x, values=what)
    assert len(model._executor._tapped._found) <= 8
    assert [found.program for found in model._executor._programs._found.values()] == [trained]


def test_the_same_taps_are_one_program():
    model = network("chain")
    x, y = batch(model)
    for seed in range(3):
        model.tap(x + seed, y, values=model.layers[1], gradients=[model.layers[2], model.layers[1]])
    assert len(model._executor._tapped._found) == 1


def test_beside_a_training_in_another_thread():
    model = network("residual")
    x, y = batch(model, 16)
    expected = {}
    trained = copy.deepcopy(model)
    for step in range(6):
        expected[step] = trained.train_on_batch(x, y)
    results = []
    worker = threading.Thread(target=lambda: results.extend(model.train_on_batch(x, y) for _ in range(6)))
    worker.start()
    while worker.is_alive():
        found = model.tap(x, y, gradients=model.layers[4])
        assert np.isfinite(found.loss)
    worker.join()
    np.testing.assert_array_equal(results, list(expected.values()))


# ---- how tensors are asked for


def test_by_layer_name_path_tensor_and_number_of_the_call():
    model = network("nested")
    x, _ = batch(model, 2)
    block = model.get_layer("block")
    first = block.get_layer("first")
    outputs = [made.node.outputs[0] for made in model.schedule(False).calls_of(block)]
    asked = [("block", 0), ("block/first", 1), (first, 1), ("first", -1), (first.output, 1), *outputs]
    values = model.tap(x, values=asked).values
    np.testing.assert_array_equal(values["block", 0], values[outputs[0]])
    for same in (("block/first", 1), (first, 1), ("first", -1)):
        np.testing.assert_array_equal(values[same], values[first.output, 1])
    assert not np.array_equal(values[outputs[0]], values[outputs[1]])
    assert model.tap(x, values=model.input).values[model.input].shape == (2, *IMAGE)


def test_a_layer_that_is_called_twice_by_its_tensors():
    x = Input((6,))
    twice = layers.Dense(6, activation="tanh", name="twice")
    first = twice(x)
    second = twice(first)
    model = filled(Model(x, layers.Dense(CLASSES, activation="softmax")(second)))
    a, b = batch(model)
    found = model.tap(a, b, values=[first, second], gradients=[first, second])
    np.testing.assert_allclose(found.values[first], twice(a), rtol=0, atol=1e-6)
    np.testing.assert_allclose(found.values[second], twice(twice(a)), rtol=0, atol=1e-6)
    assert twice.output is first
    with pytest.raises(ValueError, match=r"'twice' is made 2 times: ask for a tensor.*\('twice', 0\) to"):
        model.tap(a, b, gradients="twice")
    with pytest.raises(ValueError, match="there is no call 2"):
        model.tap(a, b, gradients=("twice", 2))


def test_a_layer_with_several_outputs():
    model = network("in_python")
    x, y = batch(model, 2)
    (halves,) = (layer for layer in model.layers if isinstance(layer, Halves))
    found = model.tap(x, y, values=halves, gradients=[halves, halves.output[1]])
    a, b = found.values[halves]
    np.testing.assert_array_equal(4 * a, b)
    np.testing.assert_array_equal(found.gradients[halves][1], found.gradients[halves.output[1]])


def test_a_model_in_the_middle_of_another():
    whole = network("residual")
    inner = whole.layers[3]
    part = filled(Model(inner.output, whole.output))
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(3, *inner.output.shape[1:])).astype(np.float32), np.arange(3)
    after = whole.layers[4]
    assert_close(part.tap(x, y, gradients=after), by_layers(part, x, y, gradients=after))


@pytest.mark.parametrize("training", [False, True])
def test_a_model_whose_call_is_traced(training):
    model = network("subclassed")
    x, y = batch(model, 3)
    asked = [model.input, model.first, model.norm]
    found = model.tap(x, y, values=asked, gradients=asked, training=training)
    np.testing.assert_array_equal(found.values[asked[0]], x)
    assert_close(found, by_layers(model, x, y, values=asked, gradients=asked, training=training))
    old = model.output
    model.first.activation = "tanh"
    with pytest.raises(ValueError, match="traced anew: ask for the layer"):
        model.tap(x, values=old)


def test_open_sizes():
    x = Input((None, None, 3))
    y = layers.GlobalAveragePooling2D()(layers.ReLU()(conv(name="maps")(x)))
    model = filled(Model(x, layers.Dense(CLASSES, activation="softmax")(y)))
    for size in ((5, 7), (8, 4)):
        a = np.ones((2, *size, 3), np.float32)
        assert model.tap(a, np.array([0, 1]), gradients="maps").gradients["maps"].shape == (2, *size, 6)


def test_a_loss_of_ones_own():
    class Squared(Model):
        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
            return float(((y_pred - y) ** 2).sum())

        def compute_loss_gradient(self, x=None, y=None, y_pred=None, sample_weight=None):
            return 2 * (y_pred - y)

    x = Input((5,))
    h = layers.Dense(4, activation="tanh")(x)
    model = Squared(x, layers.Dense(2)(h))
    model.compile("sgd")
    a, b = np.ones((3, 5), np.float32), np.zeros((3, 2), np.float32)
    found = model.tap(a, b, values=h, gradients=[h, model.output])
    np.testing.assert_array_equal(found.gradients[model.output], 2 * found.outputs)
    np.testing.assert_allclose(found.loss, (found.outputs**2).sum(), rtol=1e-6)
    assert_close(found, by_layers(model, a, b, values=h, gradients=[h, model.output]))


def test_sample_weights_and_weights_of_losses():
    model = filled(two_heads(), LOSSES["two_heads"], loss_weights=[0.5, 2.0])
    x, y = batch(model, 6)
    weight = np.linspace(0, 1, 6)
    asked = everything(model, False)
    found = model.tap(x, y, weight, gradients=asked)
    assert_close(found, by_layers(model, x, y, weight, gradients=asked))
    assert not np.abs(found.gradients[asked[0]][0]).any()  # the first example weighs nothing


def test_the_loss_at_clipped_probabilities():
    """Softmax and cross-entropy go back together, whether the output's own gradient is asked for or not."""
    x = Input((CLASSES,))
    h = layers.Rescaling(100.0)(x)
    model = filled(Model(x, layers.Softmax()(h)))
    a, y = np.eye(CLASSES, dtype=np.float32), np.array([1, 2, 3, 0])
    alone = model.tap(a, y, gradients=h).gradients[h]
    both = model.tap(a, y, gradients=[h, model.output])
    np.testing.assert_array_equal(both.gradients[h], alone)
    np.testing.assert_allclose(alone, (np.eye(4) - np.eye(4)[y]) / 4, atol=1e-6)
    expected = losses.SparseCategoricalCrossentropy().gradient(y, both.outputs)
    np.testing.assert_array_equal(both.gradients[model.output], expected)


def test_on_the_reference():
    model = bumped()
    x, y = np.random.default_rng(0).normal(size=(2, 6, 5, 2)), np.array([1, 2])
    asked = everything(model, True)
    with fastconv.set_backend("reference"):
        expected = model.tap(x, y, values=asked, gradients=asked, training=True)
        assert expected.outputs.dtype == np.float64
    assert_close(model.tap(x, y, values=asked, gradients=asked, training=True), expected, factor=4)


# ---- errors


def test_what_cannot_be_tapped():
    model = network("residual")
    x, y = batch(model, 2)
    name = model.layers[1].name
    with pytest.raises(ValueError, match=f"unknown layer 'convv'.*'{name}'"):
        model.tap(x, values="convv")
    with pytest.raises(ValueError, match="is not in"):
        model.tap(x, values=conv())
    with pytest.raises(ValueError, match=r"is not of .*another model"):
        model.tap(x, values=network("chain").output)
    beside = layers.Flatten()(model.layers[1].output)
    with pytest.raises(ValueError, match="leads to no output"):
        model.tap(x, values=beside)
    for wrong in (3, [3], [None], [("a", "b")], np.ones(3)):
        with pytest.raises(TypeError, match="names of layers, layers"):
            model.tap(x, values=wrong)
    with pytest.raises(ValueError, match="gradients of what"):
        model.tap(x, gradients=name)
    with pytest.raises(ValueError, match="got both"):
        model.tap(x, y, gradients=name, output_gradient=np.ones((2, CLASSES)))
    with pytest.raises(ValueError, match="from_logits"):
        model.tap(x, y, gradients=name, from_logits=True)
    with pytest.raises(ValueError, match=r"output_gradient has the shape \(2, 3\).*\(2, 4\)"):
        model.tap(x, gradients=name, output_gradient=np.ones((2, 3)))
    with pytest.raises(ValueError, match="2 arrays, and the model 1 outputs"):
        model.tap(x, gradients=name, output_gradient=[np.ones((2, 4)), None])
    with pytest.raises(ValueError, match="x is empty"):
        model.tap(x[:0], values=name)
    with pytest.raises(ValueError, match="input"):
        model.tap(x[:, :4], values=name)
    with pytest.raises(ValueError, match="same length"):
        model.tap(x, y[:1], gradients=name)


def test_models_that_cannot_be_tapped():
    with pytest.raises(ValueError, match="has no weights yet"):
        Sequential([layers.Dense(2)]).tap(np.ones((1, 2)))
    x = np.ones((2, 3), np.float32)
    plain = Sequential([Input((3,)), layers.Dense(2, name="last")])
    assert plain.tap(x, values="last").values["last"].shape == (2, 2)
    with pytest.raises(ValueError, match="is not compiled"):
        plain.tap(x, np.zeros((2, 2)), gradients="last")

    class ByItself(Model):
        def __init__(self) -> None:
            super().__init__()
            self.last = layers.Dense(2)

        def compute_output_shape(self, input_shape):
            return (2,)

        def call(self, x, training=None):
            return self.last(np.asarray(x) * 2)

        def backward(self, dy, input_gradient=True):
            return self.last.backward(dy)

    model = ByItself()
    model.build((None, 3))
    with pytest.raises(ValueError, match="call of its own"):
        model.tap(x, values="last")

    class Scaled(Model):
        def forward(self, x, training=False, *more):
            return super().forward(x * 2, training, *more)

    inputs = Input((3,))
    with pytest.raises(ValueError, match="a forward of its own"):
        Scaled(inputs, layers.Dense(2)(inputs)).tap(x)


def test_two_layers_of_one_name_in_models_inside():
    def block(name: str) -> Model:
        inner = Input((4,))
        return Model(inner, layers.Dense(4, name="same")(inner), name=name)

    x = Input((4,))
    model = filled(Model(x, top(block("b")(block("a")(x)))))
    a, _ = batch(model, 2)
    with pytest.raises(ValueError, match=r"several layers .* path of one: a/same, b/same"):
        model.tap(a, values="same")
    assert set(model.tap(a, values=["a/same", "b/same"]).values) == {"a/same", "b/same"}


def test_a_step_that_fails_leaves_the_model_as_it_was():
    model = network("in_python")
    x, _ = batch(model, 3)
    before = state(model)

    def failing(outputs: Any) -> Any:
        raise RuntimeError("no score")

    for executor in (Programmed(), LayerByLayer()):
        model._executor = executor
        with pytest.raises(RuntimeError, match="no score"):
            model.tap(x, gradients=model.input, output_gradient=failing, training=True)
        assert_unchanged(model, before)
