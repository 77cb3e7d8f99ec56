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

from fastconv._atomic_file import check_readable, write_atomically
from fastconv._plain import plain
from fastconv.parameter import Array

VERSION = 1


def write_state(path: str | os.PathLike[str], state: Mapping[str, Any], kind: str) -> None:
    """Write ``state`` in one piece: at every moment the old file or the new one is there, whole.

    ``kind`` says what it is the state of, and ``read_state`` asks for it. Raises TypeError that names the
    place, such as callbacks/0/when, for what JSON cannot hold and is not an array.
    """
    from safetensors.numpy import save

    arrays: dict[str, Array] = {}

    def kept(array: Array, place: str) -> dict[str, str]:
        arrays[place] = np.asarray(array, order="C")
        return {"array": place}

    parts = {name: plain(part, name, kept) for name, part in state.items()}
    metadata = {"format": kind, "format_version": str(VERSION), "state": json.dumps(parts)}
    write_atomically(path, save(arrays, metadata))


def read_state(path: str | os.PathLike[str], kind: str) -> dict[str, Any]:
    """The way back. Raises ValueError for a file that is damaged or not of this kind, OSError for none."""
    from safetensors import SafetensorError, safe_open

    check_readable(path, kind)
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


def _with_arrays(value: Any, arrays: Mapping[str, Array]) -> Any:
    if isinstance(value, list):
        return [_with_arrays(part, arrays) for part in value]
    if isinstance(value, dict):
        if value.keys() == {"array"}:
            return arrays[value["array"]]
        return {name: _with_arrays(part, arrays) for name, part in value.items()}
    return value
