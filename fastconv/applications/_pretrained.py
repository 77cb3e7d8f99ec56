"""Trained weights in the package: ``weights/<network>/<name>.safetensors``, with notes on how they were made.

Reading one executes nothing (``models.saving``). A new file needs no other entry anywhere: its place is its
name.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from fastconv._core.checks import unknown_name
from fastconv.models import Model
from fastconv.models.saving import SUFFIX, load_weights, read_notes

FOLDER = Path(__file__).parent / "weights"

WeightsLike = str | os.PathLike[str] | None
AnyModel = TypeVar("AnyModel", bound=Model)


class PretrainedWeights(NamedTuple):
    """Weights that come with the package: those that ``weights=name`` gives an application's network."""

    network: str
    name: str
    path: Path

    @property
    def notes(self) -> dict[str, Any]:
        """How they were made: the command, seed, instruction set, threads and date, and what they reach.

        On the same instruction set the command makes them again, to the bit.
        """
        return read_notes(self.path)

    def __repr__(self) -> str:
        notes = ", ".join(f"{name}: {value}" for name, value in self.notes.items())
        return f"<{self.network} {self.name!r}: {notes}>"


def pretrained_weights(network: str | None = None) -> list[PretrainedWeights]:
    """The weights in the package: all of them, or those of one network, such as "convnetjs_cifar10".

    >>> for weights in fastconv.applications.pretrained_weights():
    ...     print(weights)
    """
    files = sorted(FOLDER.glob(f"*/*{SUFFIX}"))
    found = [PretrainedWeights(file.parent.name, file.stem, file) for file in files]
    return [weights for weights in found if network in (None, weights.network)]


def with_weights(model: AnyModel, network: str, weights: WeightsLike) -> AnyModel:
    """The model itself, after giving it the ``weights=`` of an application as Keras does.

    None leaves its random ones. The name of weights of this network in the package, "mnist" say, or the path
    of a file by ``model.save_weights``, loads them. Raises ValueError for a name that there is not, and where
    the model was asked for with another ``input_shape`` or number of ``classes`` than fits the weights;
    FileNotFoundError for a path that leads nowhere.
    """
    if weights is None:
        return model
    known = {found.name: found.path for found in pretrained_weights(network)}
    path = known.get(str(weights))
    if path is None and not _is_path(weights):
        raise _unknown(network, weights, known)
    try:
        load_weights(model, path or weights)
    except ValueError as error:
        if path is None:
            raise
        raise ValueError(_no_fit(model, network, str(weights), path, error)) from error
    return model


def _is_path(weights: str | os.PathLike[str]) -> bool:
    return isinstance(weights, os.PathLike) or weights.endswith(SUFFIX) or os.path.exists(weights)


def _unknown(network: str, weights: object, known: dict[str, Path]) -> ValueError:
    fix = f"Or None, for random weights, or the path of a {SUFFIX} file."
    if not known:
        return ValueError(f"there are no weights {weights!r}: none for {network} come with fastconv. {fix}")
    return ValueError(f"{unknown_name(f'weights of {network}', weights, known)} {fix}")


def _no_fit(model: Model, network: str, name: str, path: Path, error: ValueError) -> str:
    asked = f"input_shape={(model.input_shape or ())[1:]}, classes={(model.output_shape or (None,))[-1]}"
    notes = read_notes(path)
    suited = f"input_shape={tuple(notes['input_shape'])}, classes={notes['classes']}"
    return (
        f"weights={name!r} of {network} are for {suited}; the model asked for has {asked}. Leave these "
        "arguments as the weights have them, or give weights=None. For other classes make a new top on the "
        f"trained layers: Sequential([*model.layers[:-1], Dense(classes, activation='softmax')]). ({error})"
    )
