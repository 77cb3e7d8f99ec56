"""What a loss says when its arguments do not fit: the mistake, and the way out."""

from __future__ import annotations

import numpy as np
import pytest

import fastconv.losses as losses
from fastconv.losses import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    Loss,
    MeanSquaredError,
    SparseCategoricalCrossentropy,
)

UNIFORM = np.full((3, 10), 0.1)


def message(function, *arguments):
    with pytest.raises((ValueError, TypeError, NotImplementedError)) as caught:
        function(*arguments)
    return str(caught.value)


@pytest.mark.parametrize("label", [10, -1])
@pytest.mark.parametrize("method", ["__call__", "gradient", "gradient_at_logits"])
def test_label_out_of_range(label, method):
    loss = SparseCategoricalCrossentropy()
    text = message(getattr(loss, method), [0, label, 2], UNIFORM)
    assert f"label {label} at index 1 of the batch is outside 0..9, the 10 classes of y_pred (3, 10)" in text


def test_label_out_of_range_in_a_map_names_its_place():
    labels = np.zeros((2, 3), int)
    labels[1, 2] = 7
    text = message(SparseCategoricalCrossentropy(), labels, np.full((2, 3, 5), 0.2))
    assert "label 7 at index (1, 2) of the batch is outside 0..4" in text


@pytest.mark.parametrize("label", [0.5, np.nan, np.inf])
def test_label_that_is_no_whole_number(label):
    text = message(SparseCategoricalCrossentropy(), [0.0, 1.0, label], UNIFORM)
    assert f"expects whole-number labels, but label {label} at index 2 of the batch is not one" in text


def test_one_hot_given_to_the_sparse_loss():
    text = message(SparseCategoricalCrossentropy(), np.eye(10)[:3], UNIFORM)
    assert "whole-number labels of shape (3,), got y_true of shape (3, 10)" in text
    assert "use categorical_crossentropy, or labels = y_true.argmax(axis=-1)" in text


@pytest.mark.parametrize("shape", [(3,), (3, 1)])
def test_labels_given_to_the_categorical_loss(shape):
    text = message(CategoricalCrossentropy(), np.zeros(shape, int), UNIFORM)
    assert f"one-hot targets of shape (3, 10), got y_true of shape {shape}" in text
    assert "use sparse_categorical_crossentropy, or utils.to_categorical(y_true, 10)" in text


@pytest.mark.parametrize("loss", [CategoricalCrossentropy(), MeanSquaredError(), BinaryCrossentropy()])
@pytest.mark.parametrize("shape", [(3, 9), (10,), (2, 10), (1, 10), (3, 10, 1, 1)])
def test_shapes_never_broadcast(loss, shape):
    text = message(loss, np.zeros(shape), UNIFORM)
    assert f"must have the same shape, got {shape} and (3, 10)" in text


def test_wrong_number_of_labels():
    text = message(SparseCategoricalCrossentropy(), [0, 1], UNIFORM)
    assert "expects labels of shape (3,) for y_pred of shape (3, 10), got (2,)" in text


@pytest.mark.parametrize("loss", [CategoricalCrossentropy(), SparseCategoricalCrossentropy()])
def test_one_class_is_no_choice(loss):
    text = message(loss, np.zeros((3, 1)), np.ones((3, 1)))
    assert "fewer than 2: for two classes and one output use binary_crossentropy" in text


def test_class_numbers_given_to_the_binary_loss():
    text = message(BinaryCrossentropy(), [[0], [7]], [[0.5], [0.5]])
    assert "expects targets between 0 and 1, got 7" in text
    assert "use sparse_categorical_crossentropy" in text


@pytest.mark.parametrize("bad", [np.array([[1 + 2j]]), np.array([["a"]]), np.array([[None]])])
def test_only_numbers(bad):
    assert "y_true must hold numbers" in message(MeanSquaredError(), bad, [[1.0]])
    assert "y_pred must hold numbers" in message(MeanSquaredError(), [[1.0]], bad)


def test_unknown_name_lists_and_suggests():
    text = message(losses.get, "sparse_categorical_crossentropie")
    assert "unknown loss 'sparse_categorical_crossentropie'" in text
    assert "did you mean 'sparse_categorical_crossentropy'?" in text
    assert "'mse'" in text


def test_a_plain_function_has_no_derivative():
    def my_loss(y_true, y_pred):
        return np.abs(y_true - y_pred)

    text = message(losses.get, my_loss)
    assert "'my_loss' has no derivative" in text
    assert "subclass of fastconv.losses.Loss" in text


def test_what_is_no_loss():
    assert "3 is no loss: expected a name" in message(losses.get, 3)
    assert "class_name" in message(losses.get, {"name": "mse"})
    assert "is no loss" in message(losses.get, int)


def test_reductions():
    assert "did you mean 'sum'" in message(MeanSquaredError, "sun")
    assert "'sum_over_batch_size' is the same number" in message(MeanSquaredError, "mean")
    assert "scale the weights" in message(MeanSquaredError, "mean_with_sample_weight")


@pytest.mark.parametrize("argument", [{"axis": 1}, {"ignore_class": 0}, {"dtype": "float16"}])
def test_arguments_left_out_say_so(argument):
    with pytest.raises(ValueError, match=f"{next(iter(argument))!r} is not supported yet"):
        SparseCategoricalCrossentropy(**argument)


def test_labels_given_to_the_categorical_hinge():
    text = message(losses.CategoricalHinge(), np.zeros(3, int), UNIFORM)
    assert "the shape of whole-number labels: use utils.to_categorical(y_true, 10)" in text


@pytest.mark.parametrize("delta", [0, -1, np.nan])
def test_delta_of_huber(delta):
    with pytest.raises(ValueError, match="delta is where the parabola ends, a positive number"):
        losses.Huber(delta)


def test_alpha_of_the_focal_loss():
    text = message(losses.CategoricalFocalCrossentropy([0.1, 0.2]), UNIFORM, UNIFORM)
    assert "alpha must be one number, or one for each of the 10 classes; got [0.1, 0.2]" in text


def test_cosine_similarity_has_one_axis():
    assert "'axis' is not supported" in message(losses.CosineSimilarity, 0)


@pytest.mark.parametrize("smoothing", [-0.1, 1.5])
def test_label_smoothing_is_a_share(smoothing):
    with pytest.raises(ValueError, match="between 0 and 1"):
        CategoricalCrossentropy(label_smoothing=smoothing)
    with pytest.raises(ValueError, match="between 0 and 1"):
        BinaryCrossentropy(label_smoothing=smoothing)


def test_a_loss_of_ones_own_is_told_what_is_missing():
    class Bare(Loss):
        pass

    class Summed(Loss):
        def call(self, y_true, y_pred):
            return np.sum(y_pred)

    assert "Bare has no call" in message(Bare(), [[1.0]], [[2.0]])
    assert "Summed has no derivative" in message(Summed().gradient, [[1.0]], [[2.0]])
    assert "one loss per sample, an array of shape (1,)" in message(Summed(), [[1.0]], [[2.0]])
