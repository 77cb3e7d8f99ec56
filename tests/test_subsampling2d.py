"""Subsampling2D and RBF: the layers of 1998 that pool and that measure distances."""

from __future__ import annotations

import numpy as np
import pytest
from kernels import assert_same_bits_on_any_threads, each_isa

from fastconv import layers, losses, metrics
from fastconv.initializers import FanInUniform, RandomSigns
from fastconv.models import Sequential

IMAGES = np.random.default_rng(0).normal(size=(3, 6, 7, 5)).astype(np.float32)


def test_subsampling_is_coefficient_times_sum_plus_bias():
    layer = layers.Subsampling2D(2, activation="scaled_tanh")
    layer.build((6, 7, 5))
    coefficient, bias = np.linspace(-1, 1, 5), np.linspace(0, 2, 5)
    layer.set_weights([coefficient, bias])
    sums = IMAGES[:, :, :6].astype(np.float64).reshape(3, 3, 2, 3, 2, 5).sum((2, 4))
    expected = 1.7159 * np.tanh((coefficient * sums + bias) * 2 / 3)
    for isa in each_isa():
        np.testing.assert_allclose(layer.forward(IMAGES), expected, atol=2e-6, err_msg=isa)


def test_on_the_matrix_of_the_textbook():
    x = np.float32([[3, 4, -2, -1], [-2, 0, 1, 2], [1, -2, 2, 6], [0, 8, 3, 5]])[None, :, :, None]
    layer = layers.Subsampling2D(2)
    np.testing.assert_array_equal(layer.forward(x)[0, :, :, 0], [[1.25, 0], [1.75, 4]])  # starts as the mean
    layer.set_weights([[1.0], [0.5]])
    np.testing.assert_array_equal(layer.forward(x)[0, :, :, 0], [[5.5, 0.5], [7.5, 16.5]])
    dx = layer.backward(np.float32([[1, 2], [3, 4]])[None, :, :, None])
    np.testing.assert_array_equal(dx[0, :, :, 0], np.kron([[1, 2], [3, 4]], np.ones((2, 2))))
    assert layer.coefficient.grad == 1 * 5 + 2 * 0 + 3 * 7 + 4 * 16
    assert layer.bias.grad == 10


@pytest.mark.parametrize("channels", [1, 17])
def test_subsampling_of_one_channel_and_of_17_on_any_threads(channels):
    x = np.random.default_rng(1).normal(size=(40, 28, 28, channels)).astype(np.float32)
    layer = layers.Subsampling2D(2, coefficient_initializer="ones")

    def compute():
        y = layer.forward(x, training=True)
        return y, layer.backward(x[:, ::2, ::2] + 0), layer.coefficient.grad.copy(), layer.bias.grad.copy()

    for _ in each_isa():
        assert_same_bits_on_any_threads(compute)
    y, _, dcoefficient, dbias = compute()
    sums = x.astype(np.float64).reshape(40, 14, 2, 14, 2, channels).sum((2, 4))
    np.testing.assert_allclose(y, sums, atol=2e-6)
    np.testing.assert_allclose(dcoefficient, (sums * x[:, ::2, ::2]).sum((0, 1, 2)), rtol=1e-4)
    np.testing.assert_allclose(dbias, x[:, ::2, ::2].sum((0, 1, 2), dtype=np.float64), atol=2e-3)


def test_subsampling_counts_shapes_and_weights():
    layer = layers.Subsampling2D((2, 3), name="S2")
    layer.build((28, 28, 6))
    assert layer.output_shape == (14, 9, 6)
    assert [weight.path for weight in layer.weights] == ["S2/coefficient", "S2/bias"]
    assert layer.count_params() == 12
    assert layer.count_connections() == 14 * 9 * 6 * (6 + 1)
    assert layer.count_multiply_adds() == 14 * 9 * 6
    again = layers.deserialize(layers.serialize(layer))
    assert again.get_config() == layer.get_config()
    overlapping = layers.Subsampling2D(3, strides=1, coefficient_initializer=FanInUniform(2.4, 9))
    assert layers.deserialize(layers.serialize(overlapping)).get_config() == overlapping.get_config()


def test_subsampling_refuses_padding():
    with pytest.raises(ValueError, match=r"Subsampling2D.*padding='same'.*ZeroPadding2D"):
        layers.Subsampling2D(2, padding="same")


def test_an_empty_batch_and_nan():
    layer = layers.Subsampling2D(2)
    assert layer.forward(np.ones((0, 6, 7, 5))).shape == (0, 3, 3, 5)
    x = IMAGES.copy()
    x[1, 2, 2, 3] = np.nan
    wrong = np.argwhere(np.isnan(layer.forward(x)))
    np.testing.assert_array_equal(wrong, [[1, 1, 1, 3]])


# ---- RBF


def test_the_nearest_prototype_has_the_smallest_output():
    layer = layers.RBF(6, prototypes=RandomSigns(seed=1))
    layer.build((40,))
    codes = layer.prototypes.value
    assert set(np.unique(codes)) == {-1, 1}
    y = layer.forward(codes)
    np.testing.assert_array_equal(np.diag(y), 0)
    different = (codes[:, None] != codes).sum(-1)
    np.testing.assert_array_equal(y, 4 * different)


def test_prototypes_learn_only_where_they_are_told_to():
    x = np.random.default_rng(2).normal(size=(5, 8)).astype(np.float32)
    fixed, learning = layers.RBF(3), layers.RBF(3, train_prototypes=True)
    for layer in (fixed, learning):
        layer.backward(np.ones_like(layer.forward(x, training=True)))
    assert fixed.parameters == []
    assert [weight.name for weight in learning.parameters] == ["prototypes"]
    expected = 2 * (5 * learning.prototypes.value - x.sum(0))
    np.testing.assert_allclose(learning.prototypes.grad, expected, rtol=1e-4, atol=1e-5)
    model = Sequential([layers.Input((8,)), fixed])
    model.trainable = True  # as after freezing a model for a while
    assert model.parameters == []


def test_prototypes_may_be_an_array():
    pictures = np.random.default_rng(3).normal(size=(4, 9)).astype(np.float32)
    layer = layers.RBF(4, prototypes=pictures)
    layer.build((9,))
    np.testing.assert_array_equal(layer.prototypes.value, pictures)
    again = layers.deserialize(layers.serialize(layer))
    again.build((9,))
    np.testing.assert_array_equal(again.prototypes.value, pictures)
    assert layer.count_connections() == layer.count_multiply_adds() == layer.count_params() == 36
    with pytest.raises(ValueError, match=r"RBF 'r': prototypes are \(units, features\) = \(5, 9\)"):
        layers.RBF(5, prototypes=pictures, name="r").build((9,))
    with pytest.raises(ValueError, match="RBF"):
        layers.RBF(5).build((3, 3, 9))


# ---- the loss and the accuracy that belong to it


def test_maximum_a_posteriori_by_hand():
    """−log of the right class's share of e^−1 (the class), e^−2 and e^−j = e^−3."""
    shares = np.exp([-1.0, -2.0, -3.0])
    loss = losses.MaximumAPosteriori(j=3)
    y = np.array([[1.0, 2.0]])
    assert loss([0], y) == pytest.approx(-np.log(shares[0] / shares.sum()), rel=1e-14)
    np.testing.assert_allclose(
        loss.gradient([0], y), [[1 - shares[0] / shares.sum(), -shares[1] / shares.sum()]]
    )
    assert losses.maximum_a_posteriori([1], y, j=3)[0] == pytest.approx(loss([1], y))


def test_it_is_the_cross_entropy_of_minus_the_distances_where_rubbish_is_far():
    y = np.random.default_rng(4).uniform(0, 9, (6, 5))
    labels = np.array([0, 4, 2, 1, 1, 3])
    expected = losses.SparseCategoricalCrossentropy(from_logits=True)
    loss = losses.MaximumAPosteriori(j=200)
    assert loss(labels, y) == pytest.approx(expected(labels, -y), rel=1e-6)
    np.testing.assert_allclose(loss.gradient(labels, y), -expected.gradient(labels, -y), rtol=1e-5, atol=1e-8)


def test_distances_of_any_size_stay_finite():
    y = np.float32([[0, 1e4, 3e38], [1e4, 2e4, 3e4], [3e38, 0, 0]])
    loss = losses.MaximumAPosteriori()
    values = loss.per_sample([0, 0, 0], y)
    np.testing.assert_allclose(values, [np.log1p(np.exp(-1)), 1e4 - 1, 3e38], rtol=1e-6)
    gradient = loss.gradient([0, 0, 0], y)
    assert np.isfinite(gradient).all()
    np.testing.assert_allclose(gradient[1] * 3, [1, 0, 0], atol=1e-6)  # all are further than j: one is pulled
    assert np.isnan(loss([0], np.float32([[np.nan, 1, 2]])))


def test_the_loss_refuses():
    for j in (0, -1, np.inf, np.nan, "far", True):
        with pytest.raises(ValueError, match="j must be a positive number"):
            losses.MaximumAPosteriori(j=j)
    with pytest.raises(ValueError, match=r"one-hot targets: use labels = y_true.argmax"):
        losses.MaximumAPosteriori()(np.eye(3), np.ones((3, 3)))
    assert losses.get("maximum_a_posteriori").get_config()["j"] == 1
    again = losses.deserialize(losses.serialize(losses.MaximumAPosteriori(j=5, reduction="sum")))
    assert (again.j, again.reduction) == (5, "sum")


def test_nearest_accuracy_looks_for_the_smallest():
    y = np.array([[3.0, 1.0, 2.0], [0.0, 1.0, 0.0], [5.0, 9.0, 4.0]])
    np.testing.assert_array_equal(
        metrics.nearest_accuracy([1, 2, 2], y), [1, 0, 1]
    )  # a tie goes to the first
    np.testing.assert_array_equal(metrics.nearest_accuracy(np.eye(3)[[1, 2, 2]], y), [1, 0, 1])
    np.testing.assert_array_equal(metrics.nearest_accuracy([[1], [0], [0]], y), [1, 1, 0])
    metric = metrics.get("nearest_accuracy")
    metric.update_state([1, 2, 2], y, sample_weight=[1, 1, 2])
    assert metric.result() == 0.75
    assert isinstance(metrics.deserialize(metrics.serialize(metric)), metrics.NearestAccuracy)


def test_accuracy_means_the_nearest_one_behind_distances():
    x = np.eye(3, 8, dtype=np.float32) * 2 - 1
    model = Sequential([layers.Input((8,)), layers.RBF(3, prototypes=x)])
    model.compile("sgd", "maximum_a_posteriori", metrics=["accuracy"], weighted_metrics=["acc"])
    results = model.evaluate(
        x, [0, 1, 1], sample_weight=np.array([1.0, 1.0, 2.0]), verbose=0, return_dict=True
    )
    assert results["accuracy"] == pytest.approx(2 / 3)
    assert results["acc"] == pytest.approx(0.5)
    nested = Sequential([layers.Input((8,)), model])
    nested.compile("sgd", "maximum_a_posteriori", metrics=["accuracy"])
    assert nested.evaluate(x, [0, 1, 2], verbose=0, return_dict=True)["accuracy"] == 1


def test_warnings_where_loss_and_last_layer_disagree():
    x = np.ones((4, 8), np.float32)
    distances = Sequential([layers.Input((8,)), layers.Dense(4), layers.RBF(3)])
    distances.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.warns(UserWarning, match="gives distances.*use MaximumAPosteriori"):
        distances.train_on_batch(x, [0, 1, 2, 0])
    scores = Sequential([layers.Input((8,)), layers.Dense(3)])
    scores.compile("sgd", "maximum_a_posteriori")
    with pytest.warns(UserWarning, match="takes distances.*is no RBF"):
        scores.train_on_batch(x, [0, 1, 2, 0])


# ---- initializers


def test_fan_in_uniform_starts_between_bounds_over_inputs():
    kernel = FanInUniform(2.4, seed=1)((5, 5, 6, 40))
    assert 0.99 * 2.4 / 150 < np.abs(kernel).max() <= 2.4 / 150
    biases = FanInUniform(2.4, [75, 150], seed=1)((2,))
    same = FanInUniform(2.4, 1, seed=1)((2,))
    np.testing.assert_allclose(biases, same / [75, 150], rtol=1e-6)
    assert FanInUniform(1.0, [1, 2]).get_config() == {"bound": 1.0, "fan_in": [1, 2], "seed": None}
    with pytest.raises(ValueError, match="must be positive"):
        FanInUniform(2.4, 0)
