"""What a classifier's outputs say, be they probabilities, scores or distances."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fastconv.models.answers import as_scores

if TYPE_CHECKING:
    from fastconv.models import Model


def loss_for(model: Model) -> str:
    """The loss, for labels, that reads this model's outputs rightly."""
    return model.suitable_loss or "sparse_categorical_crossentropy"


def probabilities(model: Model, outputs: np.ndarray) -> np.ndarray:
    """Shares of the classes: of scores by softmax, and of distances likewise, the smallest the most.

    Sigmoid units are each a class of their own; a single one tells class 1 from class 0.
    """
    if model.output_activation == "sigmoid":
        return np.concatenate([1 - outputs, outputs], axis=-1) if outputs.shape[-1] == 1 else outputs
    if model.output_activation == "softmax":
        return outputs
    scores = as_scores(model, outputs)
    powers = np.exp(scores.astype(np.float64) - scores.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)
