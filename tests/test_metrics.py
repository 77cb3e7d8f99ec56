"""Metrics: Keras' numbers batch after batch, ties, weights, names, functions of one's own, errors."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import fastconv.losses as losses
import fastconv.metrics as metrics
from fastconv.metrics import Mean, MeanMetricWrapper, Metric

GOLDEN = np.load(Path(__file__).parent / "golden" / "metrics.npz")  # made by golden/make_metrics.py
CASES = json.loads(str(GOLDEN["cases"]))
BATCHES = GOLDEN["batches"].tolist()


def case_name(case):
    name, arguments, target, prediction, weights = case
    return "-".join(
        [name, *(f"{k}={v}" for k, v in arguments.items()), str(target), prediction, str(weights)]
    )


@pytest.mark.parametrize(("number", "case"), list(enumerate(CASES)), ids=list(map(case_name, CASES)))
def test_results_after_each_batch_are_those_of_keras(number, case):
    # Keras adds up in float32: 23 x 7 terms, each rounded to 6e-8 of the sum.
    name, arguments, target, prediction, weights = case
    metric = metrics.deserialize({"class_name": name, "config": arguments})
    for _epoch in range(2):  # the second epoch shows that reset_state forgets the first
        metric.reset_state()
        results = []
        for start, stop in BATCHES:
            values = [GOLDEN[key][start:stop] for key in (target, prediction) if key]
            weight = None if weights is None else GOLDEN[weights][start:stop]
            metric.update_state(*values, sample_weight=weight)
            results.append(metric.result())
        np.testing.assert_allclose(results, GOLDEN[f"result_{number}"], rtol=2e-6, atol=1e-7)


def test_batches_of_any_size_give_the_result_of_one():
    y_true, y_pred, weights = GOLDEN["labels"], GOLDEN["scores"], GOLDEN["weights"]
    whole, parts = metrics.SparseCategoricalAccuracy(), metrics.SparseCategoricalAccuracy()
    whole.update_state(y_true, y_pred, weights)
    for i in range(len(y_true)):
        parts.update_state(y_true[i : i + 1], y_pred[i : i + 1], weights[i : i + 1])
    assert parts.result() == pytest.approx(whole.result(), rel=1e-14)
    right = y_pred.argmax(axis=1) == y_true
    assert whole.result() == pytest.approx(
        (weights * right).sum() / weights.sum(), rel=1e-6
    )  # float32 weights


@pytest.mark.parametrize(
    ("k", "expected"),
    [(1, [1, 0, 0, 0]), (2, [1, 1, 1, 0]), (3, [1, 1, 1, 0]), (4, [1, 1, 1, 1])],
)
def test_ties_at_the_kth_score_count_and_nan_does_not(k, expected):
    scores = [[0.9, 0.1, 0.0, 0.0], [0.9, 0.1, 0.1, 0.1], [0.9, 0.1, 0.1, 0.1], [0.9, 0.5, 0.1, np.nan]]
    labels = [0, 1, 3, 3]
    result = metrics.sparse_top_k_categorical_accuracy(labels, scores, k=k)
    np.testing.assert_array_equal(result, expected)
    one_hot = np.eye(4)[labels]
    np.testing.assert_array_equal(metrics.top_k_categorical_accuracy(one_hot, scores, k=k), expected)


def test_a_tie_for_the_largest_score_goes_to_the_first():
    scores = [[0.4, 0.4, 0.2], [0.2, 0.4, 0.4]]
    np.testing.assert_array_equal(metrics.sparse_categorical_accuracy([0, 2], scores), [1, 0])
    np.testing.assert_array_equal(metrics.categorical_accuracy([[0, 1, 0], [0, 1, 0]], scores), [0, 1])


def test_the_threshold_itself_means_no():
    np.testing.assert_array_equal(metrics.binary_accuracy([0, 1], [0.5, 0.5]), [1, 0])
    np.testing.assert_array_equal(metrics.binary_accuracy([0, 1], [0.5, 0.5], threshold=0.4), [0, 1])


def test_nothing_seen_is_zero():
    assert metrics.Mean().result() == 0.0
    assert metrics.SparseCategoricalAccuracy().result() == 0.0


def test_mean_of_numbers():
    mean = Mean("loss")
    mean.update_state(2.0, 3)  # as the training loop does: the loss of a batch, weighted by its size
    mean.update_state(4.0, 1)
    assert mean.result() == 2.5
    assert mean([8.0, 8.0, 8.0, 8.0]) == 5.25
    mean.reset_state()
    assert mean([[1.0, 2.0], [5.0, 8.0]]) == 4.0


def test_a_sample_counts_once_however_many_values_it_has():
    mean = Mean()
    mean.update_state([[1.0, 2.0, 3.0]])
    mean.update_state([[10.0]])
    assert mean.result() == 6.0
    mean.reset_state()
    mean.update_state([[1.0, 2.0, 3.0]], [2.0])
    mean.update_state([[11.0]], [1.0])
    assert mean.result() == 5.0


def test_counting_does_not_stop_at_float32():
    mean = Mean()
    mean.update_state(1.0, 2.0**24)
    for _ in range(4):
        mean.update_state(0.0)
    assert mean.count == 2**24 + 4


# ---- names


@pytest.mark.parametrize(
    ("identifier", "expected", "name"),
    [
        ("accuracy", metrics.Accuracy, "accuracy"),
        ("binary_accuracy", metrics.BinaryAccuracy, "binary_accuracy"),
        ("BinaryAccuracy", metrics.BinaryAccuracy, "BinaryAccuracy"),
        ("categorical_accuracy", metrics.CategoricalAccuracy, "categorical_accuracy"),
        ("sparse_categorical_accuracy", metrics.SparseCategoricalAccuracy, "sparse_categorical_accuracy"),
        ("top_k_categorical_accuracy", metrics.TopKCategoricalAccuracy, "top_k_categorical_accuracy"),
        ("mse", metrics.MeanSquaredError, "mse"),
        ("mae", metrics.MeanAbsoluteError, "mae"),
        ("mean_squared_error", metrics.MeanSquaredError, "mean_squared_error"),
        ("bce", metrics.BinaryCrossentropy, "bce"),
        (metrics.SparseCategoricalAccuracy, metrics.SparseCategoricalAccuracy, "sparse_categorical_accuracy"),
        (metrics.TopKCategoricalAccuracy(k=3, name="top3"), metrics.TopKCategoricalAccuracy, "top3"),
        (metrics.binary_accuracy, MeanMetricWrapper, "binary_accuracy"),
        (losses.mean_squared_error, MeanMetricWrapper, "mean_squared_error"),
        (losses.MeanSquaredError(name="error"), MeanMetricWrapper, "error"),
    ],
)
def test_get(identifier, expected, name):
    metric = metrics.get(identifier)
    assert type(metric) is expected
    assert metric.name == name


def test_get_none_and_get_what_is_already_a_metric():
    metric = metrics.Mean()
    assert metrics.get(metric) is metric
    assert metrics.get(None) is None


def test_directions_tell_callbacks_what_is_better():
    assert metrics.get("sparse_categorical_accuracy").direction == "up"
    assert metrics.get("mse").direction == "down"
    assert metrics.get(losses.SparseCategoricalCrossentropy()).direction == "down"
    assert metrics.get(lambda y_true, y_pred: 0.0).direction is None


def test_a_loss_as_metric_is_averaged_over_samples():
    y_true, y_pred = np.zeros((3, 2)), np.array([[1.0, 1.0], [2.0, 2.0], [3.0, 5.0]])
    metric = metrics.get("mse")
    metric.update_state(y_true[:2], y_pred[:2])
    metric.update_state(y_true[2:], y_pred[2:])
    assert metric.result() == pytest.approx((1 + 4 + (9 + 25) / 2) / 3, rel=1e-15)


def largest_error(y_true, y_pred):
    return np.max(np.abs(y_pred - y_true), axis=-1)


def test_a_function_of_ones_own():
    metric = metrics.get(largest_error)
    assert metric.name == "largest_error"
    metric.update_state(np.zeros((2, 2)), np.array([[1.0, -3.0], [2.0, 0.0]]))
    assert metric.result() == 2.5
    metric.update_state(np.zeros((1, 2)), np.array([[10.0, 0.0]]), [2.0])
    assert metric.result() == (3 + 2 + 2 * 10) / 4


def test_a_function_may_return_one_number_per_batch():
    metric = metrics.get(lambda y_true, y_pred: float(np.max(y_pred)))
    metric.update_state([0, 0], [1.0, 3.0])
    metric.update_state([0], [4.0])
    assert metric.result() == 3.5


def test_arguments_of_a_wrapped_function():
    metric = MeanMetricWrapper(metrics.binary_accuracy, "strict", threshold=0.9)
    assert metric([1, 1], [0.8, 0.95]) == 0.5


class WorstError(Metric):
    direction = "down"

    def __init__(self, name="worst", dtype=None):
        super().__init__(dtype, name)
        self.reset_state()

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.worst = max(self.worst, float(np.abs(np.subtract(y_true, y_pred)).max()))

    def result(self):
        return self.worst

    def reset_state(self):
        self.worst = 0.0


def test_a_class_of_ones_own():
    metric = metrics.deserialize({"class_name": "WorstError", "config": {}}, {"WorstError": WorstError})
    assert metric([1.0, 2.0], [1.0, 5.0]) == 3.0
    assert metric([1.0], [2.0]) == 3.0


# ---- configuration


@pytest.mark.parametrize(
    "metric",
    [
        metrics.Accuracy(),
        metrics.BinaryAccuracy(threshold=0.3),
        metrics.SparseTopKCategoricalAccuracy(k=2, name="top2"),
        metrics.SparseCategoricalCrossentropy(from_logits=True),
        metrics.CategoricalCrossentropy(label_smoothing=0.1),
        metrics.Mean("loss"),
        MeanMetricWrapper(metrics.binary_accuracy, threshold=0.9),
        MeanMetricWrapper(losses.mean_absolute_error),
        MeanMetricWrapper(losses.BinaryCrossentropy(from_logits=True, name="bits")),
        MeanMetricWrapper(largest_error),
    ],
)
def test_configuration_survives_json(metric):
    stored = json.loads(json.dumps(metrics.serialize(metric)))
    copy = metrics.deserialize(stored, {"largest_error": largest_error})
    assert type(copy) is type(metric)
    assert metrics.serialize(copy) == metrics.serialize(metric)
    assert copy.name == metric.name
    if isinstance(metric, MeanMetricWrapper):
        assert copy.fn_arguments == metric.fn_arguments
        assert copy.fn is metric.fn or copy.fn.get_config() == metric.fn.get_config()


def test_a_lost_function_is_asked_for():
    stored = metrics.serialize(metrics.get(largest_error))
    with pytest.raises(ValueError, match=r"'largest_error' is not part of fastconv.*custom_objects"):
        metrics.deserialize(stored)


# ---- errors


def message(function, *arguments, **named):
    with pytest.raises((ValueError, TypeError, NotImplementedError)) as caught:
        function(*arguments, **named)
    return str(caught.value)


def test_unknown_name_lists_and_suggests():
    text = message(metrics.get, "acuracy")
    assert "unknown metric 'acuracy'; did you mean 'accuracy'?" in text
    assert "'sparse_top_k_categorical_accuracy'" in text
    assert "7 is no metric" in message(metrics.get, 7)


def test_one_hot_given_to_the_sparse_metric_and_the_reverse():
    scores = np.zeros((3, 4))
    text = message(metrics.sparse_categorical_accuracy, np.eye(4)[:3], scores)
    assert "use categorical_accuracy, or labels = y_true.argmax(axis=-1)" in text
    text = message(metrics.sparse_top_k_categorical_accuracy, np.eye(4)[:3], scores)
    assert "use top_k_categorical_accuracy" in text
    text = message(metrics.categorical_accuracy, [0, 1, 2], scores)
    assert "use sparse_categorical_accuracy, or utils.to_categorical(y_true, 4)" in text
    text = message(metrics.top_k_categorical_accuracy, [0, 1, 2], scores)
    assert "use sparse_top_k_categorical_accuracy" in text


def test_shapes_never_broadcast():
    assert "same shape, got (3,) and (3, 4)" in message(
        metrics.binary_accuracy, np.zeros(3), np.zeros((3, 4))
    )
    assert "same shape, got (3,) and (3, 4)" in message(metrics.Accuracy(), np.zeros(3), np.zeros((3, 4)))


def test_label_out_of_range():
    text = message(metrics.sparse_categorical_accuracy, [0, 4], np.zeros((2, 4)))
    assert "label 4 at index 1 of the batch is outside 0..3" in text


def test_weights_that_do_not_fit():
    text = message(metrics.SparseCategoricalAccuracy(), [0, 1], np.zeros((2, 4)), sample_weight=[1, 2, 3])
    assert "one weight per sample: shape (2,), got (3,)" in text


def test_arguments_left_out_say_so():
    assert "'dtype' is not supported yet" in message(metrics.Mean, dtype="float16")
    assert "'from_sorted_ids' is not" in message(metrics.SparseTopKCategoricalAccuracy, from_sorted_ids=True)


def test_a_metric_of_ones_own_is_told_what_is_missing():
    class Bare(Metric):
        pass

    assert Bare().name == "Bare"
    for method in ("update_state", "result", "reset_state"):
        assert f"Bare has no {method}" in message(getattr(Bare(), method))
