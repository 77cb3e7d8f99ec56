"""Losses: Keras' numbers, derivatives against central differences, weights, reductions, configuration."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import fastconv.losses as losses
from fastconv import set_backend
from fastconv.losses import (
    BinaryCrossentropy,
    BinaryFocalCrossentropy,
    CategoricalCrossentropy,
    CategoricalFocalCrossentropy,
    CategoricalHinge,
    CosineSimilarity,
    Hinge,
    Huber,
    KLDivergence,
    LogCosh,
    Loss,
    MaximumAPosteriori,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    Poisson,
    SparseCategoricalCrossentropy,
    SquaredHinge,
)

GOLDEN = np.load(Path(__file__).parent / "golden" / "losses.npz")  # made by golden/make_losses.py
CASES = json.loads(str(GOLDEN["cases"]))


def case_name(case):
    name, arguments, target, prediction, weights = case
    return "-".join([name, *(f"{k}={v}" for k, v in arguments.items()), target, prediction, str(weights)])


@pytest.mark.parametrize(("number", "case"), list(enumerate(CASES)), ids=list(map(case_name, CASES)))
def test_value_and_gradient_are_those_of_keras(number, case):
    # Both sides compute in float32 and round differently: an exponential, a sum of at most 60 terms and a
    # logarithm, each good to a few times 6e-8. The difference p - t is absolute in t = 1.
    name, arguments, target, prediction, weights = case
    loss = losses.get({"class_name": name, "config": arguments})
    weight = None if weights is None else GOLDEN[weights]
    y_true, y_pred = GOLDEN[target], GOLDEN[prediction]
    value = GOLDEN[f"value_{number}"]
    atol = 1e-6 if name == "CosineSimilarity" else 3e-7  # what terms of size 1 that cancel leave
    np.testing.assert_allclose(loss(y_true, y_pred, weight), value, rtol=2e-6, atol=atol)
    if value.ndim:
        return

    gradient = loss.gradient(y_true, y_pred, weight)

    expected = GOLDEN[f"gradient_{number}"]
    assert gradient.dtype == np.float32
    assert gradient.shape == y_pred.shape
    np.testing.assert_allclose(gradient, expected, rtol=1e-5, atol=5e-7 * np.abs(expected).max())


OTHERS = [
    MeanAbsolutePercentageError,
    MeanSquaredLogarithmicError,
    Huber,
    LogCosh,
    Poisson,
    KLDivergence,
    Hinge,
    SquaredHinge,
    CategoricalHinge,
    CosineSimilarity,
    BinaryFocalCrossentropy,
    CategoricalFocalCrossentropy,
]


@pytest.mark.parametrize("loss", [loss() for loss in OTHERS], ids=lambda loss: loss.name)
def test_the_function_is_the_class_per_sample(loss):
    y_true, y_pred = np.eye(4)[[3, 0, 2]], softmax(np.arange(12.0).reshape(3, 4) % 5)
    function = getattr(losses, {"huber_loss": "huber"}.get(loss.name, loss.name))
    np.testing.assert_array_equal(function(y_true, y_pred), loss.per_sample(y_true, y_pred))


def test_without_focus_the_focal_losses_are_the_cross_entropies():
    p = softmax(np.random.default_rng(7).normal(0, 1, (3, 4)))
    for focal, plain in [
        (BinaryFocalCrossentropy(gamma=0), BinaryCrossentropy()),
        (CategoricalFocalCrossentropy(alpha=1, gamma=0), CategoricalCrossentropy()),
    ]:
        assert focal(SOFT, p) == pytest.approx(plain(SOFT, p), rel=1e-14)
        np.testing.assert_allclose(focal.gradient(SOFT, p), plain.gradient(SOFT, p), rtol=1e-13)


def central_differences(function, x, step=1e-6):
    gradient = np.empty_like(x)
    for index in np.ndindex(x.shape):
        original = x[index]
        x[index] = original + step
        above = function(x)
        x[index] = original - step
        gradient[index] = (above - function(x)) / (2 * step)
        x[index] = original
    return gradient


def softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


ONE_HOT = np.eye(4)[[3, 0, 2]]
SOFT = np.array([[0.1, 0.2, 0.3, 0.1], [0.0, 1.0, 0.0, 0.0], [0.25, 0.25, 0.25, 0.5]])  # sums 0.7, 1, 1.25
DIFFERENTIABLE = [
    (SparseCategoricalCrossentropy(), np.array([3, 0, 2]), softmax),
    (CategoricalCrossentropy(), ONE_HOT, softmax),
    (CategoricalCrossentropy(), SOFT, softmax),
    (CategoricalCrossentropy(label_smoothing=0.3), ONE_HOT, softmax),
    (BinaryCrossentropy(), SOFT, sigmoid),
    (BinaryCrossentropy(label_smoothing=0.3), ONE_HOT, sigmoid),
    (MeanSquaredError(), SOFT, np.tanh),
    (MeanAbsoluteError(), SOFT, np.tanh),
    (MeanAbsolutePercentageError(), SOFT + 0.5, np.tanh),
    (MeanSquaredLogarithmicError(), SOFT, np.exp),
    (Huber(), SOFT, np.sinh),
    (Huber(delta=0.25), SOFT, np.sinh),
    (LogCosh(), SOFT, np.sinh),
    (Poisson(), SOFT * 3, np.exp),
    (KLDivergence(), SOFT, softmax),
    (Hinge(), 2 * ONE_HOT - 1, np.sinh),
    (Hinge(), ONE_HOT, np.sinh),
    (SquaredHinge(), 2 * ONE_HOT - 1, np.sinh),
    (CategoricalHinge(), ONE_HOT, np.sinh),
    (CosineSimilarity(), SOFT, np.sinh),
    (MaximumAPosteriori(), np.array([3, 0, 2]), np.exp),
    (MaximumAPosteriori(j=0.3), np.array([[3], [0], [2]]), np.exp),
    (BinaryFocalCrossentropy(), SOFT, sigmoid),
    (BinaryFocalCrossentropy(True, 0.4, 1.5, label_smoothing=0.3), ONE_HOT, sigmoid),
    (CategoricalFocalCrossentropy(), SOFT, softmax),
    (CategoricalFocalCrossentropy([0.1, 0.5, 1, 2], 0.5, label_smoothing=0.3), ONE_HOT, softmax),
]


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum"])
@pytest.mark.parametrize(("loss", "y_true", "activation"), DIFFERENTIABLE)
def test_gradient_is_the_derivative(loss, y_true, activation, reduction):
    # Central differences in float64: truncation about step² = 1e-12, rounding 1e-16 / step = 1e-10.
    loss = type(loss).from_config({**loss.get_config(), "reduction": reduction})
    z = np.random.default_rng(1).normal(0, 1, (3, 4))
    y_pred, weights = activation(z) * 0.9, np.array([0.5, 2.0, 1.0])  # rows that do not sum to 1

    expected = central_differences(lambda p: loss(y_true, p, weights), y_pred.copy())

    np.testing.assert_allclose(loss.gradient(y_true, y_pred, weights), expected, rtol=1e-7, atol=1e-8)


FUSING = [case for case in DIFFERENTIABLE if case[0].fuses_with]


WITH_LOGITS = [case for case in FUSING if "from_logits" in case[0].get_config()]


@pytest.mark.parametrize(("loss", "y_true", "activation"), WITH_LOGITS)
def test_gradient_from_logits_is_the_derivative(loss, y_true, activation):
    loss = type(loss).from_config({**loss.get_config(), "from_logits": True})
    z, weights = np.random.default_rng(6).normal(0, 2, (3, 4)), np.array([0.5, 2.0, 1.0])
    with set_backend("reference"):  # whose softmax is float64
        expected = central_differences(lambda z: loss(y_true, z, weights), z.copy())
        np.testing.assert_allclose(loss.gradient(y_true, z, weights), expected, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize(("loss", "y_true", "activation"), FUSING)
def test_gradient_at_logits_is_the_derivative_through_the_activation(loss, y_true, activation):
    assert loss.fuses_with == activation.__name__
    z = np.random.default_rng(2).normal(0, 1, (3, 4))
    weights = np.array([0.5, 2.0, 1.0])

    expected = central_differences(lambda z: loss(y_true, activation(z), weights), z.copy())

    fused = loss.gradient_at_logits(y_true, activation(z), weights)
    np.testing.assert_allclose(fused, expected, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("loss_class", [SparseCategoricalCrossentropy, CategoricalCrossentropy])
def test_a_hopeless_sample_pulls_only_through_the_fused_gradient(loss_class):
    probabilities = np.array([[1, 0, 0]], np.float32)  # the softmax of logits that are far apart
    y_true = [2] if loss_class is SparseCategoricalCrossentropy else [[0, 0, 1]]

    assert loss_class()(y_true, probabilities) == pytest.approx(-np.log(1e-7), rel=1e-6)
    np.testing.assert_array_equal(loss_class().gradient(y_true, probabilities), [[0, 0, 0]])
    np.testing.assert_array_equal(loss_class().gradient_at_logits(y_true, probabilities), [[1, 0, -1]])


def test_losses_that_do_not_fuse_say_so():
    assert MeanSquaredError().fuses_with is None
    with pytest.raises(NotImplementedError, match="MeanSquaredError does not fuse"):
        MeanSquaredError().gradient_at_logits([[0.0]], [[1.0]])


def test_known_values_by_hand():
    assert Huber()([[0.0, 0.0]], [[0.5, -3.0]]) == (0.125 + 2.5) / 2
    assert LogCosh()([[0.0]], [[1000.0]]) == 1000 - np.log(2)
    assert KLDivergence()([[0.5, 0.5]], np.array([[0.25, 0.75]])) == pytest.approx(
        0.5 * np.log(2) + 0.5 * np.log(2 / 3), rel=1e-14
    )
    assert Hinge()([[1, 0]], [[0.5, -3.0]]) == Hinge()([[1, -1]], [[0.5, -3.0]]) == 0.25
    assert SquaredHinge()([[1, -1]], [[0.5, -3.0]]) == 0.125
    assert CategoricalHinge()([[0, 1, 0]], [[0.5, 1.0, -3.0]]) == 0.5
    assert CosineSimilarity()([[0.0, 2.0]], [[0.0, 5.0]]) == -1
    assert MeanAbsolutePercentageError()([[4.0]], [[5.0]]) == 25
    assert MeanSquaredError()([[0.0, 1.0]], [[2.0, 1.0]]) == 2.0  # (4 + 0) / 2
    assert MeanAbsoluteError()([[0.0, 1.0]], [[2.0, 1.0]]) == 1.0  # (2 + 0) / 2
    quarter = np.array([[0.25, 0.25, 0.25, 0.25]])
    assert SparseCategoricalCrossentropy()([2], quarter) == pytest.approx(np.log(4), rel=1e-12)
    assert CategoricalCrossentropy()([[0, 0, 1, 0]], quarter) == pytest.approx(np.log(4), rel=1e-12)
    assert BinaryCrossentropy()([[1.0]], np.array([[0.25]])) == pytest.approx(np.log(4), rel=1e-12)


def test_sparse_equals_categorical_on_one_hot():
    rng = np.random.default_rng(3)
    p, labels = softmax(rng.normal(0, 2, (5, 4))), np.array([0, 3, 3, 1, 2])
    sparse, dense = SparseCategoricalCrossentropy(), CategoricalCrossentropy()
    assert sparse(labels, p) == pytest.approx(dense(np.eye(4)[labels], p), rel=1e-14)
    for method in ("gradient", "gradient_at_logits"):
        a, b = getattr(sparse, method)(labels, p), getattr(dense, method)(np.eye(4)[labels], p)
        np.testing.assert_allclose(a, b, rtol=1e-14, atol=1e-16)


def test_reductions_agree():
    p, labels, weights = softmax(np.arange(12.0).reshape(3, 4) % 5), [0, 1, 2], np.array([1.0, 0.0, 3.0])
    each = SparseCategoricalCrossentropy(reduction="none")(labels, p, weights)
    assert each.shape == (3,)
    np.testing.assert_array_equal(each, SparseCategoricalCrossentropy(reduction=None)(labels, p, weights))
    np.testing.assert_array_equal(each, losses.sparse_categorical_crossentropy(labels, p) * weights)
    total = SparseCategoricalCrossentropy(reduction="sum")(labels, p, weights)
    assert total == pytest.approx(each.sum(), rel=1e-15)
    # The divisor is the number of samples, not the sum of the weights.
    assert SparseCategoricalCrossentropy()(labels, p, weights) == pytest.approx(each.sum() / 3, rel=1e-15)


def test_unreduced_losses_have_no_gradient():
    with pytest.raises(ValueError, match="no single gradient"):
        MeanSquaredError(reduction="none").gradient([[1.0]], [[2.0]])


@pytest.mark.parametrize("shape", [(), (2,), (2, 1), (2, 1, 1), (2, 3), (1, 3), (2, 3, 1)])
def test_weights_per_sample_or_per_element(shape):
    rng = np.random.default_rng(4)
    y_true, y_pred, weights = rng.normal(size=(2, 3, 4)), rng.normal(size=(2, 3, 4)), rng.uniform(1, 2, shape)
    per_position = np.mean((y_pred - y_true) ** 2, axis=-1)
    aligned = weights.reshape(shape[:2] + (1,) * (2 - len(shape)) if len(shape) < 3 else shape[:2])
    loss = MeanSquaredError()
    assert loss(y_true, y_pred, weights) == pytest.approx((per_position * aligned).mean(), rel=1e-14)
    expected = central_differences(lambda p: loss(y_true, p, weights), y_pred.copy())
    np.testing.assert_allclose(loss.gradient(y_true, y_pred, weights), expected, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("shape", [(3,), (2, 2), (2, 3, 4), (3, 2)])
def test_weights_that_do_not_fit_are_refused(shape):
    values = np.zeros((2, 3, 4))
    with pytest.raises(ValueError, match=r"one weight per sample: shape \(2,\) or \(2, 3\)"):
        MeanSquaredError()(values, values, np.ones(shape))


@pytest.mark.parametrize("true_shape", [(3,), (3, 1)])
@pytest.mark.parametrize("pred_shape", [(3,), (3, 1)])
def test_a_column_and_a_vector_are_the_same(true_shape, pred_shape):
    y_true, y_pred = np.array([1.0, 0.0, 1.0]), np.array([0.5, 0.25, 0.125])
    for loss in (MeanSquaredError(), BinaryCrossentropy()):
        column = loss(y_true[:, None], y_pred[:, None])
        assert loss(y_true.reshape(true_shape), y_pred.reshape(pred_shape)) == pytest.approx(
            column, rel=1e-14
        )
        gradient = loss.gradient(y_true.reshape(true_shape), y_pred.reshape(pred_shape))
        assert gradient.shape == pred_shape
        np.testing.assert_allclose(gradient.ravel(), loss.gradient(y_true[:, None], y_pred[:, None]).ravel())


def test_labels_may_be_a_column_or_whole_floats():
    p = softmax(np.arange(12.0).reshape(3, 4) % 5)
    expected = SparseCategoricalCrossentropy()([3, 0, 1], p)
    for labels in (np.array([[3], [0], [1]]), np.array([3.0, 0.0, 1.0]), np.array([3, 0, 1], np.uint8)):
        assert SparseCategoricalCrossentropy()(labels, p) == expected


def test_the_type_of_the_prediction_decides():
    for dtype, result in ((np.float32, np.float32), (np.float64, np.float64), (np.float16, np.float32)):
        y_pred = np.array([[0.25, 0.75]], dtype)
        assert SparseCategoricalCrossentropy().gradient([1], y_pred).dtype == result
        assert CategoricalCrossentropy().gradient([[0, 1]], y_pred).dtype == result
        assert BinaryCrossentropy().gradient([[0, 1]], y_pred).dtype == result
        assert MeanSquaredError().gradient([[0, 1]], y_pred).dtype == result
        for loss in (MeanAbsoluteError, *OTHERS):
            assert loss().gradient([[0, 1]], y_pred).dtype == result


def test_a_vector_without_direction_is_not_turned():
    y_pred = np.array([[0.0, 0.0], [3.0, 4.0]], np.float32)
    loss = CosineSimilarity()
    assert loss([[1.0, 0.0], [1.0, 0.0]], y_pred) == pytest.approx(-0.3, rel=1e-6)
    np.testing.assert_allclose(
        loss.gradient([[1.0, 0.0], [1.0, 0.0]], y_pred), [[0, 0], [-0.064, 0.048]], rtol=1e-6
    )  # (t̂·p̂ p̂ - t̂) / 5 / 2 = (0.6 (0.6, 0.8) - (1, 0)) / 10


def test_inputs_are_left_alone():
    y_pred = softmax(np.arange(8.0).reshape(2, 4))
    y_pred.flags.writeable = False
    for loss in (SparseCategoricalCrossentropy(), SparseCategoricalCrossentropy(from_logits=True)):
        loss([1, 2], y_pred)
        loss.gradient([1, 2], y_pred)
        loss.gradient_at_logits([1, 2], y_pred)


def test_an_empty_batch_costs_nothing():
    assert SparseCategoricalCrossentropy()(np.zeros(0, int), np.zeros((0, 4))) == 0.0
    assert MeanSquaredError().gradient(np.zeros((0, 4)), np.zeros((0, 4))).shape == (0, 4)


@pytest.mark.parametrize(
    ("loss", "y_true"),
    [
        (SparseCategoricalCrossentropy(), [1, 0]),
        (CategoricalCrossentropy(), [[0, 1], [1, 0]]),
        (BinaryCrossentropy(), [[0, 1], [1, 0]]),
        (MeanSquaredError(), [[0, 1], [1, 0]]),
        (MeanAbsoluteError(), [[0, 1], [1, 0]]),
        *((loss(), [[0, 1], [1, 0]]) for loss in OTHERS),
    ],
)
def test_nan_reaches_the_loss_and_its_own_rows_gradient(loss, y_true):
    y_pred = np.array([[0.25, 0.75], [np.nan, np.nan]])
    assert np.isnan(loss(y_true, y_pred))
    np.testing.assert_array_equal(np.isnan(loss.gradient(y_true, y_pred)), [[False, False], [True, True]])


def test_nan_targets_propagate():
    for loss in (MeanSquaredError(), BinaryCrossentropy(), CategoricalCrossentropy()):
        assert np.isnan(loss([[np.nan, 0.0]], [[0.25, 0.75]]))


def test_softmax_cross_entropy_is_loss_and_gradient_in_one():
    logits, labels = np.random.default_rng(5).normal(0, 3, (6, 4)).astype(np.float32), np.arange(6) % 4
    value, dlogits = losses.softmax_cross_entropy(logits, labels)
    loss = SparseCategoricalCrossentropy(from_logits=True)
    assert value == pytest.approx(loss(labels, logits), rel=1e-6)  # float32
    np.testing.assert_allclose(dlogits, loss.gradient(labels, logits), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", ["crossentropy", "ce", "CE"])
def test_crossentropy_is_chosen_by_the_shapes(name):
    p = softmax(np.arange(12.0).reshape(3, 4) % 5)
    column, weights = p[:, :1], np.array([1.0, 2.0, 3.0])
    loss = losses.get(name)
    for y_true, y_pred, chosen in [
        ([3, 0, 1], p, SparseCategoricalCrossentropy()),
        ([[3], [0], [1]], p, SparseCategoricalCrossentropy()),
        (ONE_HOT, p, CategoricalCrossentropy()),
        ([1, 0, 1], column, BinaryCrossentropy()),
        ([[1], [0], [1]], column, BinaryCrossentropy()),
    ]:
        assert loss(y_true, y_pred, weights) == chosen(y_true, y_pred, weights)
        assert loss.fuses_with == chosen.fuses_with
        for method in ("gradient", "gradient_at_logits"):
            gradient = getattr(loss, method)(y_true, y_pred, weights)
            np.testing.assert_array_equal(gradient, getattr(chosen, method)(y_true, y_pred, weights))


# ---- names and configuration


@pytest.mark.parametrize(
    ("identifier", "expected"),
    [
        ("sparse_categorical_crossentropy", SparseCategoricalCrossentropy),
        ("SparseCategoricalCrossentropy", SparseCategoricalCrossentropy),
        ("categorical_crossentropy", CategoricalCrossentropy),
        ("binary_crossentropy", BinaryCrossentropy),
        ("bce", BinaryCrossentropy),
        ("BCE", BinaryCrossentropy),
        ("mse", MeanSquaredError),
        ("MSE", MeanSquaredError),
        ("mean_squared_error", MeanSquaredError),
        ("meanSquaredError", MeanSquaredError),
        ("meansquared_error", MeanSquaredError),
        ("mae", MeanAbsoluteError),
        ("mape", MeanAbsolutePercentageError),
        ("MSLE", MeanSquaredLogarithmicError),
        ("kld", KLDivergence),
        ("kl_divergence", KLDivergence),
        ("KLDivergence", KLDivergence),
        ("huber", Huber),
        ("log_cosh", LogCosh),
        ("logcosh", LogCosh),
        ("hinge", Hinge),
        ("squared_hinge", SquaredHinge),
        ("categorical_hinge", CategoricalHinge),
        ("poisson", Poisson),
        ("cosine_similarity", CosineSimilarity),
        ("binary_focal_crossentropy", BinaryFocalCrossentropy),
        ("categorical_focal_crossentropy", CategoricalFocalCrossentropy),
        (losses.huber, Huber),
        (MeanSquaredError, MeanSquaredError),
        (losses.mean_squared_error, MeanSquaredError),
        (losses.sparse_categorical_crossentropy, SparseCategoricalCrossentropy),
    ],
)
def test_get(identifier, expected):
    assert type(losses.get(identifier)) is expected


def test_get_leaves_losses_and_none_as_they_are():
    loss = MeanSquaredError()
    assert losses.get(loss) is loss
    assert losses.get(None) is None


@pytest.mark.parametrize(
    "loss",
    [
        SparseCategoricalCrossentropy(from_logits=True, name="mine"),
        CategoricalCrossentropy(from_logits=True, label_smoothing=0.1, reduction="sum"),
        BinaryCrossentropy(label_smoothing=0.2),
        MeanSquaredError(reduction=None),
        MeanAbsoluteError(),
        losses.Crossentropy(reduction="sum"),
        Huber(delta=0.5),
        BinaryFocalCrossentropy(True, 0.4, 1.5, label_smoothing=0.3),
        CategoricalFocalCrossentropy([0.1, 0.9], 0.5, from_logits=True),
        CosineSimilarity(name="direction"),
        KLDivergence(reduction="sum"),
    ],
)
def test_configuration_survives_json(loss):
    copy = losses.deserialize(json.loads(json.dumps(losses.serialize(loss))))
    assert type(copy) is type(loss)
    assert copy.get_config() == loss.get_config()
    assert repr(copy) == repr(loss)


class RootError(Loss):
    def call(self, y_true, y_pred):
        return np.sqrt(np.abs(y_pred - y_true)).sum(axis=-1)

    def derivative(self, y_true, y_pred):
        return np.sign(y_pred - y_true) / (2 * np.sqrt(np.abs(y_pred - y_true)))


def test_a_loss_of_ones_own():
    loss = losses.deserialize({"class_name": "RootError", "config": {}}, {"RootError": RootError})
    y_true, y_pred, weights = np.zeros((2, 2)), np.array([[1.0, 4.0], [9.0, 16.0]]), np.array([1.0, 2.0])
    assert loss(y_true, y_pred, weights) == (3 + 2 * 7) / 2
    np.testing.assert_allclose(
        loss.gradient(y_true, y_pred, weights), [[1 / 4, 1 / 8], [2 / 12, 2 / 16]], rtol=1e-15
    )
    assert losses.get(RootError).name == "RootError"


class Weighted(Loss):
    """Squared errors, one for each element, that count 1, 2 and 3 times."""

    def call(self, y_true, y_pred):
        return np.square(y_pred - y_true) * np.array([1, 2, 3], y_pred.dtype)

    def derivative(self, y_true, y_pred):
        return 2 * (y_pred - y_true) * np.array([1, 2, 3], y_pred.dtype)


def test_one_loss_for_each_element():
    prediction = np.arange(12.0).reshape(4, 3) / 10
    target, weights = prediction[::-1] ** 2, np.array([1.0, 2, 0, 0.5])
    # values of keras 3.15.1
    assert Weighted()(target, prediction) == pytest.approx(1.1089000701904297, rel=1e-6)
    assert Weighted(reduction="sum")(target, prediction) == pytest.approx(13.306800842285156, rel=1e-6)
    assert Weighted()(target, prediction, weights) == pytest.approx(0.7136750221252441, rel=1e-6)
    assert Weighted(reduction="none")(target, prediction).shape == (4, 3)


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum"])
@pytest.mark.parametrize("weights", [None, np.array([1.0, 2, 0, 0.5]), np.arange(12.0).reshape(4, 3)])
def test_the_gradient_of_one_loss_for_each_element(reduction, weights):
    prediction = np.arange(12.0).reshape(4, 3) / 10
    target, loss = prediction[::-1] ** 2, Weighted(reduction=reduction)
    gradient = loss.gradient(target, prediction, weights)  # before any call
    expected = central_differences(lambda p: loss(target, p, weights), prediction)
    np.testing.assert_allclose(gradient, expected, rtol=1e-6, atol=1e-8)
