"""Constraints: their numbers against Keras, and that they hold after every step."""

from __future__ import annotations

import copy
from pathlib import Path

import golden_regularization
import numpy as np
import pytest
from golden_models import examples
from strategies import UNIT_ROUNDOFF

import fastconv
from fastconv import constraints, layers, optimizers
from fastconv.models import Sequential, load_model

KERAS = dict(np.load(Path(__file__).parent / "golden" / "regularization.npz"))
CONSTRAINED = golden_regularization.constrained(fastconv)


@pytest.mark.parametrize("name", CONSTRAINED)
def test_values_equal_keras(name):
    constraint, array = CONSTRAINED[name]
    before = array.copy()
    projected = constraint(array)
    assert projected.dtype == np.float32
    # Keras adds up the squares in float32.
    np.testing.assert_allclose(projected, KERAS[f"constrained {name}"], rtol=1e-6, atol=1e-7)
    np.testing.assert_array_equal(array, before)


def test_max_norm_by_hand():
    weights = np.float32([[3.0, 0.3], [4.0, 0.4]])  # two units, of lengths 5 and 0.5
    np.testing.assert_allclose(constraints.MaxNorm(1.0)(weights), [[0.6, 0.3], [0.8, 0.4]], rtol=1e-6)


@pytest.mark.parametrize(
    ("identifier", "config"),
    [
        ("max_norm", {"max_value": 2, "axis": 0}),
        ("MaxNorm", {"max_value": 2, "axis": 0}),
        ("unit_norm", {"axis": 0}),
        ("min_max_norm", {"min_value": 0.0, "max_value": 1.0, "rate": 1.0, "axis": 0}),
        (constraints.NonNeg, {}),
        (constraints.max_norm(3, axis=(0, 1)), {"max_value": 3, "axis": [0, 1]}),
        ({"class_name": "UnitNorm", "config": {"axis": [0, 1, 2]}}, {"axis": [0, 1, 2]}),
    ],
)
def test_the_many_ways_to_name_one(identifier, config):
    constraint = constraints.get(identifier)
    assert constraint.get_config() == config
    restored = constraints.deserialize(constraints.serialize(copy.deepcopy(constraint)))
    assert type(restored) is type(constraint)
    assert restored.get_config() == config


def test_what_cannot_be_a_constraint():
    assert constraints.get(None) is None
    assert constraints.serialize(None) is None
    with pytest.raises(ValueError, match="did you mean 'max_norm'"):
        constraints.get("maxnrom")
    with pytest.raises(TypeError, match="3 is no constraint"):
        constraints.get(3)
    with pytest.raises(ValueError, match=r"axis must be a whole number or a list .* got 'all'"):
        constraints.MaxNorm(axis="all")
    with pytest.raises(ValueError, match="min_value=2 is larger"):
        constraints.MinMaxNorm(2, 1)
    with pytest.raises(ValueError, match=r"needs the axes \[0, 1, 2\], the weights have shape \(2, 2\)"):
        constraints.MaxNorm(axis=[0, 1, 2])(np.ones((2, 2)))


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "nadam", "rmsprop"])
def test_they_hold_after_every_step(optimizer):
    model = Sequential(
        [
            layers.Input((6, 6, 2)),
            layers.Conv2D(
                5, 3, activation="relu", kernel_constraint=constraints.MaxNorm(0.5, axis=[0, 1, 2])
            ),
            layers.Flatten(),
            layers.Dense(
                3, activation="softmax", kernel_constraint=constraints.MaxNorm(0.3), bias_constraint="non_neg"
            ),
        ]
    )
    rule = optimizers.get(optimizer)
    rule.learning_rate = 0.1
    model.compile(rule, "sparse_categorical_crossentropy")
    x, y = examples(32, (6, 6, 2), 3)
    rounded = 1 + 3 * UNIT_ROUNDOFF  # of the factor, and of every weight
    reached = []
    for _ in range(20):
        model.train_on_batch(x, y)
        convolution, _, dense = model.layers
        of_filters = np.sqrt((convolution.kernel.value.astype(np.float64) ** 2).sum(axis=(0, 1, 2)))
        of_units = np.sqrt((dense.kernel.value.astype(np.float64) ** 2).sum(axis=0))
        assert of_filters.max() <= 0.5 * rounded
        assert of_units.max() <= 0.3 * rounded
        assert dense.bias.value.min() >= 0
        reached.append((of_filters.max(), of_units.max()))
    assert np.max(reached, axis=0) == pytest.approx([0.5, 0.3], rel=1e-5)  # they had something to do


def test_any_function_of_the_weights_will_do():
    layer = layers.Dense(2, kernel_constraint=lambda w: np.clip(w, -0.1, 0.1))
    model = Sequential([layers.Input((3,)), layer])
    model.compile("sgd", "mse")
    model.train_on_batch(np.ones((4, 3)), np.full((4, 2), 50.0))
    assert np.abs(layer.kernel.value).max() == np.float32(0.1)
    with pytest.raises(ValueError, match=r"subclass of fastconv\.constraints\.Constraint"):
        model.get_config()


class Even(constraints.Constraint):
    """One of a user's own."""

    def __call__(self, w):
        return 2 * np.round(w / 2)


def test_models_with_constraints_survive_saving(tmp_path):
    layer = layers.Dense(2, kernel_constraint=Even(), bias_constraint=constraints.MaxNorm(1, axis=-1))
    model = Sequential([layers.Input((3,)), layer])
    path = tmp_path / "model.safetensors"
    model.save(path)
    restored = load_model(path, custom_objects={"Even": Even}).layers[0]
    assert isinstance(restored.kernel.constraint, Even)
    assert restored.bias.constraint.get_config() == {"max_value": 1, "axis": -1}
