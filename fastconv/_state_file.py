"""What a program remembers, in one file: dictionaries and lists of numbers, texts and arrays.

The format is safetensors (https://github.com/huggingface/safetensors): a JSON header and raw arrays. Arrays
are stored as tensors named after their place, "model/weights/0"; all else is JSON in the header, where an
array's place is held by {"array": its name}. Reading such a file executes nothing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from fastconv._atomic_file import write_atomically
from fastconv.parameter import Array

VERSION = 1


def write_state(path: str | os.PathLike[str], state: Mapping[str, Any], kind: str) -> None:
    """Write ``state`` in one piece: at every moment the old file or the new one is there, whole.

    ``kind`` says what it is the state of, and ``read_state`` asks for it. Raises TypeError, which names the
    place, for what is neither plain nor an array.
    """
    from safetensors.numpy import save

    arrays: dict[str, Array] = {}
    plain = _without_arrays(state, "", arrays)
    metadata = {"format": kind, "format_version": str(VERSION), "state": json.dumps(plain)}
    write_atomically(path, save(arrays, metadata))


def read_state(path: str | os.PathLike[str], kind: str) -> dict[str, Any]:
    """The way back. Raises ValueError for a file that is damaged or not of this kind."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dictionary
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged, or no safetensors file: {error}") from error
    if metadata.get("format") != kind or metadata.get("format_version") != str(VERSION):
        raise ValueError(
            f"{path} is {metadata.get('format', 'something')} in version "
            f"{metadata.get('format_version', '?')}; expected {kind} in version {VERSION}"
        )
    return _with_arrays(json.loads(metadata["state"]), arrays)


def _without_arrays(value: Any, place: str, arrays: dict[str, Array]) -> Any:
    """``value`` as JSON can hold it; its arrays are added to ``arrays``."""
    if isinstance(value, Mapping):
        return {name: _without_arrays(part, f"{place}/{name}", arrays) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_arrays(part, f"{place}/{index}", arrays) for index, part in enumerate(value)]
    if isinstance(value, np.ndarray):
        name = place.removeprefix("/")
        arrays[name] = np.asarray(value, order="C")
        return {"array": name}
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"cannot save {place.removeprefix('/')}: {value!r} is neither plain nor an array")


def _with_arrays(value: Any, arrays: Mapping[str, Array]) -> Any:
    if isinstance(value, list):
        return [_with_arrays(part, arrays) for part in value]
    if isinstance(value, dict):
        if value.keys() == {"array"}:
            return arrays[value["array"]]
        return {name: _with_arrays(part, arrays) for name, part in value.items()}
    return value
