"""Metrics streamed over three batches as Keras computes them: writes metrics.npz.

    KERAS_BACKEND=jax python tests/golden/make_metrics.py        (keras 3.15.1, jax, scikit-learn 1.9)

A case is the class of the metric, its arguments, and the names of its targets, predictions and weights
among the stored inputs; its result after each batch is ``result_<number>``.
scikit-learn's confusion matrices of labels and largest scores are ``confusion_<normalize>_<weights>``.
"""

from __future__ import annotations

import json
from pathlib import Path

import keras
import numpy as np
from sklearn.metrics import confusion_matrix

rng = np.random.default_rng(21)
N, C = 23, 7
BATCHES = [(0, 10), (10, 20), (20, 23)]  # the last one is smaller

scores = rng.normal(0, 2, (N, C))
tied = rng.integers(0, 3, (N, C))  # many equal scores
tied_nan = tied.astype(float)
tied_nan[::4, 2] = np.nan
probabilities = np.exp(scores) / np.exp(scores).sum(axis=-1, keepdims=True)
labels = rng.integers(0, C, N)
maps = rng.normal(0, 1, (N, 2, 3, C))
map_labels = rng.integers(0, C, (N, 2, 3))
inputs = {
    "scores": scores,
    "tied": tied.astype(float),
    "tied_nan": tied_nan,
    "probabilities": probabilities,
    "labels": labels,
    "label_column": labels[:, None],
    "one_hot": np.eye(C)[labels],
    "maps": maps,
    "map_labels": map_labels,
    "map_one_hot": np.eye(C)[map_labels],
    "columns": rng.choice([0.0, 0.2, 0.5, 0.7, 1.0], (N, 1)),  # 0.5 is not above the threshold
    "yes_no": rng.integers(0, 2, N),
    "many": rng.uniform(0, 1, (N, C)),
    "many_yes_no": rng.integers(0, 2, (N, C)),
    "targets": rng.normal(0, 2, (N, C)),
    "predicted_labels": rng.integers(0, 2, (N, C)),
    "weights": rng.uniform(0, 2, N),
    "weight_column": rng.uniform(0, 2, (N, 1)),
    "map_weights": rng.uniform(0, 2, (N, 2, 3)),
    "no_weight": np.zeros(N),
    "positive": rng.exponential(2, (N, C)),
    "positive_targets": rng.exponential(2, (N, C)),
    "yes_no_column": rng.integers(0, 2, (N, 1)),
    "coarse": rng.integers(0, 21, (N, C)) / 20,  # often exactly on a threshold
    "beyond": rng.uniform(-0.5, 1.5, (N, C)),
}
inputs = {
    name: array.astype(np.int32 if array.dtype.kind == "i" else np.float32) for name, array in inputs.items()
}

COUNTS = ("TruePositives", "FalsePositives", "TrueNegatives", "FalseNegatives")
SHARES = ("Precision", "Recall")
THRESHOLDS: list[dict] = [{}, {"thresholds": 0.7}, {"thresholds": [0.0, 0.3, 0.35, 0.9]}]
TOP_K: list[dict] = [
    {"top_k": 2},
    {"top_k": 2, "class_id": 3},
    {"class_id": 0, "thresholds": [0.1, 0.2]},
    {"top_k": 3, "thresholds": 0.2},
]
AVERAGES = (None, "micro", "macro", "weighted")
LABEL_WEIGHTS = [0.5, 1.0, 2.0, 0.0, 1.0, 3.0, 1.0]

cases: list[list] = []
for weights in (None, "weights"):
    for metric, arguments, target, prediction in [
        ("Accuracy", {}, "many_yes_no", "predicted_labels"),
        ("BinaryAccuracy", {}, "yes_no", "columns"),
        ("BinaryAccuracy", {"threshold": 0.2}, "yes_no", "columns"),
        ("BinaryAccuracy", {}, "many_yes_no", "many"),
        ("CategoricalAccuracy", {}, "one_hot", "scores"),
        ("CategoricalAccuracy", {}, "one_hot", "tied"),
        ("CategoricalAccuracy", {}, "map_one_hot", "maps"),
        ("SparseCategoricalAccuracy", {}, "labels", "scores"),
        ("SparseCategoricalAccuracy", {}, "label_column", "tied"),
        ("SparseCategoricalAccuracy", {}, "map_labels", "maps"),
        ("TopKCategoricalAccuracy", {}, "one_hot", "scores"),
        ("TopKCategoricalAccuracy", {"k": 2}, "one_hot", "tied"),
        ("TopKCategoricalAccuracy", {"k": 3}, "map_one_hot", "maps"),
        ("SparseTopKCategoricalAccuracy", {"k": 2}, "labels", "scores"),
        ("SparseTopKCategoricalAccuracy", {"k": 1}, "label_column", "tied"),
        ("SparseTopKCategoricalAccuracy", {"k": 3}, "labels", "tied_nan"),
        ("SparseTopKCategoricalAccuracy", {"k": 2}, "map_labels", "maps"),
        ("MeanSquaredError", {}, "targets", "scores"),
        ("MeanAbsoluteError", {}, "targets", "scores"),
        ("BinaryCrossentropy", {}, "many_yes_no", "many"),
        ("BinaryCrossentropy", {"from_logits": True, "label_smoothing": 0.1}, "many_yes_no", "scores"),
        ("CategoricalCrossentropy", {}, "one_hot", "probabilities"),
        ("CategoricalCrossentropy", {"from_logits": True, "label_smoothing": 0.1}, "one_hot", "scores"),
        ("SparseCategoricalCrossentropy", {}, "labels", "probabilities"),
        ("SparseCategoricalCrossentropy", {"from_logits": True}, "labels", "scores"),
        ("MeanAbsolutePercentageError", {}, "targets", "scores"),
        ("MeanSquaredLogarithmicError", {}, "positive_targets", "positive"),
        ("RootMeanSquaredError", {}, "targets", "scores"),
        ("LogCoshError", {}, "targets", "scores"),
        ("CosineSimilarity", {}, "targets", "scores"),
        ("KLDivergence", {}, "one_hot", "probabilities"),
        ("Poisson", {}, "positive_targets", "positive"),
        ("Hinge", {}, "many_yes_no", "scores"),
        ("SquaredHinge", {}, "many_yes_no", "scores"),
        ("CategoricalHinge", {}, "one_hot", "scores"),
        *((count, arguments, "many_yes_no", "many") for count in COUNTS for arguments in THRESHOLDS),
        *((share, arguments, "many_yes_no", "many") for share in SHARES for arguments in THRESHOLDS),
        *((share, arguments, "one_hot", "probabilities") for share in SHARES for arguments in TOP_K),
        ("Precision", {}, "yes_no", "columns"),
        ("Recall", {"thresholds": 0.2}, "yes_no_column", "columns"),
        ("Recall", {"thresholds": [0.0, 0.5, 1.0]}, "many_yes_no", "beyond"),
        ("Recall", {"thresholds": 1.0}, "many_yes_no", "beyond"),
        ("FalsePositives", {"thresholds": [0.9, 0.1, 0.5]}, "many_yes_no", "coarse"),
        ("SensitivityAtSpecificity", {"specificity": 0.6}, "many_yes_no", "many"),
        ("SpecificityAtSensitivity", {"sensitivity": 0.7}, "many_yes_no", "many"),
        ("PrecisionAtRecall", {"recall": 0.8, "num_thresholds": 11}, "many_yes_no", "many"),
        ("RecallAtPrecision", {"precision": 0.5, "class_id": 2}, "many_yes_no", "many"),
        ("RecallAtPrecision", {"precision": 1.0}, "many_yes_no", "many"),
        *(("F1Score", {"average": average}, "one_hot", "probabilities") for average in AVERAGES),
        *(
            ("FBetaScore", {"average": average, "beta": 2.0, "threshold": 0.4}, "many_yes_no", "many")
            for average in AVERAGES
        ),
        ("F1Score", {"average": "macro"}, "one_hot", "tied"),
        *(
            ("AUC", {"curve": curve, "summation_method": method}, "many_yes_no", "many")
            for curve in ("ROC", "PR", "PRGAIN")
            for method in ("interpolation", "majoring", "minoring")
        ),
        ("AUC", {}, "yes_no", "columns"),
        ("AUC", {}, "many_yes_no", "beyond"),
        ("AUC", {"from_logits": True, "num_thresholds": 17}, "many_yes_no", "scores"),
        ("AUC", {"thresholds": [0.5, 0.1, 0.8]}, "many_yes_no", "many"),
        ("AUC", {"multi_label": True}, "many_yes_no", "many"),
        ("AUC", {"multi_label": True, "num_labels": C, "curve": "PR"}, "many_yes_no", "many"),
        ("AUC", {"multi_label": True, "label_weights": LABEL_WEIGHTS}, "many_yes_no", "many"),
        ("AUC", {"label_weights": LABEL_WEIGHTS, "curve": "PR"}, "many_yes_no", "many"),
        ("AUC", {"multi_label": True, "thresholds": [0.2, 0.5]}, "many_yes_no", "many"),
    ]:
        cases.append([metric, arguments, target, prediction, weights])
cases += [
    ["SparseCategoricalAccuracy", {}, "map_labels", "maps", "map_weights"],
    ["SparseCategoricalAccuracy", {}, "labels", "scores", "weight_column"],
    ["SparseCategoricalAccuracy", {}, "labels", "scores", "no_weight"],
    ["BinaryAccuracy", {}, "yes_no", "columns", "weight_column"],
    ["Mean", {}, None, "targets", None],
    ["Mean", {}, None, "targets", "weights"],
    ["Mean", {}, None, "weights", "no_weight"],
]

outputs = {}
for number, (name, arguments, target, prediction, weights) in enumerate(cases):
    metric = getattr(keras.metrics, name)(**arguments)
    results = []
    for start, stop in BATCHES:
        values = [inputs[key][start:stop] for key in (target, prediction) if key]
        metric.update_state(*values, sample_weight=None if weights is None else inputs[weights][start:stop])
        results.append(np.asarray(metric.result()))
    outputs[f"result_{number}"] = np.array(results)

for normalize in (None, "true", "pred", "all"):
    for weights in (None, "weights"):
        outputs[f"confusion_{normalize}_{weights}"] = confusion_matrix(
            inputs["labels"],
            inputs["scores"].argmax(axis=1),
            labels=range(C),
            normalize=normalize,
            sample_weight=None if weights is None else inputs[weights].astype(np.float64),
        )

np.savez_compressed(
    Path(__file__).with_name("metrics.npz"),
    cases=json.dumps(cases),
    batches=np.array(BATCHES),
    **inputs,
    **outputs,
)
