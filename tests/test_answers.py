"""Which output is the answer: the loss says, and where there is none, the last layer's."""

from __future__ import annotations

import numpy as np
import pytest

from fastconv import layers, losses, models, visualize
from fastconv.models.answers import as_scores, outputs_distances

X = np.eye(3, dtype=np.float32)
FAR_OFF_DIAGONAL = 4 * (1 - np.eye(3, dtype=np.float32))


class Distances(layers.Layer):
    """y = 4 (1 − x): of a one-hot x the smallest output is that of its class. It says nothing of a loss."""

    def call(self, x, training=False):
        return 4 * (1 - x)

    def backward(self, dy, input_gradient=True):
        return -4 * dy


def rbf():
    model = models.Sequential([layers.Input((3,)), layers.RBF(3, prototypes=np.eye(3))])
    assert model.predict(X, verbose=0).argmin(axis=1).tolist() == [0, 1, 2]
    return model


def test_the_loss_says_that_the_smallest_is_the_answer():
    model = models.Sequential([layers.Input((3,)), Distances()])
    assert outputs_distances(model) == [False]
    model.compile("sgd", "maximum_a_posteriori", metrics=["accuracy"])
    with pytest.warns(UserWarning, match="takes distances"):
        model.train_on_batch(X, np.arange(3))
    assert outputs_distances(model) == [True]
    assert model.evaluate(X, np.arange(3), verbose=0, return_dict=True)["accuracy"] == 1
    np.testing.assert_array_equal(as_scores(model, FAR_OFF_DIAGONAL), -FAR_OFF_DIAGONAL)


@pytest.mark.parametrize("loss", [None, "maximum_a_posteriori", "mse"])
def test_a_layer_of_distances_asks_for_such_a_loss(loss):
    model = rbf()
    if loss is not None:
        model.compile(loss=loss, metrics=["accuracy"])
    assert outputs_distances(model) == [True]
    assert not len(visualize.find_mistakes(model, X, np.arange(3)).examples)
    assert model.suitable_loss == "maximum_a_posteriori"
    assert models.Sequential([layers.Input((3,)), model]).suitable_loss == "maximum_a_posteriori"


def test_each_output_has_a_loss_of_its_own():
    x = layers.Input((3,))
    scores = layers.Dense(3, activation="softmax", kernel_initializer="identity", name="scores")(x)
    model = models.Model(x, [layers.RBF(3, prototypes=np.eye(3), name="near")(x), scores])
    model.compile(
        loss=["maximum_a_posteriori", "sparse_categorical_crossentropy"], metrics=[["accuracy"], ["accuracy"]]
    )
    assert outputs_distances(model) == [True, False]
    results = model.evaluate(X, [np.arange(3), np.arange(3)], verbose=0, return_dict=True)
    assert results["near_accuracy"] == results["scores_accuracy"] == 1


def test_losses_that_take_distances():
    assert losses.MaximumAPosteriori().takes_distances
    assert not losses.SparseCategoricalCrossentropy().takes_distances
