"""The images a classifier gets wrong, those it is surest about first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from fastconv._core.targets import class_labels
from fastconv.layers._arguments import whole
from fastconv.models.answers import as_scores
from fastconv.models.model import Model
from fastconv.parameter import Array
from fastconv.visualize._inputs import names_of_classes
from fastconv.visualize._layers import check_model, check_single
from fastconv.visualize.plot_images import plot_images


class Mistakes(NamedTuple):
    """Examples for which another class was predicted, the surest mistakes first; all arrays (M,).

    examples     their places in x
    true         their class
    predicted    the class that was predicted
    confidence   the score of the predicted class, of a softmax its probability; where the outputs are
                 distances, as those of ``RBF``, minus its distance
    """

    examples: Array
    true: Array
    predicted: Array
    confidence: Array


def find_mistakes(model: Model, x: ArrayLike, y: ArrayLike, batch_size: int | None = None) -> Mistakes:
    """The examples of x whose best output is not at their label y: (N,), (N, 1) or one-hot (N, C).

    The best is the largest, but of distances the smallest.

    Raises ValueError where the model has no scores of classes, or the labels do not fit it.
    """
    check_model(model)
    check_single(model, output=True)
    scores = model.predict(x, batch_size=batch_size, verbose=0)
    if scores.ndim != 2 or scores.shape[1] < 2:
        raise ValueError(f"{model} has outputs {model.output_shape}, which are not class scores")
    scores = as_scores(model, scores)
    labels = np.asarray(y)
    if labels.shape == scores.shape:
        labels = labels.argmax(axis=1)
    true = class_labels(labels, scores, "find_mistakes", "y.argmax(axis=1)")
    predicted = scores.argmax(axis=1)
    confidence = scores.max(axis=1)
    wrong = np.flatnonzero(predicted != true)
    examples = wrong[np.argsort(-confidence[wrong], kind="stable")]
    return Mistakes(examples, true[examples], predicted[examples], confidence[examples])


def plot_misclassified(
    model: Model,
    x: ArrayLike,
    y: ArrayLike,
    class_names: Sequence[str] | None = None,
    *,
    number: int = 24,
    columns: int = 8,
    batch_size: int | None = None,
    figure: Any = None,
) -> Any:
    """Draw the images that a classifier gets wrong, those it is surest about first.

    Above each stands the predicted class with its probability, or score, and the true class.

    Parameters
    ----------
    x, y : images as the model takes them, and their labels (N,), (N, 1) or one-hot (N, C)
    class_names : what the classes are called; their numbers where None
    number, columns : how many at most, and how many in a row

    Returns matplotlib's Figure; ``find_mistakes`` returns the numbers. Without a mistake there is a sentence
    to say so.
    """
    found = find_mistakes(model, x, y, batch_size)
    names = names_of_classes(class_names, model.output_shape[-1])
    number = min(whole(number, "number"), len(found.examples))
    pictures = np.asarray(x)[found.examples[:number]]
    titles = [
        f"{names[predicted]} ({_score(confidence)})\ntrue: {names[true]}"
        for predicted, true, confidence in zip(
            found.predicted[:number], found.true[:number], found.confidence[:number], strict=True
        )
    ]
    title = f"{len(found.examples):,} of {len(np.asarray(x)):,} are misclassified"
    if number:
        score = "probability" if all(map(_is_probability, found.confidence[:number])) else "score"
        title += f": predicted class ({score}) and true class"
    return plot_images(pictures, titles, columns, title=title, figure=figure)


def _score(confidence: float) -> str:
    """Probabilities in per cent, other scores as they are."""
    return f"{confidence:.0%}" if _is_probability(confidence) else f"{confidence:.3g}"


def _is_probability(score: float) -> bool:
    return 0 <= score <= 1
