"""Losses and, where they are one number, their gradients as Keras computes them: writes losses.npz.

    KERAS_BACKEND=jax python tests/golden/make_losses.py        (keras 3.15.1, jax)

Inputs are stored beside the results, so that the tests draw no random numbers of their own. A case is the
class of the loss, its arguments, and the names of its target, prediction and weights among the inputs.
"""

from __future__ import annotations

import json
from pathlib import Path

import jax
import keras
import numpy as np

rng = np.random.default_rng(20)


def softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


logits = rng.normal(0, 3, (6, 5))
probabilities = softmax(logits)
extreme = np.array([[1, 0, 0], [0, 1, 0], [1e-9, 0.5, 0.5], [0.2, 0.3, 0.1], [2.0, 1.0, 1.0]])
inputs = {
    "logits": logits,
    "large_logits": rng.normal(0, 60, (6, 5)),
    "probabilities": probabilities,
    "extreme": extreme,  # clipped at both ends, and rows that do not sum to 1
    "labels": rng.integers(0, 5, 6),
    "extreme_labels": np.array([0, 0, 0, 2, 0]),
    "one_hot": np.eye(5)[rng.integers(0, 5, 6)],
    "soft": rng.dirichlet(np.ones(5), 6) * 0.7,  # rows sum to 0.7
    "extreme_one_hot": np.eye(3)[[0, 0, 0, 2, 0]],
    "maps": softmax(rng.normal(0, 1, (2, 3, 4, 5))),
    "map_labels": rng.integers(0, 5, (2, 3, 4)),
    "yes_no": rng.integers(0, 2, (6, 5)),
    "shares": rng.uniform(0, 1, (6, 5)),
    "sigmoids": 1 / (1 + np.exp(-logits)),
    "column": rng.uniform(0.01, 0.99, (6, 1)),
    "column_labels": rng.integers(0, 2, 6),
    "binary_extreme": np.array([[0.0, 1.0], [1.0, 0.0], [1e-9, 1 - 1e-9], [0.5, 0.25]]),
    "binary_extreme_labels": np.array([[0, 1], [0, 1], [1, 0], [1, 0]]),
    "targets": rng.normal(0, 2, (6, 5)),
    "weights": rng.uniform(0, 2, 6),
    "map_weights": rng.uniform(0, 2, (2, 3, 4)),
    "positive": rng.exponential(2, (6, 5)),
    "positive_targets": rng.exponential(2, (6, 5)) * rng.integers(0, 2, (6, 5)),  # some are 0
    "counts": rng.poisson(2, (6, 5)),
    "signs": rng.choice([-1.0, 1.0], (6, 5)),
    "with_negatives": rng.normal(0, 1, (6, 5)),
    "class_weights": rng.uniform(0.1, 1, 5),
    "almost_extreme": np.minimum(extreme, 0.999) + (extreme == 2),  # not 1: there Keras halves the slope
    "zero_rows": rng.normal(0, 1, (6, 5)) * np.array([1, 1, 0, 1, 1, 1])[:, None],
}
inputs = {
    name: array.astype(np.int32 if array.dtype.kind == "i" else np.float32) for name, array in inputs.items()
}

SPARSE, CATEGORICAL, BINARY, CATEGORICAL_FOCAL, BINARY_FOCAL = (
    "SparseCategoricalCrossentropy",
    "CategoricalCrossentropy",
    "BinaryCrossentropy",
    "CategoricalFocalCrossentropy",
    "BinaryFocalCrossentropy",
)
cases = []
for reduction in ("sum_over_batch_size", "sum", "none"):
    for weights in (None, "weights"):
        for loss, arguments, target, prediction in [
            (SPARSE, {}, "labels", "probabilities"),
            (SPARSE, {"from_logits": True}, "labels", "logits"),
            (CATEGORICAL, {}, "one_hot", "probabilities"),
            (CATEGORICAL, {}, "soft", "probabilities"),
            (CATEGORICAL, {"from_logits": True}, "soft", "logits"),
            (CATEGORICAL, {"label_smoothing": 0.1}, "one_hot", "probabilities"),
            (CATEGORICAL, {"label_smoothing": 0.1, "from_logits": True}, "one_hot", "logits"),
            (BINARY, {}, "yes_no", "sigmoids"),
            (BINARY, {}, "shares", "sigmoids"),
            (BINARY, {}, "column_labels", "column"),
            (BINARY, {"from_logits": True}, "shares", "logits"),
            (BINARY, {"label_smoothing": 0.2}, "yes_no", "sigmoids"),
            (BINARY, {"label_smoothing": 0.2, "from_logits": True}, "yes_no", "logits"),
            ("MeanSquaredError", {}, "targets", "logits"),
            ("MeanAbsoluteError", {}, "targets", "logits"),
            ("MeanAbsolutePercentageError", {}, "targets", "logits"),
            ("MeanAbsolutePercentageError", {}, "positive_targets", "positive"),
            ("MeanSquaredLogarithmicError", {}, "positive_targets", "positive"),
            ("MeanSquaredLogarithmicError", {}, "positive", "with_negatives"),
            ("Huber", {}, "targets", "logits"),
            ("Huber", {"delta": 0.3}, "targets", "logits"),
            ("LogCosh", {}, "targets", "logits"),
            ("LogCosh", {}, "targets", "large_logits"),
            ("Poisson", {}, "counts", "positive"),
            ("KLDivergence", {}, "soft", "probabilities"),
            ("KLDivergence", {}, "one_hot", "probabilities"),
            ("Hinge", {}, "signs", "with_negatives"),
            ("Hinge", {}, "yes_no", "with_negatives"),
            ("Hinge", {}, "targets", "with_negatives"),
            ("SquaredHinge", {}, "signs", "with_negatives"),
            ("SquaredHinge", {}, "yes_no", "with_negatives"),
            ("CategoricalHinge", {}, "one_hot", "with_negatives"),
            ("CategoricalHinge", {}, "one_hot", "logits"),
            ("CosineSimilarity", {}, "targets", "logits"),
            ("CosineSimilarity", {}, "zero_rows", "logits"),
            (BINARY_FOCAL, {}, "yes_no", "sigmoids"),
            (BINARY_FOCAL, {"from_logits": True, "gamma": 1.5}, "shares", "logits"),
            (
                BINARY_FOCAL,
                {"apply_class_balancing": True, "alpha": 0.4, "label_smoothing": 0.2},
                "yes_no",
                "sigmoids",
            ),
            (BINARY_FOCAL, {"gamma": 0.0}, "shares", "sigmoids"),
            (CATEGORICAL_FOCAL, {}, "one_hot", "probabilities"),
            (CATEGORICAL_FOCAL, {"from_logits": True, "label_smoothing": 0.1}, "one_hot", "logits"),
            (CATEGORICAL_FOCAL, {"gamma": 1.0, "alpha": [0.1, 0.2, 0.3, 0.4, 1.0]}, "soft", "positive"),
        ]:
            cases.append([loss, {**arguments, "reduction": reduction}, target, prediction, weights])
cases += [
    [SPARSE, {}, "extreme_labels", "extreme", None],
    [CATEGORICAL, {}, "extreme_one_hot", "extreme", None],
    [BINARY, {}, "binary_extreme_labels", "binary_extreme", None],
    [SPARSE, {"from_logits": True}, "labels", "large_logits", None],
    [CATEGORICAL, {"from_logits": True}, "one_hot", "large_logits", None],
    [BINARY, {"from_logits": True}, "yes_no", "large_logits", None],
    [SPARSE, {}, "map_labels", "maps", None],
    [SPARSE, {}, "map_labels", "maps", "map_weights"],
    ["KLDivergence", {}, "extreme_one_hot", "almost_extreme", None],
    [BINARY_FOCAL, {}, "binary_extreme_labels", "binary_extreme", None],
    [CATEGORICAL_FOCAL, {}, "extreme_one_hot", "extreme", None],
]

outputs = {}
for number, (name, arguments, target, prediction, weights) in enumerate(cases):
    loss = getattr(keras.losses, name)(**arguments)
    y_true, y_pred = inputs[target], inputs[prediction]
    weight = None if weights is None else inputs[weights]
    outputs[f"value_{number}"] = np.asarray(loss(y_true, y_pred, weight))
    if outputs[f"value_{number}"].ndim == 0:
        gradient = jax.grad(lambda p: loss(y_true, p, weight))(y_pred)  # noqa: B023
        outputs[f"gradient_{number}"] = np.asarray(gradient)

np.savez_compressed(Path(__file__).with_name("losses.npz"), cases=json.dumps(cases), **inputs, **outputs)
