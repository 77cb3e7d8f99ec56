"""Metrics: Keras' numbers batch after batch, ties, weights, names, functions of one's own, errors."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import fastconv.losses as losses
import fastconv.metrics as metrics
from fastconv import layers, models, utils
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
        np.testing.assert_allclose(results, GOLDEN[f"result_{number}"], rtol=2e-6, atol=3e-7)


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


# ---- counting at thresholds


def counted_by_hand(y_true, y_pred, threshold, weights):
    """TP, FP, TN, FN, one element at a time."""
    counts = dict.fromkeys(["true_positives", "false_positives", "true_negatives", "false_negatives"], 0.0)
    for t, p, w in zip(y_true.ravel(), y_pred.ravel(), weights.ravel(), strict=True):
        right = "true" if (p > threshold) == (t != 0) else "false"
        counts[f"{right}_{'positives' if p > threshold else 'negatives'}"] += float(w)
    return counts


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_counts_are_those_of_a_loop_also_on_the_threshold_itself(dtype):
    rng = np.random.default_rng(8)
    y_true = rng.integers(0, 2, (40, 3))
    y_pred = (rng.integers(0, 11, (40, 3)) / 10).astype(dtype)
    y_pred[3, 1] = np.nan  # not above any threshold
    weights = rng.integers(0, 4, 40)
    thresholds = [0.7, 0.0, 0.3, 1.0, 0.3]
    for name in ("TruePositives", "FalsePositives", "TrueNegatives", "FalseNegatives"):
        metric = getattr(metrics, name)(thresholds=thresholds)
        result = metric(y_true, y_pred, weights)
        spread = np.repeat(weights[:, None], 3, axis=1)
        expected = [
            counted_by_hand(y_true, y_pred, np.asarray(threshold, dtype), spread)[metric.name]
            for threshold in thresholds
        ]
        np.testing.assert_array_equal(result, expected)


def test_a_result_is_not_changed_by_later_batches():
    for metric in (metrics.TruePositives([0.2, 0.5]), metrics.ConfusionMatrix()):
        first = metric([1, 0], [0.9, 0.1])
        kept = first.copy()
        metric.update_state([1, 0], [0.9, 0.1])
        np.testing.assert_array_equal(first, kept)
        assert metric.result().sum() > kept.sum()


def test_precision_and_recall_by_hand():
    y_true, y_pred = [0, 1, 1, 1], [0.9, 0.8, 0.3, 0.6]
    assert metrics.Precision()(y_true, y_pred) == pytest.approx(2 / 3)
    assert metrics.Recall()(y_true, y_pred) == pytest.approx(2 / 3)
    assert metrics.Precision()(y_true, [0, 0, 0, 0]) == 0  # nothing was said to be one
    assert metrics.Recall()([0, 0], [1, 1]) == 0
    # of the two largest scores of each sample, one and two belong to it
    one_hot = [[1, 0, 0], [1, 1, 0]]
    assert metrics.Precision(top_k=2)(one_hot, [[0.5, 0.1, 0.4], [0.4, 0.5, 0.1]]) == 0.75


def test_f1_of_a_perfect_and_of_a_hopeless_classifier():
    one_hot = np.eye(3)[[0, 1, 2, 0]]
    np.testing.assert_allclose(
        metrics.F1Score()(one_hot, one_hot), [1, 1, 1], atol=2e-7
    )  # the three epsilons
    np.testing.assert_array_equal(metrics.F1Score()(one_hot, np.roll(one_hot, 1, axis=1)), [0, 0, 0])


@pytest.mark.parametrize("curve", ["ROC", "PR", "PRGAIN"])
def test_area_of_a_perfect_classifier(curve):
    assert metrics.AUC(curve=curve)([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9]) == pytest.approx(1, abs=1e-12)


def test_area_under_the_roc_curve_is_the_share_of_pairs_in_order():
    """Where every score has thresholds on both sides, and no two are equal (Hanley & McNeil 1982)."""
    rng = np.random.default_rng(9)
    y_true, y_pred = rng.integers(0, 2, 50), rng.permutation(50) / 50 + 0.01
    pairs = [(p, q) for p in y_pred[y_true == 1] for q in y_pred[y_true == 0]]
    expected = np.mean([p > q for p, q in pairs])
    assert metrics.AUC(num_thresholds=51)(y_true, y_pred) == pytest.approx(expected, rel=1e-12)


# ---- confusion matrix


@pytest.mark.parametrize("weights", [None, "weights"])
@pytest.mark.parametrize("normalize", [None, "true", "pred", "all"])
def test_confusion_matrix_is_that_of_scikit_learn(normalize, weights):
    expected = GOLDEN[f"confusion_{normalize}_{weights}"]
    labels, scores = GOLDEN["labels"], GOLDEN["scores"]
    weight = None if weights is None else GOLDEN[weights]
    for y_true in (labels, labels[:, None], np.eye(7)[labels]):
        for y_pred in (scores, scores.argmax(axis=1)):
            found = utils.confusion_matrix(y_true, y_pred, 7, normalize, weight)
            np.testing.assert_allclose(found, expected, rtol=1e-14)
    assert utils.confusion_matrix(labels, scores).dtype == np.int64
    metric = metrics.ConfusionMatrix(normalize=normalize)
    for start, stop in BATCHES:
        metric.update_state(
            labels[start:stop], scores[start:stop], None if weight is None else weight[start:stop]
        )
    np.testing.assert_allclose(metric.result(), expected, rtol=1e-14)


def test_confusion_matrix_by_hand():
    matrix = utils.confusion_matrix([0, 0, 1, 3], [0, 1, 1, 0])
    np.testing.assert_array_equal(matrix, [[1, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0]])
    rows = utils.confusion_matrix([0, 0, 1, 3], [0, 1, 1, 0], normalize="true")
    np.testing.assert_array_equal(rows, [[0.5, 0.5, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0]])
    assert utils.confusion_matrix([], [], 2).tolist() == [[0, 0], [0, 0]]
    assert metrics.ConfusionMatrix()([1, 0, 1], [[0.9], [0.2], [0.5]]).tolist() == [[1, 0], [1, 1]]
    assert metrics.ConfusionMatrix(3).result().shape == (3, 3)


def test_root_mean_squared_error_takes_the_root_last():
    metric = metrics.RootMeanSquaredError()
    metric.update_state([0.0], [3.0])
    metric.update_state([0.0], [4.0])
    assert metric.result() == np.sqrt(12.5)


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
        ("precision", metrics.Precision, "precision"),
        ("Recall", metrics.Recall, "Recall"),
        ("auc", metrics.AUC, "auc"),
        ("AUC", metrics.AUC, "AUC"),
        ("f1_score", metrics.F1Score, "f1_score"),
        ("fbeta_score", metrics.FBetaScore, "fbeta_score"),
        ("true_positives", metrics.TruePositives, "true_positives"),
        ("root_mean_squared_error", metrics.RootMeanSquaredError, "root_mean_squared_error"),
        ("cosine_similarity", metrics.CosineSimilarity, "cosine_similarity"),
        ("kl_divergence", metrics.KLDivergence, "kl_divergence"),
        ("mape", metrics.MeanAbsolutePercentageError, "mape"),
        ("log_cosh_error", metrics.LogCoshError, "log_cosh_error"),
        (metrics.LogCoshError, metrics.LogCoshError, "logcosh"),
        (metrics.Precision, metrics.Precision, "precision"),
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
    for name in ("precision", "recall", "auc", "f1_score", "cosine_similarity"):
        assert metrics.get(name).direction == "up"
    for name in ("root_mean_squared_error", "kld", "hinge", "log_cosh"):
        assert metrics.get(name).direction == "down"
    assert metrics.get("true_positives").direction is None


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


# ---- at work


def test_arrays_among_the_logs_of_a_training(capsys, tmp_path):
    """F-scores of each class and the confusion matrix: in the history, and what is short in the line."""
    rng = np.random.default_rng(10)
    x, y = rng.normal(size=(30, 4)).astype(np.float32), rng.integers(0, 3, 30)
    model = models.Sequential([layers.Input((4,)), layers.Dense(3, activation="softmax")])
    model.compile(
        "sgd",
        "categorical_crossentropy",
        metrics=["f1_score", "confusion_matrix", metrics.Recall(thresholds=[0.2, 0.4])],
    )
    history = model.fit(x, np.eye(3)[y], batch_size=7, epochs=2, verbose=2).history
    probabilities = model.predict(x, verbose=0)
    results = model.evaluate(x, np.eye(3)[y], verbose=0, return_dict=True)
    np.testing.assert_array_equal(results["confusion_matrix"], utils.confusion_matrix(y, probabilities))
    assert [np.shape(history[name][1]) for name in ("f1_score", "confusion_matrix", "recall")] == [
        (3,),
        (3, 3),
        (2,),
    ]
    line = capsys.readouterr().out.splitlines()[-1]
    assert f"recall: [{history['recall'][1][0]:.4f} {history['recall'][1][1]:.4f}]" in line
    assert "confusion_matrix" not in line
    model.save(tmp_path / "m.safetensors")
    loaded = models.load_model(tmp_path / "m.safetensors")
    assert loaded.evaluate(x, np.eye(3)[y], verbose=0)[0] == results["loss"]
    assert loaded.history.history["recall"][1] == history["recall"][1].tolist()


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
        metrics.Precision([0.1, 0.9], class_id=1, name="p"),
        metrics.Recall(top_k=2),
        metrics.FalseNegatives(0.3),
        metrics.PrecisionAtRecall(0.9, num_thresholds=50),
        metrics.AUC(thresholds=[0.5, 0.1], curve="pr", multi_label=True, label_weights=[1, 2]),
        metrics.AUC(50, from_logits=True, summation_method="Majoring"),
        metrics.F1Score("macro", threshold=0.4),
        metrics.FBetaScore(beta=2.0),
        metrics.ConfusionMatrix(3, "true"),
        metrics.CosineSimilarity(),
        metrics.RootMeanSquaredError(),
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


def test_labels_where_one_hot_targets_belong():
    for metric in (metrics.Precision(), metrics.F1Score(), metrics.AUC()):
        text = message(metric, [0, 1, 2], np.zeros((3, 4)))
        assert f"{metric.name} expects one-hot targets of shape (3, 4)" in text
        assert "use utils.to_categorical(y_true, 4)" in text


def test_arguments_of_counting_metrics_are_checked():
    assert "thresholds must lie between 0 and 1, got 1.5" in message(metrics.Precision, [0.5, 1.5])
    assert "thresholds must lie between 0 and 1, got -1" in message(metrics.TruePositives, -1)
    scores = np.zeros((2, 3))
    assert "precision: class_id=3 needs y_pred (N, classes)" in message(
        metrics.Precision(class_id=3), scores, scores
    )
    assert "recall: top_k=4 needs" in message(metrics.Recall(top_k=4), scores, scores)
    assert "got (2,)" in message(metrics.Recall(class_id=0), [0, 1], [0.5, 0.5])
    assert "specificity must lie between 0 and 1" in message(metrics.SensitivityAtSpecificity, 1.1)
    assert "num_thresholds must be at least 1" in message(metrics.PrecisionAtRecall, 0.5, 0)
    assert "unknown curve 'ROK'; did you mean 'ROC'" in message(metrics.AUC, curve="ROK")
    assert "unknown summation_method" in message(metrics.AUC, summation_method="mean")
    assert "num_thresholds must be at least 2" in message(metrics.AUC, 1)
    assert "with multi_label=True alone" in message(metrics.AUC, num_labels=3)
    assert "needs y_pred (N, 4), got (2, 3)" in message(
        metrics.AUC(multi_label=True, num_labels=4), scores, scores
    )
    assert "one number for each of the labels" in message(metrics.AUC(label_weights=[1, 2]), scores, scores)
    assert "did you mean 'macro'" in message(metrics.F1Score, "makro")
    assert "beta must be positive" in message(metrics.FBetaScore, beta=0)
    assert "threshold must be None or lie in (0, 1]" in message(metrics.F1Score, threshold=0)
    assert "needs y_pred (N, classes), got (2,)" in message(metrics.F1Score(), [0, 1], [0.0, 1.0])


def test_confusion_matrix_says_what_is_wrong():
    confuse = utils.confusion_matrix
    assert "y_true: label 3 is outside 0..2" in message(confuse, [0, 3], [0, 0], 3)
    assert "y_pred: label -1 is outside 0..0" in message(confuse, [0], [-1])
    assert "must have the same length, got (2,) and (1,)" in message(confuse, [0, 1], [0])
    assert "unknown normalize 'rows'" in message(confuse, [0], [0], normalize="rows")
    assert "unknown normalize 'rows'" in message(metrics.ConfusionMatrix, normalize="rows")
    assert "got 0.25; for one score per example between 0 and 1 give y_pred > 0.5" in message(
        confuse, [0], [0.25]
    )
    assert "y_true must be labels (N,) or scores (N, classes)" in message(confuse, 0, [0])


def test_arguments_left_out_say_so():
    assert "'dtype' is not supported yet" in message(metrics.Mean, dtype="float16")
    assert "'from_sorted_ids' is not" in message(metrics.SparseTopKCategoricalAccuracy, from_sorted_ids=True)


def test_a_metric_of_ones_own_is_told_what_is_missing():
    class Bare(Metric):
        pass

    assert Bare().name == "Bare"
    for method in ("update_state", "result", "reset_state"):
        assert f"Bare has no {method}" in message(getattr(Bare(), method))


# ---- the values of keras 3.15.1


@pytest.mark.parametrize(("cls", "expected"), [("Precision", [1 / 3, 0.875]), ("Recall", [0.5, 7 / 11])])
def test_top_k_of_one_sample_and_of_many(cls, expected):
    metric = getattr(metrics, cls)(top_k=3)
    metric.update_state([0, 1, 1, 0, 0], [0.2, 0.1, 0.5, 0, 0.2])
    assert metric.result() == pytest.approx(expected[0])
    metric.reset_state()
    metric.update_state([[0, 1, 1, 0, 1]], [[0.2, 0.1, 0.4, 0, 0.2]], sample_weight=[[1, 4, 2, 3, 5]])
    assert metric.result() == pytest.approx(expected[1])
    metric.update_state([1, 0, 1, 1, 1], [0.2, 0.6, 0.4, 0.2, 0.2], sample_weight=3)
    assert metric.result() == pytest.approx({"Precision": 13 / 17, "Recall": 13 / 23}[cls])
    with pytest.raises(ValueError, match="top_k=3 needs y_pred"):
        metric.update_state([0, 1], [0.2, 0.8])


def test_top_k_with_a_threshold():
    y_true, y_pred = [0, 1, 1, 0, 1], [0.2, 0.8, 0.6, 0, 0.2]
    assert metrics.Precision(thresholds=0.7, top_k=2)(y_true, y_pred) == 1
    assert metrics.Recall(thresholds=0.7, top_k=2)(y_true, y_pred) == pytest.approx(1 / 3)


# ---- configuration of a wrapped function


def test_a_wrapped_function_comes_back_from_its_configuration():
    metric = MeanMetricWrapper(losses.mean_squared_error, name="error")
    config = json.loads(json.dumps(metric.get_config()))
    assert config == {"name": "error", "fn": "mean_squared_error"}
    again = MeanMetricWrapper.from_config(config)
    assert again.name == "error"
    assert again([[0.0, 0.0]], [[1.0, 3.0]]) == 5.0
    assert config == metric.get_config()  # it is left alone
    assert MeanMetricWrapper.from_config({"fn": losses.mean_squared_error})([[0.0]], [[2.0]]) == 4.0
    huber = metrics.get(metrics.serialize(MeanMetricWrapper(losses.Huber(delta=2.0), name="h")))
    assert (huber.name, huber.fn.delta) == ("h", 2.0)
    with pytest.raises(ValueError, match="'largest_error' is not part of fastconv"):
        MeanMetricWrapper.from_config({"fn": "largest_error"})


# ---- attributes and variables


@pytest.mark.parametrize(
    ("metric", "attributes"),
    [
        (metrics.BinaryAccuracy(threshold=0.25), {"threshold": 0.25}),
        (metrics.TopKCategoricalAccuracy(k=3), {"k": 3}),
        (metrics.SparseTopKCategoricalAccuracy(k=3), {"k": 3, "from_sorted_ids": False}),
        (metrics.BinaryCrossentropy(label_smoothing=0.1), {"label_smoothing": 0.1, "from_logits": False}),
        (metrics.CategoricalCrossentropy(from_logits=True), {"from_logits": True, "axis": -1}),
        (metrics.SparseCategoricalCrossentropy(), {"from_logits": False, "ignore_class": None, "axis": -1}),
        (metrics.Precision(top_k=2), {"top_k": 2, "class_id": None, "init_thresholds": None}),
        (metrics.Recall(0.25), {"thresholds": [0.25], "init_thresholds": 0.25}),
        (metrics.TruePositives([0.25, 0.5]), {"thresholds": [0.25, 0.5], "init_thresholds": [0.25, 0.5]}),
        (metrics.PrecisionAtRecall(0.8), {"recall": 0.8, "value": 0.8, "num_thresholds": 200}),
        (metrics.RecallAtPrecision(0.8, 3), {"precision": 0.8, "thresholds": [0.0, 0.5, 1.0]}),
        (metrics.SensitivityAtSpecificity(0.3, class_id=1), {"specificity": 0.3, "class_id": 1}),
        (metrics.SpecificityAtSensitivity(0.3), {"sensitivity": 0.3}),
        (metrics.F1Score("macro", threshold=0.5), {"average": "macro", "threshold": 0.5, "beta": 1.0}),
    ],
)
def test_attributes_are_those_of_keras(metric, attributes):
    assert {name: getattr(metric, name) for name in attributes} == attributes


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        (metrics.Mean(), [3.0, 2.0]),
        (metrics.MeanSquaredError(), [1.0, 2.0]),
        (metrics.Precision(), [[1.0], [0.0]]),
        (metrics.Recall(), [[1.0], [0.0]]),
        (metrics.FalsePositives([0.3, 0.5]), [[1.0, 0.0]]),
        (metrics.F1Score(threshold=0.5), [[1.0], [0.0], [0.0], [1.0]]),
    ],
)
def test_variables_hold_the_state(metric, expected):
    if type(metric) is metrics.Mean:
        metric.update_state([1.0, 2.0])
    elif isinstance(metric, Mean):
        metric.update_state([[0.0], [0.0]], [[1.0], [0.0]])
    else:
        metric.update_state([[1.0], [0.0]], [[0.75], [0.4]])
    assert [variable.tolist() for variable in metric.variables] == expected
    metric.reset_state()
    assert not any(np.any(variable) for variable in metric.variables)


class Largest(Metric):
    """A metric of one's own in Keras' way."""

    def __init__(self, name="largest"):
        super().__init__(name=name)
        self.largest = self.add_variable((), "zeros", name="largest")
        self.batches = self.add_weight(shape=(2,), initializer="zeros")

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.largest.assign(max(self.largest.numpy(), np.abs(y_pred - y_true).max()))
        self.batches.assign(self.batches.numpy() + np.array([1, 2]))

    def result(self):
        return self.largest


def test_a_metric_with_variables_of_its_own():
    metric, other = Largest(), Largest()
    metric.update_state(np.zeros(3), np.array([1.0, -5.0, 2.0]))
    assert [variable.numpy().tolist() for variable in metric.variables] == [5.0, [1.0, 2.0]]
    assert [variable.numpy().tolist() for variable in other.variables] == [0.0, [0.0, 0.0]]
    state = metric.state_dict()
    metric.reset_state()
    assert [variable.numpy().tolist() for variable in metric.variables] == [0.0, [0.0, 0.0]]
    other.load_state_dict(state)
    assert [variable.numpy().tolist() for variable in other.variables] == [5.0, [1.0, 2.0]]
    assert other.variables[0] is other.largest

    x = np.zeros((6, 2))
    model = models.Sequential([layers.Input((2,)), layers.Dense(1, kernel_initializer="zeros")])
    model.compile("sgd", "mse", metrics=[metric])
    loss, largest = model.evaluate(x, [0, 1, 2, 3, 4, 7], batch_size=2, verbose=0)
    assert (largest, type(largest)) == (7.0, float)
    assert loss == pytest.approx(79 / 6)
