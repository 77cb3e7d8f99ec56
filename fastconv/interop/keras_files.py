"""Keras' files: ``.keras``, ``.weights.h5``, and the HDF5 files of whole models of before.

A ``.keras`` file is a zip archive: ``config.json`` describes the model, ``model.weights.h5`` holds its
weights, ``metadata.json`` says who wrote it. Nothing in such files is executed and nothing is unpacked to the
disk; whatever is wrong with one is a ValueError.
"""

from __future__ import annotations

import copy
import json
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from fastconv._core.configuration import plain
from fastconv._core.files import check_readable, write_atomically
from fastconv.interop import archives, hdf5
from fastconv.interop.archives import Archive
from fastconv.interop.keras_reading import from_keras
from fastconv.interop.keras_training import compile_from_keras, state_as_keras, state_order
from fastconv.interop.keras_weights import check_names, legacy_pairs, pairs, places, reader
from fastconv.interop.keras_writing import to_keras
from fastconv.models import saving
from fastconv.models.matching import load_pairs
from fastconv.models.model import Model
from fastconv.parameter import Array, values_come_later

_CONFIG, _METADATA, _WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
_VERSION = "3.15.1"
"""Of the Keras whose files these are."""

# ---- reading ------------------------------------------------------------------------------------


def load_model(path: saving.PathLike, custom: Mapping[str, Any], compile: bool, allow_nan: bool) -> Model:
    """The model in a ``.keras`` file, or in an HDF5 file of a whole model; see ``models.load_model``."""
    if Path(path).suffix == ".keras":
        archive = Archive(path, ".keras file")
        config = _json(archive.read(_CONFIG), f"{path}: {_CONFIG}")
        chosen = config.get("compile_config")
        tree = hdf5.read(archive.read(_WEIGHTS), str(path))
        return _made(path, config, chosen if compile else None, tree, tree, custom, allow_nan)
    tree = hdf5.read(_bytes(path), str(path))
    text = tree.text("model_config")
    if text is None:
        raise ValueError(
            f"{path} holds weights alone, no layers: build the model, then model.load_weights({str(path)!r})"
        )
    weights = tree.groups.get("model_weights")
    if weights is None:
        raise ValueError(f"{path} is damaged: it has no group model_weights")
    chosen_text = tree.text("training_config") if compile else None
    chosen = None if chosen_text is None else _json(chosen_text, f"{path}: training_config")
    config = _json(text, f"{path}: model_config")
    return _made(path, config, chosen, tree, weights, custom, allow_nan)


def load_weights(
    model: Model, path: saving.PathLike, skip_mismatch: bool, by_name: bool, allow_nan: bool
) -> None:
    """Copy the weights of one of Keras' files into a model; see ``models.load_weights``."""
    packed = Path(path).suffix == ".keras"
    data = Archive(path, ".keras file").read(_WEIGHTS) if packed else _bytes(path)
    tree = hdf5.read(data, str(path))
    _set_weights(model, tree.groups.get("model_weights", tree), path, by_name, skip_mismatch, allow_nan)


def read_notes(path: saving.PathLike) -> Any:
    """The notes that ``save_model`` kept in a ``.keras`` file; {} where there are none."""
    if Path(path).suffix != ".keras":
        return {}
    metadata = _json(Archive(path, ".keras file").read(_METADATA), f"{path}: {_METADATA}")
    return metadata.get("notes", {})


def _made(
    path: saving.PathLike,
    config: Mapping[str, Any],
    chosen: Any,
    tree: hdf5.Group,
    weights: hdf5.Group,
    custom: Mapping[str, Any],
    allow_nan: bool,
) -> Model:
    with values_come_later():
        with _described(path):
            description = from_keras(config)
        model = saving.make_layers(path, description, custom)
        _check_built(model, path)
        if "layer_names" not in weights.attributes and "layer_names0" not in weights.attributes:
            check_names(weights, model, str(path))
        _set_weights(model, weights, path, False, False, allow_nan)
    if chosen:
        with _described(path):
            arguments = compile_from_keras(_mapping(chosen, "what compile chose"))
        if arguments is not None:
            saving.compile_model(model, arguments, custom, path)
            _restore_optimizer(model, tree, path)
    return model


def _check_built(model: Model, path: saving.PathLike) -> None:
    if not model.built:
        raise ValueError(
            f"{path}: {model} in it does not say the shape of its input, and so has no weights: build it in "
            "Keras, model.build(shape), and save it again"
        )


def _set_weights(
    model: Model,
    tree: hdf5.Group,
    path: saving.PathLike,
    by_name: bool,
    skip_mismatch: bool,
    allow_nan: bool,
) -> None:
    old = tree.texts("layer_names") is not None
    matched = (legacy_pairs if old else pairs)(tree, model, str(path), by_name)
    check = partial(saving.check_numbers, path, allow_nan=allow_nan)
    load_pairs(matched, model, path, skip_mismatch, reader(tree.place, check))


def _restore_optimizer(model: Model, tree: hdf5.Group, path: saving.PathLike) -> None:
    """What the optimizer remembers, where Keras 3 wrote it."""
    assert model.optimizer is not None
    group = tree.find("optimizer/vars")
    if group is not None:
        stored = [group.arrays[name] for name in sorted(group.arrays, key=lambda name: (len(name), name))]
    else:
        names = tree.groups.get("optimizer_weights")
        found = [] if names is None else [names.array(name) for name in names.texts("weight_names") or []]
        stored = [array for array in found if array is not None]
    if not stored or not stored[0].read().any():
        return  # it has taken no step
    model.optimizer.build(model.parameters)
    order = state_order(model.optimizer, model.parameters)
    own = model.optimizer.state_dict()
    if order is None or [np.shape(own[name]) for name in order] != [array.shape for array in stored]:
        warnings.warn(
            f"{path}: the optimizer starts afresh: the file holds {len(stored)} arrays of its state, in "
            f"another order than Keras 3's {type(model.optimizer).__name__} has",
            stacklevel=5,
        )
        return
    state: dict[str, Any] = {name: array.read() for name, array in zip(order, stored, strict=True)}
    if "learning_rate" in state and state["learning_rate"] == np.float32(own["learning_rate"]):
        state["learning_rate"] = own["learning_rate"]  # not rounded
    model.optimizer.load_state_dict(state)


@contextmanager
def _described(path: saving.PathLike) -> Iterator[None]:
    """Errors in a description name the file."""
    try:
        yield
    except saving.WRONG_DESCRIPTION as error:
        raise ValueError(f"{path}: {saving.reason(error)}") from error


def _mapping(value: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError(f"{what} is no dictionary, but {str(value)[:100]}")
    return value


def _json(text: str | bytes, what: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{what} is damaged, it is no JSON: {saving.reason(error)}") from error
    return dict(_mapping(value, what))


def _bytes(path: saving.PathLike) -> bytes:
    check_readable(path, "model file")
    return Path(path).read_bytes()


# ---- writing ------------------------------------------------------------------------------------


def save_model(model: Model, path: saving.PathLike, notes: Mapping[str, Any] | None) -> None:
    """Write a ``.keras`` file; see ``models.save_model``."""
    import fastconv

    saving.check_savable(model)
    hdf5.h5py()
    with _named(model):
        description, left_out = to_keras(model)
        config = plain(description, "model")
    metadata = {
        "keras_version": _VERSION,
        "date_saved": datetime.now(timezone.utc).strftime("%Y-%m-%d@%H:%M:%S"),
        "fastconv_version": fastconv.__version__,
    }
    if notes is not None:
        metadata["notes"] = plain(dict(notes), "notes")
    weights = _weights_file(model, config.get("compile_config") is not None)
    texts = [(_METADATA, json.dumps(metadata)), (_CONFIG, json.dumps(config))]
    write_atomically(path, archives.written([*texts, (_WEIGHTS, weights)]))
    if left_out:
        warnings.warn(f"{path}: Keras has not, and the file leaves out: {'; '.join(left_out)}", stacklevel=4)


def save_weights(model: Model, path: saving.PathLike, notes: Mapping[str, Any] | None) -> None:
    """Write a ``.weights.h5`` file; see ``models.save_weights``."""
    if not os.fspath(path).endswith(".weights.h5"):
        raise ValueError(f"{path}: the name of a file of weights for Keras must end in .weights.h5")
    if notes is not None:
        raise ValueError(f"{path}: a .weights.h5 file has no place for notes; .safetensors and .keras have")
    saving.check_savable(model)
    write_atomically(path, _weights_file(model, True))


@contextmanager
def _named(model: Model) -> Iterator[None]:
    try:
        yield
    except (ValueError, TypeError) as error:
        raise type(error)(f"{model} cannot be saved for Keras: {error}") from None


def _weights_file(model: Model, with_optimizer: bool) -> bytes:
    arrays: dict[str, Array] = {}
    names = {}
    for place in places(model):
        names[place.path] = {"name": place.layer.name}
        for number, weight in enumerate(place.weights):
            dtype = np.int32 if weight.name == "count" and weight.shape == () else np.float32
            arrays[f"{place.path}/{number}"] = np.asarray(weight.value, dtype)
    if with_optimizer and model.optimizer is not None:
        optimizer = model.optimizer if model.optimizer.built else copy.deepcopy(model.optimizer)
        optimizer.build(model.parameters)
        state = optimizer.state_dict()
        names["optimizer/vars"] = {"name": optimizer.name}
        for number, name in enumerate(state_order(optimizer, model.parameters) or ()):
            arrays[f"optimizer/vars/{number}"] = state_as_keras(name, state[name])
    return hdf5.written(arrays, names)
