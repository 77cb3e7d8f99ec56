"""Models in files: one ``.safetensors`` file holds the weights and, as text beside them, everything else.

The format (https://github.com/huggingface/safetensors) is a JSON header and raw arrays: reading it executes
nothing, and layers come only from the list of known classes. What is where:

===================================  ======================================================================
tensor ``weights/0003/C3/bias``      the fourth weight array of the model: layer C3's bias
tensor ``optimizer/momentum.0``      what the optimizer remembers between steps, if the model was compiled
metadata ``format, format_version``  "fastconv", "1" or "2"
metadata ``model``                   JSON: the layers and their arguments; absent in a file of weights alone
metadata ``compile``                 JSON: optimizer, loss and metrics
metadata ``random_state``            JSON: where dropout, noise and augmentation are in their random numbers
metadata ``history``                 JSON: what ``fit`` returned last
metadata ``notes``                   JSON: whatever the user wants to keep with it
===================================  ======================================================================

Format 2 is the same, with what format 1 has no words for: models that are graphs, in the notation of Keras'
``to_json`` (``graph/serialization.py``), layers that two models inside share, classes of models of the user's
own, and losses and metrics by output. Chains of layers are still written as format 1.

Files that end in ``.keras``, ``.h5`` or ``.hdf5`` are Keras', for ``interop/keras_files.py``.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fastconv._core.configuration import plain
from fastconv._core.files import read_arrays, write_arrays
from fastconv.callbacks import History
from fastconv.layers import serialization
from fastconv.models.matching import load_matching
from fastconv.parameter import Array, make_room, values_come_later

if TYPE_CHECKING:
    from fastconv.models.model import Model

PathLike = str | os.PathLike[str]

FORMAT_VERSION = 2
_TEXTS = ("model", "compile", "random_state", "history", "notes")
SUFFIX = ".safetensors"


# ---- saving


def save_model(
    model: Model,
    filepath: PathLike | None = None,
    overwrite: bool = True,
    *,
    notes: Mapping[str, Any] | None = None,
    path: PathLike | None = None,
) -> None:
    """Write architecture, weights, training configuration, optimizer state and history to a file.

    The file is written beside its place and then renamed: a crash leaves the old file whole.

    Parameters
    ----------
    filepath : ends in ".safetensors", or in ".keras" for a file that Keras 3 loads; may also be given as
        ``path=``
    overwrite : False refuses to replace a file
    notes : kept with the model, for ``read_notes``: names with plain numbers, strings, lists and
        dictionaries, such as what the classes are called

    Raises ValueError for another extension, a model without weights yet, and, in a file for Keras, for what
    Keras has not; TypeError that names it for what cannot be saved; ImportError for Keras without h5py;
    FileExistsError with ``overwrite=False``; and FileNotFoundError, IsADirectoryError or PermissionError
    about the place.
    """
    filepath = one_path(filepath, path)
    if Path(filepath).suffix == ".keras":
        from fastconv.interop import keras_files

        _check_overwrite(filepath, overwrite)
        keras_files.save_model(model, filepath, notes)
        return
    arrays = _named_weights(model)
    texts: dict[str, Any] = {"model": serialization.serialize(model)}
    if model.optimizer is not None:
        texts["compile"] = model.get_compile_config()
        state = model.optimizer.state_dict()
        arrays |= {f"optimizer/{name}": np.asarray(value) for name, value in state.items()}
    if model.random_state():
        texts["random_state"] = model.random_state()
    if model.history is not None:
        texts["history"] = model.history.history
    if notes is not None:
        texts["notes"] = dict(notes)
    _write(filepath, arrays, texts, overwrite)


def save_weights(
    model: Model,
    filepath: PathLike | None = None,
    overwrite: bool = True,
    *,
    notes: Mapping[str, Any] | None = None,
    path: PathLike | None = None,
) -> None:
    """Write the weights alone, for ``load_weights`` into a model with the same layers.

    A file that ends in ".weights.h5" is for Keras 3, and takes no notes.
    ``notes`` are kept with them, for ``read_notes``: names with plain numbers, strings, lists and
    dictionaries, such as how the weights were made. ``path=`` is another name of ``filepath=``.
    """
    filepath = one_path(filepath, path)
    if _is_hdf5(filepath):
        from fastconv.interop import keras_files

        _check_overwrite(filepath, overwrite)
        keras_files.save_weights(model, filepath, notes)
        return
    _write(filepath, _named_weights(model), {} if notes is None else {"notes": dict(notes)}, overwrite)


def one_path(filepath: PathLike | None, path: PathLike | None) -> PathLike:
    """The file's place, given as ``filepath``, Keras' name for it, or as ``path``."""
    given = [place for place in (filepath, path) if place is not None]
    if len(given) != 1:
        raise TypeError(f"give the name of the file once, as filepath; got {filepath=} and {path=}")
    return given[0]


def check_savable(model: Model) -> None:
    """ValueError for a model without weights yet, a warning where some are NaN or infinite."""
    if not model.built:
        raise ValueError(f"{model} has no weights to save yet: call build(input_shape) or train it first")
    for weight in model.weights:
        if not np.isfinite(weight.value).all():
            warnings.warn(
                f"{weight.path} holds NaN or infinity: training diverged. It is saved as it is; to load it, "
                "say allow_nan=True",
                stacklevel=5,
            )


def _named_weights(model: Model) -> dict[str, Array]:
    check_savable(model)
    return {
        f"weights/{index:04d}/{weight.path}": np.asarray(weight.value, order="C")
        for index, weight in enumerate(model.weights)
    }


def _write(path: PathLike, arrays: Mapping[str, Array], texts: Mapping[str, Any], overwrite: bool) -> None:
    import fastconv

    _check_suffix(path)
    _check_overwrite(path, overwrite)
    version = str(_version(texts))
    metadata = {"format": "fastconv", "format_version": version, "fastconv": fastconv.__version__}
    for name, value in texts.items():
        try:
            metadata[name] = json.dumps(plain(value, name))
        except TypeError as error:
            raise TypeError(f"{error}. {_MUST_BE_PLAIN[name]}") from None
    write_arrays(path, arrays, metadata)


def _check_overwrite(path: PathLike, overwrite: bool) -> None:
    if not overwrite and os.path.lexists(path):
        raise FileExistsError(f"{path} exists already; overwrite=True replaces it")


_NEWS = {"inbound_nodes", "shared_object_id", "build_config"}


def _version(texts: Mapping[str, Any]) -> int:
    """The oldest format that can hold this."""
    compiled = texts.get("compile", {})
    measures = [*(compiled.get("metrics") or []), *(compiled.get("weighted_metrics") or [])]
    loss = compiled.get("loss")
    by_output = (
        isinstance(loss, list)
        or (isinstance(loss, Mapping) and "class_name" not in loss)
        or "loss_weights" in compiled
        or any(isinstance(measure, list) for measure in measures)
        or any(isinstance(compiled.get(kind), Mapping) for kind in ("metrics", "weighted_metrics"))
    )
    return 2 if by_output or _has_news(texts.get("model")) else 1


def _has_news(description: Any) -> bool:
    """Whether the description of a model has what format 1 does not know."""
    pending = [description]
    while pending:
        part = pending.pop()
        if isinstance(part, Mapping):
            if "class_name" in part and not _NEWS.isdisjoint(part):
                return True
            pending += part.values()
        elif isinstance(part, (list, tuple)):
            pending += part
    return False


_MUST_BE_PLAIN = {
    "model": "get_config() must return what these can express",
    "compile": "get_config() must return what these can express",
    "random_state": "random_state() must return what these can express",
    "history": "A callback put it into the logs; make it a number or a string there, and in "
    "model.history.history",
    "notes": "Notes must be made of these",
}


# ---- loading


def load_model(
    filepath: PathLike | None = None,
    custom_objects: Mapping[str, Any] | None = None,
    compile: bool = True,
    safe_mode: bool = True,
    *,
    allow_nan: bool = False,
    path: PathLike | None = None,
) -> Model:
    """The model in the file that ``save_model`` or Keras wrote, ready to predict and to go on training.

    Parameters
    ----------
    filepath : ends in ".safetensors"; or in ".keras", or, of whole models by Keras 2 and 3, in ".h5" or
        ".hdf5"; may also be given as ``path=``
    custom_objects : name -> class, for layers, losses, metrics and optimizers of your own
    compile : False leaves out optimizer, loss and metrics
    safe_mode : as in Keras; makes no difference, for code in a file is never run
    allow_nan : accept weights that are NaN or infinite

    Raises ValueError that names what differs if the file is damaged, of a newer format, not a model, of a
    model with unknown layers, or if its weights do not fit its layers; FileNotFoundError, IsADirectoryError
    or PermissionError about the path.
    """
    path = one_path(filepath, path)
    if Path(path).suffix == ".keras" or _is_hdf5(path):
        from fastconv.interop import keras_files

        return keras_files.load_model(path, custom_objects or {}, compile, allow_nan)
    arrays, texts = _read(path)
    if "model" not in texts:
        raise ValueError(
            f"{path} holds weights alone, no layers: build the model, then model.load_weights({str(path)!r})"
        )
    custom = custom_objects or {}
    with values_come_later():
        model = make_layers(path, texts["model"], custom)
        _set_weights(model, arrays, path, allow_nan)
    if compile and "compile" in texts:
        compile_model(model, texts["compile"], custom, path)
        _restore_optimizer(model, arrays, path)
    if "random_state" in texts:
        _restore_random_state(model, texts["random_state"], path)
    if "history" in texts:
        model.history = History()
        model.history.history = texts["history"]
        model.history.epoch = list(range(max(map(len, texts["history"].values()), default=0)))
    return model


def load_weights(
    model: Model,
    filepath: PathLike | None = None,
    skip_mismatch: bool = False,
    *,
    by_name: bool = False,
    allow_nan: bool = False,
    path: PathLike | None = None,
) -> None:
    """Copy the weights of a file by ``save_weights``, or ``save_model``, or Keras into a model.

    Layers are matched by their order, and their names may differ. Raises ValueError that names what differs;
    the model is unchanged then.

    Parameters
    ----------
    filepath : ends in ".safetensors", ".keras", ".h5" or ".hdf5"; may also be given as ``path=``
    skip_mismatch : load what fits; a warning lists the layers that do not
    by_name : match layers by name: only layers of the same name have to fit, all others are left alone
    allow_nan : accept weights that are NaN or infinite
    """
    path = one_path(filepath, path)
    if not model.built:
        raise ValueError(f"{model} has no weights yet: call build(input_shape) before load_weights")
    if Path(path).suffix == ".keras" or _is_hdf5(path):
        from fastconv.interop import keras_files

        keras_files.load_weights(model, path, skip_mismatch, by_name, allow_nan)
        return
    arrays, _ = _read(path)
    if not (by_name or skip_mismatch):
        _set_weights(model, arrays, path, allow_nan)
        return
    saved = _saved_weights(arrays)
    for name, array in saved:
        check_numbers(path, name, array, allow_nan)
    load_matching(saved, model, path, by_name, skip_mismatch)


def read_notes(path: PathLike) -> dict[str, Any]:
    """The notes that ``save_model`` or ``save_weights`` kept in a file; {} where there are none.

    Raises ValueError for a file that is damaged or not fastconv's, FileNotFoundError, IsADirectoryError
    or PermissionError about the path.
    """
    if Path(path).suffix == ".keras" or _is_hdf5(path):
        from fastconv.interop import keras_files

        notes = keras_files.read_notes(path)
    else:
        notes = _read(path)[1].get("notes", {})
    if not isinstance(notes, dict):
        raise ValueError(f"{path} is damaged: its notes have no names")
    return notes


def make_layers(path: PathLike, config: Mapping[str, Any], custom: Mapping[str, Any]) -> Model:
    """The model that a file describes. ValueError that names the file where it describes none."""
    from fastconv.models.model import Model

    try:
        model = serialization.deserialize(config, custom)
    except WRONG_DESCRIPTION as error:
        raise ValueError(
            f"{path}: cannot make its layers: {reason(error)} "
            "(classes of your own are given as load_model(path, custom_objects={'MyLayer': MyLayer}))"
        ) from error
    if not isinstance(model, Model):
        raise ValueError(f"{path} describes no model, but {model}")
    if not model.built and model.weights:
        raise ValueError(f"{path}: {model} in it has weights and no shape of its input")
    return model


WRONG_DESCRIPTION = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    MemoryError,
    RecursionError,
    NotImplementedError,
)
"""What making a model of a description that is none may raise."""


def reason(error: Exception) -> str:
    """What one of ``WRONG_DESCRIPTION`` says, as a part of a sentence."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return f"{error.args[0]!r} is missing" if isinstance(error, KeyError) and error.args else str(error)


def _set_weights(model: Model, arrays: Mapping[str, Array], path: PathLike, allow_nan: bool) -> None:
    """Check everything, then copy everything."""
    saved = _saved_weights(arrays)
    own = [(weight.path, weight.shape) for weight in model.weights]
    for index, ((saved_name, array), (own_name, shape)) in enumerate(zip(saved, own, strict=False)):
        if array.shape != shape or saved_name.rpartition("/")[2] != own_name.rpartition("/")[2]:
            raise ValueError(
                f"{path} does not fit {model}: weight array {index} is {saved_name} {array.shape} in the "
                f"file and {own_name} {shape} in the model"
            )
        check_numbers(path, saved_name, array, allow_nan)
    if len(saved) != len(own):
        shapes = [(name, array.shape) for name, array in saved]
        side, longer = ("file", shapes) if len(saved) > len(own) else ("model", own)
        extra = ", ".join(f"{name} {shape}" for name, shape in longer[min(len(saved), len(own)) :])
        raise ValueError(
            f"{path} does not fit {model}: it has {len(saved)} weight arrays, the model {len(own)}; "
            f"only the {side} has {extra}"
        )
    make_room(model.weights)
    model.set_weights([array for _, array in saved])


def _saved_weights(arrays: Mapping[str, Array]) -> list[tuple[str, Array]]:
    """("layer/kernel", array) for all weights in a file, in their order."""
    names = sorted(name for name in arrays if name.startswith("weights/"))
    return [(name.split("/", 2)[-1], arrays[name]) for name in names]


def check_numbers(path: PathLike, name: str, array: Array, allow_nan: bool) -> None:
    """ValueError for another type than float32, and for NaN and infinity that were not allowed."""
    if array.dtype != np.float32:
        raise ValueError(f"{path}: {name} is {array.dtype}, not float32")
    if not allow_nan and not np.isfinite(array).all():
        raise ValueError(
            f"{path}: {name} holds NaN or infinity, the training that made it diverged; "
            "allow_nan=True loads it all the same"
        )


def compile_model(model: Model, config: Mapping[str, Any], custom: Mapping[str, Any], path: PathLike) -> None:
    """Compile a model as a file says. ValueError that names the file where that cannot be done."""
    try:
        model.compile_from_config(config, custom)
    except WRONG_DESCRIPTION as error:
        raise ValueError(
            f"{path}: cannot restore its training configuration: {reason(error)} "
            "(load_model(path, compile=False) leaves it out)"
        ) from error


def _restore_random_state(model: Model, state: Mapping[str, Any], path: PathLike) -> None:
    try:
        model.set_random_state(state)
    except WRONG_DESCRIPTION as error:
        raise ValueError(f"{path}: cannot restore the state of its random layers: {reason(error)}") from error


def _restore_optimizer(model: Model, arrays: Mapping[str, Array], path: PathLike) -> None:
    """Put the optimizer's memory back. It no longer fits where layers were frozen after it was built."""
    assert model.optimizer is not None
    prefix = "optimizer/"
    state = {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
    if any("." in name for name in state):  # "momentum.0": it has taken steps
        model.optimizer.build(model.parameters)
    try:
        model.optimizer.load_state_dict(state)
    except ValueError as error:
        warnings.warn(f"{path}: the optimizer starts afresh: {error}", stacklevel=3)


# ---- the file


def _read(path: PathLike) -> tuple[dict[str, Array], dict[str, Any]]:
    """The arrays and the JSON texts of a file written by fastconv."""
    _check_suffix(path)
    arrays, metadata = read_arrays(path, "model file", partial(_check_format, path))
    try:
        texts = {name: json.loads(metadata[name]) for name in _TEXTS if name in metadata}
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"{path} is damaged: its description of the model is not JSON: {reason(error)}"
        ) from error
    return arrays, texts


def _check_suffix(path: PathLike) -> None:
    suffix = Path(path).suffix
    if suffix == ".keras":
        raise ValueError(f"{path}: weights alone are saved as .weights.h5 for Keras, or as {SUFFIX}")
    if _is_hdf5(path):
        raise ValueError(
            f"{path}: models are saved as .keras for Keras; HDF5 files of whole models are read, not written"
        )
    if suffix != SUFFIX:
        raise ValueError(
            f"{path}: the name of a model file must end in {SUFFIX}, or .keras for Keras' format"
        )


def _is_hdf5(path: PathLike) -> bool:
    return Path(path).suffix in (".h5", ".hdf5")


def _check_format(path: PathLike, metadata: Mapping[str, str]) -> None:
    if metadata.get("format") != "fastconv":
        raise ValueError(f"{path} is a safetensors file, but not one written by fastconv")
    version = metadata.get("format_version", "")
    if not version.isdecimal() or int(version) > FORMAT_VERSION:
        raise ValueError(
            f"{path} has file format {version or '?'} of fastconv {metadata.get('fastconv', '?')}; "
            f"this fastconv reads formats up to {FORMAT_VERSION}: install a newer one"
        )
