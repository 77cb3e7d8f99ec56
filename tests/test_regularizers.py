"""Penalties: their numbers, their slopes, and what they do to training, against Keras."""

from __future__ import annotations

import copy
from pathlib import Path

import golden_regularization
import numpy as np
import pytest
from golden_models import examples, set_seeded_weights
from hypothesis import given
from hypothesis import strategies as st
from kernels import assert_same_bits_on_any_threads, each_isa
from strategies import UNIT_ROUNDOFF
from strategies import examples as hypothesis_examples

import fastconv
from fastconv import gradcheck, layers, ops, reference, regularizers
from fastconv.models import Sequential, load_model

KERAS = dict(np.load(Path(__file__).parent / "golden" / "regularization.npz"))
CASES = list(golden_regularization.cases(fastconv))
PENALIZED = golden_regularization.penalized(fastconv)


# ---- the penalties themselves


@pytest.mark.parametrize("name", PENALIZED)
def test_penalty_and_gradient_equal_keras(name):
    regularizer, array = PENALIZED[name]
    np.testing.assert_allclose(regularizer(array), KERAS[f"penalty {name}"], rtol=1e-6)
    gradient = KERAS[f"gradient {name}"]
    # Orthogonality takes differences of numbers as large as the factor, which leave their rounding.
    atol = 1e-6 * np.abs(gradient).max()
    np.testing.assert_allclose(regularizer.gradient(array), gradient, rtol=1e-6, atol=atol)


@hypothesis_examples(200)
@given(
    st.integers(0, 70) | st.integers(1000, 3000),
    st.sampled_from([0.0, 0.01, 1.5]),
    st.sampled_from([0.0, 0.02, 3.0]),
    st.integers(0, 2**16),
)
def test_the_kernel_equals_the_reference(count, l1, l2, seed):
    random = np.random.default_rng(seed)
    x = random.normal(size=count).astype(np.float32)
    x[random.random(count) < 0.1] = 0
    start = random.normal(size=count).astype(np.float32)
    exact_grad = start.astype(np.float64)
    exact = reference.l1_l2_penalty(x, l1, l2, exact_grad, scale=0.25)
    for isa in each_isa():
        grad = start.copy()
        penalty = ops.l1_l2_penalty(x, l1, l2, grad, scale=0.25)
        # Floats are added up 1,024 at a time, in four sums of at least one lane.
        assert penalty == pytest.approx(exact, rel=256 * UNIT_ROUNDOFF), isa
        terms = np.abs(start) + 0.25 * (l1 + 2 * l2 * np.abs(x))
        assert (np.abs(grad - exact_grad) <= 5 * UNIT_ROUNDOFF * terms).all(), isa
        assert ops.l1_l2_penalty(x, l1, l2) == penalty


def test_a_penalty_of_a_million_weights_keeps_its_digits():
    x = np.full(1_000_003, 0.1, np.float32)
    exact = 0.5 * 1_000_003 * float(x[0]) + 0.25 * 1_000_003 * float(x[0]) ** 2
    for isa in each_isa():
        assert ops.l1_l2_penalty(x, 0.5, 0.25) == pytest.approx(exact, rel=1e-6), isa


def test_threads_do_not_change_a_bit():
    random = np.random.default_rng(1)
    x = random.normal(size=300_001).astype(np.float32)

    def compute():
        grad = np.ones_like(x)
        return np.float64(ops.l1_l2_penalty(x, 0.3, 0.7, grad)), grad

    assert_same_bits_on_any_threads(compute)


@pytest.mark.parametrize("backend", ["native", "reference"])
def test_not_a_number_stays_one_and_what_is_off_does_not_spread_infinity(backend):
    x = np.float32([np.nan, np.inf, -np.inf, 0.0, -0.0])
    with fastconv.set_backend(backend):
        grad = np.zeros_like(x)
        assert np.isnan(ops.l1_l2_penalty(x, 0.5, 0.0, grad))
        np.testing.assert_array_equal(grad, [np.nan, 0.5, -0.5, 0, 0])
        assert ops.l1_l2_penalty(x[1:], 0.5, 0.0) == np.inf
        assert ops.l1_l2_penalty(x[1:], 0.0, 0.0) == 0
        assert ops.l1_l2_penalty(x[:0], 0.5, 0.5, grad[:0]) == 0


def test_the_gradient_must_be_an_array_that_can_be_changed():
    x = np.ones((4, 3), np.float32)
    for grad, error, message in [
        (np.zeros((4, 3)), TypeError, "float32 array; got dtype float64"),
        ([0.0], TypeError, "got list"),
        (np.zeros((3, 4), np.float32), ValueError, r"grad must have shape \(4, 3\)"),
        (np.zeros((3, 4), np.float32).T, ValueError, "C-contiguous"),
        (np.broadcast_to(np.float32(0), (4, 3)), ValueError, "writeable"),
    ]:
        with pytest.raises(error, match=message):
            ops.l1_l2_penalty(x, 1, 1, grad)
    assert ops.l1_l2_penalty(np.asfortranarray(x, np.float64), 1, 0) == 12  # x itself may be anything


def test_x_may_be_read_only_and_lie_anyhow():
    x = np.arange(12.0).reshape(3, 4)[:, ::-2]
    x.flags.writeable = False
    assert ops.l1_l2_penalty(x, 2.0, 1.0) == pytest.approx(2 * x.sum() + (x**2).sum())


# ---- names


@pytest.mark.parametrize(
    ("identifier", "config"),
    [
        ("l1", {"l1": 0.01}),
        ("l2", {"l2": 0.01}),
        ("L2", {"l2": 0.01}),
        ("l1_l2", {"l1": 0.01, "l2": 0.01}),
        (regularizers.L1L2, {"l1": 0.0, "l2": 0.0}),
        (regularizers.l1(None), {"l1": 0.01}),
        (regularizers.l1_l2(l2=0.5), {"l1": 0.0, "l2": 0.5}),
        ("orthogonal_regularizer", {"factor": 0.01, "mode": "rows"}),
        ({"class_name": "L2", "config": {"l2": 0.3}}, {"l2": 0.3}),
    ],
)
def test_the_many_ways_to_name_one(identifier, config):
    assert regularizers.get(identifier).get_config() == config


@pytest.mark.parametrize("regularizer", [r for r, _ in PENALIZED.values()], ids=repr)
def test_configuration_round_trip(regularizer):
    restored = regularizers.deserialize(regularizers.serialize(regularizer))
    assert type(restored) is type(regularizer)
    assert restored.get_config() == regularizer.get_config()
    assert copy.deepcopy(regularizer).get_config() == regularizer.get_config()


def test_what_cannot_be_a_regularizer():
    assert regularizers.get(None) is None
    assert regularizers.serialize(None) is None
    assert regularizers.deserialize(None) is None
    with pytest.raises(ValueError, match=r"unknown regularizer 'l3'\. Known: 'l1', 'l1_l2', 'l2'"):
        regularizers.get("l3")
    with pytest.raises(TypeError, match="has no derivative here: make it a subclass"):
        regularizers.get(np.sum)
    with pytest.raises(TypeError, match=r"0\.01 is no regularizer"):
        regularizers.get(0.01)
    for factor in (-1.0, float("nan"), float("inf"), "0.1", True):
        with pytest.raises(ValueError, match="l2 must be a finite number, 0 or more"):
            regularizers.L2(factor)
    with pytest.raises(ValueError, match="did you mean 'rows'"):
        regularizers.OrthogonalRegularizer(mode="row")
    with pytest.raises(ValueError, match=r"is for matrices, .* got shape \(1, 1, 2, 2\)"):
        regularizers.OrthogonalRegularizer()(np.ones((1, 1, 2, 2)))


def test_one_vector_is_orthogonal_to_nobody():
    regularizer = regularizers.OrthogonalRegularizer(1.0)
    assert regularizer(np.ones((1, 4))) == 0
    np.testing.assert_array_equal(regularizer.gradient(np.ones((1, 4))), np.zeros((1, 4)))


class Cubes(regularizers.Regularizer):
    """One of a user's own."""

    def __init__(self, factor=0.1):
        self.factor = factor

    def __call__(self, x):
        return self.factor * np.sum(np.abs(x) ** 3)

    def gradient(self, x):
        return 3 * self.factor * x * np.abs(x)

    def get_config(self):
        return {"factor": self.factor}


# ---- gradients


@pytest.mark.parametrize("backend", ["reference", "native"])
@pytest.mark.parametrize(
    "layer",
    [
        layers.Conv2D(
            3, 2, activation="tanh", kernel_regularizer="l2", bias_regularizer=regularizers.L1(0.3)
        ),
        layers.Conv2D(17, 1, activation="sigmoid", activity_regularizer=regularizers.L1L2(0.1, 0.5)),
        layers.Conv2D(2, 3, activation="elu", kernel_regularizer=Cubes(), activity_regularizer=Cubes(0.5)),
        layers.Activation("softmax", activity_regularizer="l2"),
        layers.ActivityRegularization(0.2, 0.7),
        Sequential(
            [
                layers.Conv2D(2, 2, activity_regularizer="l2", activation="selu"),
                layers.Flatten(),
                layers.Dense(5, kernel_regularizer=regularizers.OrthogonalRegularizer(2.0)),
                layers.ActivityRegularization(l2=0.4),
                layers.Dense(2, activation="softmax", activity_regularizer="l1_l2", bias_regularizer="l2"),
            ]
        ),
    ],
    ids=["weights", "activities", "own", "activation", "layer", "model"],
)
def test_gradients_of_loss_and_penalties(layer, backend):
    """The slope of f = Σ y·r + penalties, which gradcheck measures, and what backward and penalize say."""
    x = np.random.default_rng(3).normal(size=(3, 4, 4, 2))
    check = gradcheck(copy.deepcopy(layer), x, backend=backend, training=True)
    assert check, check


# ---- in layers


def test_losses_are_penalties_on_outputs_and_trainable_weights():
    layer = layers.Dense(
        5, kernel_initializer="ones", kernel_regularizer=regularizers.L1(0.01), activity_regularizer="l2"
    )
    layer.build((5,))
    assert layer.losses == pytest.approx([0.25])
    layer(np.full((5, 5), 2.0))  # outputs of 10: 0.01 · 25 · 100 / 5
    assert layer.activity_losses == pytest.approx([5.0])
    assert layer.losses == pytest.approx([5.0, 0.25])
    layer.trainable = False
    assert layer.losses == pytest.approx([5.0])


def test_activity_regularizers_can_be_given_later_to_layers_that_learn_from_them():
    layer = layers.Dense(2, kernel_initializer="ones")
    layer.activity_regularizer = regularizers.L2(1.0)
    y = layer(np.ones((1, 2)))
    np.testing.assert_allclose(layer.backward(np.zeros_like(y)), [[8.0, 8.0]])
    with pytest.raises(AttributeError):
        layers.MaxPooling2D().activity_regularizer = regularizers.L2(1.0)


def test_an_empty_batch_costs_nothing():
    layer = layers.Dense(3, activity_regularizer="l2")
    layer(np.ones((1, 2)))
    y = layer(np.ones((0, 2)))
    assert layer.losses == [0.0]
    assert layer.backward(np.ones_like(y)).shape == (0, 2)


def test_model_losses_are_those_of_all_layers():
    inner = Sequential([layers.Dense(3, activity_regularizer="l1"), layers.ActivityRegularization(l2=1.0)])
    model = Sequential([layers.Input((2,)), inner, layers.Dense(1, kernel_regularizer="l2")])
    x = np.ones((4, 2), np.float32)
    y = inner(x)
    model(x)
    kernel = model.layers[-1].kernel.value
    expected = [0.01 * np.abs(y).sum() / 4, (y**2).sum() / 4, 0.01 * (kernel**2).sum()]
    np.testing.assert_allclose(model.losses, expected, rtol=1e-6)


def test_a_weight_of_a_layer_of_your_own_may_have_them():
    class Scale(layers.Layer):
        def create_weights(self, input_shape):
            self.gamma = self.add_weight(
                input_shape, "ones", name="gamma", regularizer="l2", constraint="non_neg"
            )

        def call(self, x, training):
            self.remember(x)
            return x * self.gamma.value

        def backward(self, dy, input_gradient=True):
            (x,) = self.recall()
            self.gamma.grad = (dy * x).sum(axis=0)
            return dy * self.gamma.value

    layer = Scale()
    layer.forward(np.zeros((2, 3)))
    assert layer.losses == pytest.approx([0.03])
    layer.backward(np.zeros((2, 3)))
    assert regularizers.penalize(layer.parameters) == pytest.approx(0.03)
    np.testing.assert_allclose(layer.gamma.grad, [0.02] * 3, rtol=1e-6)
    assert gradcheck(Scale(), np.ones((2, 3)))


# ---- in training


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("isa", fastconv.available_isas())
def test_fifty_steps_equal_keras(case, isa):
    """Losses of up to 2, of which float32 keeps 1e-7, and weights after fifty steps of rounding."""
    with fastconv.set_isa(isa):
        model, losses = golden_regularization.trained(fastconv, case)
        np.testing.assert_allclose(losses, KERAS[f"{case}/losses"], rtol=1e-6, atol=1e-6)
        for index, array in enumerate(model.get_weights()):
            np.testing.assert_allclose(array, KERAS[f"{case}/{index}"], rtol=0, atol=1e-6)
        evaluated = golden_regularization.evaluated(model)
        assert evaluated == pytest.approx(float(KERAS[f"{case}/evaluated"]), rel=1e-6)


def classifier(**arguments):
    return Sequential(
        [
            layers.Input((6, 6, 2)),
            layers.Conv2D(4, 3, activation="relu", **arguments),
            layers.Flatten(),
            layers.Dense(3, activation="softmax", kernel_regularizer="l1"),
        ]
    )


def test_programs_and_layers_learn_the_same():
    x, y = examples(40, (6, 6, 2), 3)
    weights = []
    for jit_compile in (True, False):
        model = classifier(kernel_regularizer="l2", kernel_constraint="non_neg")
        set_seeded_weights(model)
        model.compile("sgd", "sparse_categorical_crossentropy", jit_compile=jit_compile)
        losses = [model.train_on_batch(x, y) for _ in range(5)]
        weights.append([*model.get_weights(), np.array(losses), np.array(model.test_on_batch(x, y))])
    for compiled, layered in zip(*weights, strict=True):
        np.testing.assert_allclose(compiled, layered, rtol=1e-5, atol=1e-6)


def test_the_reference_backend_learns_the_same():
    x, y = examples(6, (6, 6, 2), 3)
    weights = []
    for backend in ("native", "reference"):
        model = classifier(kernel_regularizer="l1_l2", activity_regularizer="l2")
        set_seeded_weights(model)
        model.compile("sgd", "sparse_categorical_crossentropy")
        with fastconv.set_backend(backend):
            loss = model.train_on_batch(x, y)
        weights.append([np.array(loss), *model.get_weights()])
    for native, reference_weights in zip(*weights, strict=True):
        np.testing.assert_allclose(native, reference_weights, rtol=1e-5, atol=1e-6)


def test_frozen_layers_cost_nothing():
    x, y = examples(8, (6, 6, 2), 3)
    model = classifier(kernel_regularizer=regularizers.L2(100.0))
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.layers[0].trainable = False
    before = model.layers[0].get_weights()
    assert model.test_on_batch(x, y) < 10
    assert model.train_on_batch(x, y) < 10
    for array, old in zip(model.layers[0].get_weights(), before, strict=True):
        np.testing.assert_array_equal(array, old)


def test_a_fused_softmax_gets_the_gradient_of_its_activity():
    """Softmax and cross-entropy are differentiated together; the penalty on probabilities comes on top."""
    x, y = examples(8, (6, 6, 2), 3)
    flattened = []
    for factor in (0.0, 5.0):
        model = Sequential(
            [
                layers.Input((6, 6, 2)),
                layers.Flatten(),
                layers.Dense(3, activation="softmax", activity_regularizer=regularizers.L2(factor)),
            ]
        )
        set_seeded_weights(model)
        model.compile("sgd", "sparse_categorical_crossentropy")
        for _ in range(100):
            model.train_on_batch(x, y)
        flattened.append(model.predict(x, verbose=0).max(axis=1).mean())
    assert flattened[1] < flattened[0] - 0.02  # Σp² is least where all probabilities are equal


def test_models_with_penalties_survive_saving(tmp_path):
    x, y = examples(16, (6, 6, 2), 3)
    model = Sequential(
        [
            layers.Input((6, 6, 2)),
            layers.Conv2D(4, 3, kernel_regularizer=Cubes(0.2), activity_regularizer="l1"),
            layers.ActivityRegularization(l1=0.01),
            layers.Flatten(),
            layers.Dense(3, activation="softmax", bias_regularizer=regularizers.L1L2(0.1, 0.2)),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(x, y, epochs=1, verbose=0)
    path = tmp_path / "model.safetensors"
    model.save(path)
    with pytest.raises(ValueError, match="unknown regularizer 'Cubes'"):
        load_model(path)
    restored = load_model(path, custom_objects={"Cubes": Cubes})
    assert restored.layers[0].kernel.regularizer.get_config() == {"factor": 0.2}
    for other in (restored, copy.deepcopy(model)):
        assert other.train_on_batch(x, y) == pytest.approx(
            copy.deepcopy(model).train_on_batch(x, y), rel=1e-7
        )
