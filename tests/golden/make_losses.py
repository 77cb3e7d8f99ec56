"""Losses and their gradients as Keras computes them: writes losses.npz.

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
}
inputs = {
    name: array.astype(np.int32 if array.dtype.kind == "i" else np.float32) for name, array in inputs.items()
}

SPARSE, CATEGORICAL, BINARY = (
    "SparseCategoricalCrossentropy",
    "CategoricalCrossentropy",
    "BinaryCrossentropy",
)
cases = []
for reduction in ("sum_over_batch_size", "sum"):
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
]

outputs = {}
for number, (name, arguments, target, prediction, weights) in enumerate(cases):
    loss = getattr(keras.losses, name)(**arguments)
    y_true, y_pred = inputs[target], inputs[prediction]
    weight = None if weights is None else inputs[weights]
    value, gradient = jax.value_and_grad(lambda p: loss(y_true, p, weight))(y_pred)  # noqa: B023
    outputs[f"value_{number}"] = np.asarray(value)
    outputs[f"gradient_{number}"] = np.asarray(gradient)

np.savez_compressed(Path(__file__).with_name("losses.npz"), cases=json.dumps(cases), **inputs, **outputs)
