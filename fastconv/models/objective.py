"""What a model is to make small: a loss for each output, weighted and added up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from fastconv import losses
from fastconv._core.configuration import each_object
from fastconv.losses import Loss
from fastconv.parameter import Array


class Term(NamedTuple):
    """One output's share: weight · loss(y, y_pred). ``loss`` is None for an output that is not judged."""

    name: str
    loss: Loss | None
    weight: float


class Value(NamedTuple):
    """The objective for a batch: the sum, and the losses that make it up, without their weights."""

    total: float
    each: list[float]
    names: list[str]  # of the outputs that they are of


class Objective:
    """``loss`` and ``loss_weights`` as ``compile`` takes them: Σ weight · loss(y, y_pred) over the outputs.

    ``loss`` is a name or a ``Loss``, for all outputs, or a list or dictionary of them by output; None in it
    is for outputs that are not judged. Unknown names are errors at once, and structures that do not fit the
    outputs when these are known, in ``terms``.
    """

    def __init__(self, loss: Any, loss_weights: Any = None) -> None:
        self.loss = each_object(loss, losses.get)
        self.loss_weights = loss_weights
        self._terms: tuple[Sequence[str], list[Term]] | None = None

    @property
    def single(self) -> Loss | None:
        """The loss of a model with one output."""
        loss = self.loss
        while isinstance(loss, (list, dict)) and len(loss) == 1:
            loss = loss[0] if isinstance(loss, list) else next(iter(loss.values()))
        return loss if isinstance(loss, Loss) else None

    def terms(self, names: Sequence[str]) -> list[Term]:
        """The shares of the outputs of these names. Raises ValueError where the structures do not fit."""
        if self._terms is None or self._terms[0] != names:
            self._terms = names, self._terms_of(names)
        return self._terms[1]

    def _terms_of(self, names: Sequence[str]) -> list[Term]:
        by_output = _by_output(self.loss, names, "loss", isinstance(self.loss, Loss))
        weights = _by_output(
            self.loss_weights, names, "loss_weights", isinstance(self.loss_weights, (int, float))
        )
        if not any(loss is not None for loss in by_output):
            raise ValueError(f"compile: loss={self.loss!r} judges none of the outputs {list(names)}")
        return [
            Term(name, loss, 1.0 if weight is None else _number(weight, name))
            for name, loss, weight in zip(names, by_output, weights, strict=True)
        ]

    def serialized(self) -> Any:
        """Plain dictionaries, nested as given."""
        return each_object(self.loss, lambda loss: None if loss is None else losses.serialize(loss))


def value_of(
    terms: Sequence[Term], y: Sequence[Any], y_pred: Sequence[Array], sample_weight: Sequence[Any]
) -> Value:
    """The objective. Raises ValueError where targets are missing."""
    judged = zip(terms, y, y_pred, sample_weight, strict=True)
    return sum_of(
        terms,
        (
            None if term.loss is None else float(term.loss(given_targets(target), prediction, weight))
            for term, target, prediction, weight in judged
        ),
    )


def sum_of(terms: Sequence[Term], losses: Iterable[float | None]) -> Value:
    """The objective, from the loss of each output; None of one that is not judged."""
    total, each, names = 0.0, [], []
    for term, loss in zip(terms, losses, strict=True):
        if loss is not None:
            total += term.weight * loss
            each.append(loss)
            names.append(term.name)
    return Value(total, each, names)


def given_targets(y: Any) -> Any:
    """The targets. Raises ValueError where they are missing."""
    if y is None:
        raise ValueError("the targets are missing: give y, or batches (x, y)")
    return y


def check_keys(given: Mapping[str, Any], names: Sequence[str], argument: str) -> None:
    """ValueError for a dictionary with a key that is not the name of an output."""
    unknown = [name for name in given if name not in names]
    if unknown:
        raise ValueError(
            f"compile: {argument} has the keys {list(given)}, but the outputs are {list(names)}: {unknown} "
            "names none of them"
        )


def _by_output(given: Any, names: Sequence[str], argument: str, for_all: bool) -> list[Any]:
    """One item for each output."""
    if given is None or for_all:
        return [given] * len(names)
    if isinstance(given, Mapping):
        check_keys(given, names, argument)
        return [_of_one(given.get(name), name, argument) for name in names]
    if isinstance(given, (list, tuple)):
        if len(given) != len(names):
            outputs = "one output" if len(names) == 1 else f"{len(names)} outputs, {list(names)}"
            raise ValueError(f"compile: {argument} has {len(given)} items, but the model has {outputs}")
        return [_of_one(item, name, argument) for item, name in zip(given, names, strict=True)]
    raise ValueError(
        f"compile: {argument} must be given for all outputs, or by output in a list or dictionary"
    )


def _number(weight: Any, name: str) -> float:
    try:
        return float(weight)
    except (TypeError, ValueError):
        raise ValueError(
            f"compile: loss_weights must be numbers, got {weight!r} for the output {name!r}"
        ) from None


def _of_one(given: Any, name: str, argument: str) -> Any:
    """The item of one output, which may be in a list or dictionary of one."""
    return _by_output(given, [name], argument, not isinstance(given, (list, tuple, Mapping)))[0]
